import logging
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from etl.collect.board import Board, Line
from etl.collect.health.alarms import Alarms
from etl.config import Collect
from tests.etl.collect.health.timeline import (
    LINES,
    MANNERS,
    START_MS,
    SUBJECTS,
    Played,
    Silence,
    board_of,
    play,
)

HOUR_S = 3_600
MARGIN_S = 700
"""Until all that can be is calm again: the longest calm, a rounded minute, the slowest trades."""
starts = st.integers(0, 400)
lengths = st.integers(1, 1_500)
silences = st.builds(
    Silence,
    start_s=starts,
    end_s=st.integers(400, 2_000),
    kind=st.sampled_from([None, *MANNERS]),
    line=st.sampled_from([None, 1, 2]),
    is_told=st.booleans(),
)
few = settings(max_examples=10, phases=[Phase.explicit, Phase.generate])


def test_nothing_rings_while_all_speak_in_their_manner():
    assert play(2 * HOUR_S, every_s=7).rung == []


@few
@given(st.lists(silences, max_size=3))
def test_what_is_too_old_is_in_an_alarm_that_rings_at_the_next_look(found):
    assert play(2_200, *found).late == []


@few
@given(silences, st.integers(1, 20))
def test_each_alarm_rings_after_its_limit_and_within_twice_of_it(silence, every_s):
    played = play(2_200, replace(silence, is_told=False), every_s=every_s)
    for alarm in [*played.board.alarms.values(), *played.board.past_alarms]:
        assert alarm.limit_ms < alarm.rung_ms - alarm.since_ms <= 2 * alarm.limit_ms


@few
@given(st.lists(silences, max_size=3))
def test_what_rings_clears_when_all_speak_again(found):
    played = play(2_000 + MARGIN_S, *found)
    assert played.board.alarms == {}
    assert sorted(played.names()) == sorted(name for name, _ in played.cleared)


@few
@given(starts, lengths)
def test_an_exchange_that_goes_silent_rings_once(start_s, length_s):
    played = play(start_s + length_s + MARGIN_S, Silence(start_s, start_s + length_s))
    assert set(played.names()) <= {"everything"}
    assert len(played.rung) <= 1
    assert played.rung or length_s <= 61


@few
@given(starts, lengths, st.sampled_from([1, 2]))
def test_a_socket_that_goes_silent_rings_once(start_s, length_s, line):
    played = play(start_s + length_s + MARGIN_S, Silence(start_s, start_s + length_s, line=line))
    limit_s = min(MANNERS[kind][0] for kind, number in LINES.items() if number == line)
    assert set(played.names()) <= {f"socket {line}"}
    assert len(played.rung) <= 1
    assert played.rung or length_s <= limit_s + 60


@few
@given(starts, lengths, st.sampled_from(["candles", "funding", "index", "dvol", "tickers"]))
def test_a_kind_whose_channels_freeze_rings_once(start_s, length_s, kind):
    played = play(start_s + length_s + MARGIN_S, Silence(start_s, start_s + length_s, kind=kind))
    assert set(played.names()) <= {kind}
    assert len(played.rung) <= 1
    assert played.rung or length_s <= MANNERS[kind][0] + 60


@few
@given(starts, lengths, st.sampled_from(["candles", "funding", "index", "tickers"]))
def test_one_frozen_channel_rings_by_its_own_name_and_once(start_s, length_s, kind):
    subject = SUBJECTS[kind][-1]
    frozen = Silence(start_s, start_s + length_s, kind=kind, subject=subject)
    played = play(start_s + length_s + MARGIN_S, frozen)
    assert set(played.names()) <= {f"{kind} {subject}"}
    assert len(played.rung) <= 1
    assert played.rung or length_s <= MANNERS[kind][0] + 60


@few
@given(starts, lengths)
def test_maintenance_that_is_announced_rings_once_by_that_name(start_s, length_s):
    away = Silence(start_s, start_s + length_s, is_told=True)
    played = play(start_s + length_s + MARGIN_S, away)
    assert set(played.names()) <= {"maintenance"}
    assert len(played.rung) <= 1
    assert played.rung or length_s <= 61


def test_what_stays_silent_after_maintenance_has_another_cause():
    away = Silence(300, 1_200, is_told=True)
    played = play(2_000, away, Silence(1_200, 2_000))
    assert played.names() == ["maintenance", "everything"]
    assert played.rung[1][1] - 1_200 <= 2 * 60


def test_a_source_that_never_spoke_rings_by_when_it_was_asked_for():
    played = play(400, Silence(0, 400, kind="dvol", subject="eth_usd"))
    assert played.rung == [("dvol eth_usd", 121)]


def test_a_source_that_stops_rings_though_another_of_its_kind_has_for_long():
    early = Silence(100, 3_000, kind="index", subject="btc_usd")
    late = Silence(2_000, 3_000, kind="index", subject="eth_usd")
    assert play(2_500, early, late).names() == ["index btc_usd", "index"]


def test_a_source_left_silent_by_an_outage_rings_by_its_own_name_when_the_rest_is_back():
    played = play(2_000, Silence(300, 900), Silence(300, 2_000, kind="index", subject="eth_usd"))
    assert played.names() == ["everything", "index eth_usd"]
    assert [name for name, _ in played.cleared] == ["everything"]


def test_a_source_that_is_back_is_watched_anew_each_time():
    late = Silence(300, 790, kind="tickers", subject="BTC")
    again = Silence(2_000, 2_181, kind="tickers", subject="BTC")
    played = play(3_000, Silence(300, 500), late, again)
    assert played.names() == ["everything", "tickers BTC"]
    assert played.cleared[-1][1] >= 2_181 + 180 * 1.25


@pytest.mark.parametrize("kind", ["index", "tickers"])
def test_data_that_always_come_a_little_late_ring_once(kind):
    subject, limit_s = SUBJECTS[kind][0], MANNERS[kind][0]
    late = [
        Silence(start, start + limit_s + 10, kind=kind, subject=subject)
        for start in range(100, 3_000, limit_s + 11)
    ]
    assert play(3_000, *late).names() == [f"{kind} {subject}"]


def test_a_socket_that_comes_and_goes_rings_once():
    away = [Silence(start, start + 200, line=2) for start in range(300, 2_500, 240)]
    assert play(2_500, *away).names() == ["socket 2"]


def test_sources_that_move_to_another_socket_clear_the_alarm_of_theirs():
    played = play(400, Silence(0, 400, line=2))
    for source in played.board.sources.values():
        source.comes_over(7)
    for second in range(401, 800):
        for source in played.board.sources.values():
            source.heard(START_MS + 1000 * second)
        played.look(second)
    assert [name for name, _ in played.cleared] == ["socket 2"]


def test_a_source_that_is_watched_no_more_clears_its_alarm():
    played = play(200, Silence(0, 200, kind="index", subject="eth_usd"))
    played.board.forget("index", "eth_usd")
    played.look(200)
    assert played.cleared == [("index eth_usd", 200)]


def test_nothing_rings_while_it_drains():
    board = board_of()
    board.is_draining = True
    Alarms(board, Collect()).look(START_MS + 10**7)
    assert board.alarms == {}


def test_silence_that_says_nothing_rings_nothing():
    board = Board(START_MS)
    board.watch("quotes", "BTC-PERPETUAL", 0, START_MS)
    Alarms(board, Collect()).look(START_MS + 10**9)
    assert board.alarms == {}


def gauge(board, *moments, **collect):
    """Look at a board at some seconds, each after a change to it."""
    played = Played(board, Alarms(board, Collect(**collect)))
    for second, change in moments:
        change(board)
        played.look(second)
    return played


def put(name, value):
    return lambda board: setattr(board, name, value)


@pytest.mark.parametrize(
    ("name", "field", "good", "bad"),
    [
        ("clock", "skew_ms", 4_900, 5_100),
        ("clock", "skew_ms", -4_900, -5_100),
        ("journal", "unwritten_ms", 4_900, 5_100),
        ("disk", "free_bytes", 5 * 10**9, 3.9 * 10**9),
    ],
)
def test_a_gauge_rings_beyond_its_limit_and_clears_a_minute_after(name, field, good, bad):
    board = Board(START_MS)
    steps = [(0, good), (10, bad), (11, good), (30, bad), (31, good), (90, good), (91, good)]
    played = gauge(board, *((second, put(field, value)) for second, value in steps))
    assert played.rung == [(name, 10)]
    assert played.cleared == [(name, 91)]


def test_a_write_that_hangs_rings_though_the_one_before_was_quick():
    board = Board(START_MS, skew_ms=2_000)
    hung = put("writing_since_ms", START_MS + 10_000)
    played = gauge(board, (10, hung), (15, hung), (16, hung))
    assert played.rung == [("journal", 16)]


def test_maintenance_that_is_told_and_never_taken_back_excuses_nothing_later():
    board = board_of()
    played = Played(board, Alarms(board, Collect()))
    board.maintenance = True
    for second in range(2_000):
        if second < 1_500:
            for source in board.sources.values():
                source.heard(START_MS + 1000 * second)
        played.look(second)
    assert not board.maintenance
    assert played.rung == [("everything", 1_560)]


def test_a_source_spread_over_sockets_is_put_down_to_none():
    board = Board(START_MS)
    for kind in ("tickers", "quotes"):
        source = board.watch("tickers", kind, 180, START_MS)
        for line in (1, 2, 1):
            source.comes_over(line)
    Alarms(board, Collect()).look(START_MS + 181_000)
    assert [one.line for one in board.sources.values()] == [0, 0]
    assert list(board.alarms) == ["everything"]


def test_a_disk_that_wavers_about_its_limit_rings_once():
    board = Board(START_MS)
    board.watch("quotes", "BTC-PERPETUAL", 0, START_MS)
    free = [(600 * n, put("free_bytes", 4e9 + (-1) ** n * 1e8)) for n in range(10)]
    assert gauge(board, *free).names() == ["disk"]


def test_a_database_rings_when_rows_wait_too_long_and_its_words_are_told():
    board = Board(START_MS)
    board.database.is_wanted = True
    board.database.waiting_since_ms, board.database.error = START_MS, "no server answers"
    played = gauge(board, (120, put("skew_ms", 0)), (121, put("skew_ms", 0)))
    assert played.rung == [("database", 121)]
    assert board.alarms["database"].text == (
        "rows have waited 2 min 1 s for the database (limit 2 min); it says no server answers"
    )


def test_days_that_are_not_folded_for_half_a_day_ring_until_they_are():
    hour = 3_600_000
    board, now = Board(0), 13 * hour
    board.unfolded_since_ms = 2 * hour
    alarms = Alarms(board, Collect())
    alarms.look(now)
    assert "fold" not in board.alarms
    alarms.look(now + hour + 1)
    assert "limit 12 h" in board.alarms["fold"].text
    board.unfolded_since_ms = None
    alarms.look(now + hour + 2)
    assert "fold" not in board.alarms


def test_a_collector_that_subscribes_to_nothing_rings():
    board = Board(START_MS)
    played = gauge(board, *((second, put("skew_ms", 0)) for second in (180, 181, 182)))
    assert played.rung == [("start", 181)]
    board.watch("index", "btc_usd", 60, START_MS + 183_000)
    played.look(184)
    assert played.cleared == [("start", 184)]


def test_a_database_nobody_wants_rings_nothing():
    board = Board(START_MS)
    board.watch("quotes", "BTC-PERPETUAL", 0, START_MS)
    board.database.waiting_since_ms = START_MS
    assert gauge(board, (9_999, put("skew_ms", 0))).rung == []


def test_a_socket_of_channels_without_limits_rings_when_nothing_comes():
    board = board_of()
    board.lines = {1: Line(1, 6), 3: Line(3, 2, None, START_MS + 60_000), 4: Line(4, 2, START_MS)}
    board.lines[3].last_end = "1006"
    played = gauge(board, (30, put("skew_ms", 0)), (55, put("skew_ms", 0)))
    for source in board.sources.values():
        source.heard(START_MS + 240_000)
    played.look(240)
    played.look(241)
    assert played.rung == [("socket 3", 241)]
    assert board.alarms["socket 3"].text.endswith("(limit 3 min); it ended with: 1006")


def test_an_alarm_is_one_line_with_value_limit_and_since_when_and_one_when_it_is_over(caplog):
    with caplog.at_level(logging.INFO, logger="etl.collect"):
        play(1_000, Silence(100, 400, kind="index"), kinds=["index", "tickers"])
    rung, cleared = caplog.records
    assert (rung.levelname, rung.getMessage()) == (
        "ERROR",
        (
            "alarm index: 2 of 2 sources without new data since 2025-10-16T00:01:39Z,"
            " 1 min 1 s ago (limit 1 min): index btc_usd, index eth_usd"
        ),
    )
    assert rung.event == "alarm_rung"
    assert rung.fields == {"alarm": "index", "since_ms": START_MS + 99_000, "limit_s": 60.0}
    assert (cleared.levelname, cleared.getMessage()) == (
        "INFO",
        "alarm index is over: it rang for 5 min 15 s",
    )
    assert cleared.fields["rang_s"] == 315


def test_the_line_of_an_alarm_grows_with_what_it_tells_of():
    played = play(300, Silence(100, 300))
    assert played.board.alarms["everything"].text.startswith("13 of 16 sources without new data")


def test_a_third_of_many_channels_that_freeze_is_one_alarm_of_their_kind():
    board = Board(START_MS)
    for number in range(60):
        board.watch("candles", f"F{number:02}", 180, START_MS).heard(START_MS)
    played = Played(board, Alarms(board, Collect()))
    for second in range(0, 2_000, 10):
        for number, source in enumerate(board.sources.values()):
            if number % 3 or second > 1_000:
                source.heard(START_MS + 1000 * second)
        played.look(second)
    assert played.names() == ["candles"]
    assert [name for name, _ in played.cleared] == ["candles"]


def test_a_long_list_is_cut():
    board = Board(START_MS)
    for number in range(20):
        board.watch("candles", f"F{number:02}", 180, START_MS)
    Alarms(board, Collect()).look(START_MS + 181_000)
    assert board.alarms["everything"].text.endswith("candles F07 and 12 more")
