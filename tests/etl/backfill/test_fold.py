from dataclasses import replace

import msgspec
import polars as pl
import pytest

from etl.errors import EtlError
from etl.sources.funding_rates import FUNDING_RATES
from lake import raw
from lake.errors import CorruptFileError
from lake.ledger import read_record
from lake.publish import publish
from tests.etl.staged import (
    BTC,
    FUNDED,
    HOUR,
    MINUTE,
    MINUTES,
    NOW,
    PARTITION,
    RULES,
    START,
    TERMS,
    attempt,
    chart,
    envelope,
    folded,
    folded_funding,
    funding,
    lake_of,
    minutes,
)
from validators.schemas.candles import candles_model

ALL = minutes(*range(10))


def held(result):
    """Clean rows as (minute, close)."""
    frame = pl.from_arrow(result.rows)
    ticks = frame["timestamp"].dt.epoch("ms").to_list()
    return [((t - START) // MINUTE, c) for t, c in zip(ticks, frame["close"], strict=True)]


def reasons(result):
    return {gap.reason for gap in result.record.gaps}


def test_a_whole_page_becomes_clean_rows_that_keep_their_contract(tmp_path):
    result = folded(lake_of(tmp_path, attempt(chart(ALL))))

    frame = pl.from_arrow(result.rows)
    assert frame.columns == list(candles_model("1").to_schema().columns)
    assert frame["instrument"].unique().to_list() == [BTC]
    assert (result.record.rows, result.record.first_ms, result.record.last_ms) == (
        10,
        ALL[0],
        ALL[-1],
    )
    assert result.record.is_complete
    assert result.record.gaps == ()


def test_nothing_staged_is_no_rows_and_nothing_asked(tmp_path):
    result = folded(lake_of(tmp_path))

    assert (result.record.rows, result.record.checksum, reasons(result)) == (0, None, {"not_asked"})


@pytest.mark.parametrize(
    "order", [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]]
)
def test_unordered_and_repeated_rows_are_the_same_rows(tmp_path, order):
    plain = folded(lake_of(tmp_path / "a", attempt(chart(ALL))))

    result = folded(lake_of(tmp_path / "b", attempt(chart([ALL[i] for i in order]))))

    assert result.rows.equals(plain.rows)
    assert result.record.checksum == plain.record.checksum


def other(*numbers):
    """A page of other candles at the same minutes."""
    size = len(numbers)
    return chart(minutes(*numbers), close=[99.0] * size, low=[99.0] * size)


MOVING = replace(TERMS, rules=replace(RULES, settle_ms=2 * 24 * HOUR))


def test_the_latest_attempt_wins_row_by_row_while_rows_may_move(tmp_path):
    later = attempt(other(1), fetched=NOW + 1)
    earlier = attempt(chart(minutes(0, 1, 2)), fetched=NOW)

    result = folded(lake_of(tmp_path, later, earlier), terms=MOVING)

    assert held(result)[:3] == [(0, 100.0), (1, 99.0), (2, 100)]


def test_two_answers_that_differ_on_a_settled_row_discredit_both(tmp_path):
    pages = [attempt(chart(ALL)), attempt(other(9))]

    result = folded(lake_of(tmp_path, *pages))

    assert (result.record.rows, result.record.doubted, result.record.quarantined) == (0, 2, 2)
    assert [(gap.reason, gap.retry_at_ms) for gap in result.record.gaps] == [
        ("doubted", None),
        ("quarantined", None),
    ]
    words = "2 answers not believed: another has other rows at the same time"
    assert result.notes == (f"perpetuals_ohlcv BTC-PERPETUAL 2024: {words}",)


def test_the_page_that_lost_is_asked_again_as_a_whole(tmp_path):
    """Its seven other rows are only its own word."""
    wrong = attempt(other(*range(7)), (START, START + 7 * MINUTE))
    right = attempt(chart(minutes(6, 7, 8, 9)), (START + 6 * MINUTE, START + 10 * MINUTE))
    third = attempt(chart(minutes(6)), (START + 6 * MINUTE, START + 7 * MINUTE))

    result = folded(lake_of(tmp_path, wrong, right, third))

    assert held(result) == [(minute, 100.0) for minute in (6, 7, 8, 9)]
    (gap,) = result.record.gaps
    assert (gap.reason, gap.start_ms, gap.end_ms) == ("doubted", START, START + 6 * MINUTE)
    assert "1 answer not believed: others have other rows" in result.notes[0]


def test_a_third_answer_settles_which_of_two_was_right(tmp_path):
    pages = [attempt(chart(ALL)), attempt(other(9)), attempt(chart(ALL))]

    result = folded(lake_of(tmp_path, *pages))

    assert held(result) == [(minute, 100.0) for minute in range(10)]
    assert result.record.is_complete
    assert result.record.doubted == 1


def test_a_row_absent_from_a_later_page_is_kept(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(ALL)), attempt(chart(minutes(0, 1, 8, 9))))

    assert folded(lake).record.rows == 10


def test_a_row_that_comes_twice_with_two_values_is_quarantined_twice_and_asked_for_again(tmp_path):
    page = chart([*ALL, ALL[0]], close=[*[100.0] * 10, 99.0], low=[99.0] * 11)

    once = folded(lake_of(tmp_path, attempt(page)))
    again = folded(lake_of(tmp_path, attempt(chart(ALL, low=[99.0] * 10))))

    assert held(once) == [(minute, 100.0) for minute in range(1, 10)]
    assert pl.from_arrow(once.rejected)["failed_check"].to_list() == ["came_twice"] * 2
    assert [(gap.reason, gap.retry_at_ms) for gap in once.record.gaps] == [("quarantined", None)]
    assert again.record.is_complete


def test_an_answer_whose_clock_lies_before_its_rows_is_not_believed(tmp_path):
    """Its rows would look as if they had not closed, and the minutes as if there were none."""
    lies = [
        msgspec.structs.replace(attempt(chart(ALL)), us_out=(START - 24 * HOUR) * 1000)
        for _ in range(3)
    ]

    result = folded(lake_of(tmp_path, *lies))

    assert (result.record.rows, result.record.quarantined, reasons(result)) == (
        0,
        30,
        {"quarantined"},
    )
    assert "its clock says 2024-02-29 00:00, and it has rows of 2024-03-01 00:09" in result.notes[0]
    assert folded(lake_of(tmp_path, attempt(chart(ALL)))).record.is_complete


def test_an_answer_shows_nothing_of_rows_that_closed_after_it_was_sent(tmp_path):
    sent = START + 5 * MINUTE
    looks = [attempt(chart(minutes(0, 1, 2)), fetched=sent) for _ in range(3)]

    result = folded(lake_of(tmp_path, *looks), terms=replace(TERMS, now_ms=NOW + 24 * HOUR))

    assert [(gap.start_ms, gap.reason) for gap in result.record.gaps] == [
        (START + 3 * MINUTE, "absent"),
        (sent, "truncated"),
    ]


def test_rows_that_only_came_to_show_a_hole_are_not_published(tmp_path):
    window = (START - MINUTE, START + 11 * MINUTE)
    wide = attempt(chart(minutes(-1, *range(11))), window)

    result = folded(lake_of(tmp_path, wide))

    assert [minute for minute, _ in held(result)] == list(range(10))
    assert (result.record.first_ms, result.record.last_ms) == (ALL[0], ALL[-1])


def test_a_candle_that_is_still_forming_is_left_out(tmp_path):
    sent = START + 4 * MINUTE + 59_000
    lake = lake_of(tmp_path, attempt(chart(minutes(0, 1, 2, 3, 4)), fetched=sent))

    assert [minute for minute, _ in held(folded(lake))] == [0, 1, 2, 3]


def test_a_candle_that_has_just_closed_is_kept(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(minutes(0, 1, 2, 3)), fetched=START + 4 * MINUTE))

    assert [minute for minute, _ in held(folded(lake))] == [0, 1, 2, 3]


def test_rows_nobody_asked_for_are_left_out_and_the_page_proves_no_hole(tmp_path):
    shifted = attempt(chart(minutes(*range(4, 14))))

    result = folded(lake_of(tmp_path, shifted, attempt(chart(minutes(*range(4, 14))))))

    assert held(result) == []
    assert reasons(result) == {"doubted"}
    assert "2 answers not believed: 3 rows outside what was asked for, the first" in result.notes[0]


def test_a_row_at_the_minute_a_contract_expires_is_left_out_and_counted(tmp_path):
    result = folded(lake_of(tmp_path, attempt(chart(minutes(*range(11))))))

    assert (result.record.rows, result.record.left_out, result.record.doubted) == (10, 1, 0)


@pytest.mark.parametrize("factor", [1_000, 1 / 1_000])
def test_microseconds_or_seconds_sent_for_milliseconds_are_no_empty_page(tmp_path, factor):
    bodies = [chart([int(tick * factor) for tick in ALL]) for _ in range(3)]

    result = folded(lake_of(tmp_path, *map(attempt, bodies)))

    assert (result.record.rows, reasons(result)) == (0, {"doubted"})
    assert (
        f"10 rows outside what was asked for, the first at {int(START * factor)} ms"
        in (result.notes[0])
    )


def test_one_row_more_at_the_start_is_no_shift(tmp_path):
    """Whether the exchange sends the candle that holds a start off the grid is not documented."""
    pages = [attempt(chart(minutes(-1, 0, 1, *range(3, 10)))) for _ in range(2)]

    result = folded(lake_of(tmp_path, *pages))

    assert result.record.rows == 9
    assert reasons(result) == {"absent"}


def test_prices_sent_as_integers_are_the_same_rows(tmp_path):
    plain = folded(lake_of(tmp_path / "a", attempt(chart(ALL))))
    odd = chart(ALL, close=[100] * 10, volume=[2] * 9 + [2.0])

    assert folded(lake_of(tmp_path / "b", attempt(odd))).rows.equals(plain.rows)


def test_rows_with_null_are_quarantined_with_their_check_and_attempt_and_the_rest_is_kept(tmp_path):
    page = chart(minutes(0, 1, 2), close=[100.0, None, 100.0], high=[100.0, 100.0, 99.0])

    result = folded(lake_of(tmp_path, attempt(page, (START, START + 3 * MINUTE), name="bad")))

    rejected = pl.from_arrow(result.rejected).select("timestamp", "failed_check", "attempt_id")
    assert [minute for minute, _ in held(result)] == [0]
    assert [(check, name) for _, check, name in rejected.rows()] == [
        ("close:not_nullable", "bad"),
        ("high_is_highest", "bad"),
    ]
    assert result.record.quarantined == 2


def test_a_bad_row_does_not_take_the_place_of_an_earlier_good_one(tmp_path):
    good, bad = chart(ALL), chart(minutes(3), low=[101.0])

    result = folded(lake_of(tmp_path, attempt(good), attempt(bad)))

    assert result.record.rows == 10
    assert result.record.quarantined == 1
    assert result.record.is_complete


def test_a_good_row_heals_a_bad_one(tmp_path):
    bad = attempt(chart(ALL, low=[101.0, *[100.0] * 9]))

    before = folded(lake_of(tmp_path, bad))
    after = folded(lake_of(tmp_path, attempt(chart(minutes(0)))))

    assert reasons(before) == {"quarantined"}
    assert after.record.is_complete


@pytest.mark.parametrize("result", [{"status": "no_data"}, {"status": "no_data", "ticks": []}])
def test_no_data_without_its_columns_is_an_empty_page(tmp_path, result):
    looks = [attempt(envelope(result)) for _ in range(2)]

    (gap,) = folded(lake_of(tmp_path, *looks)).record.gaps

    assert (gap.reason, gap.seen) == ("unexplained", 2)


def test_failed_attempts_are_counted_and_prove_nothing(tmp_path):
    failures = [attempt(body, outcome="HTTP 502") for body in (None, b"<html>", chart(ALL))]

    result = folded(lake_of(tmp_path, *failures))

    assert (result.record.attempts, result.record.rows) == (3, 0)
    assert reasons(result) == {"no_answer"}


def test_a_body_staged_as_good_that_does_not_decode_is_an_error_naming_its_attempt(tmp_path):
    lake = lake_of(tmp_path, attempt(b'{"result": {"ticks": "x"}}', name="odd-one"))

    with pytest.raises(EtlError, match="odd-one"):
        folded(lake)


def test_a_torn_segment_is_an_error_naming_it(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(ALL)))
    (path,) = MINUTES.raw_folder(lake, PARTITION).glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(CorruptFileError, match=path.name):
        folded(lake)


def test_rows_of_another_year_belong_to_another_partition(tmp_path):
    year = MINUTE * 60 * 24 * 366
    pages = [attempt(chart(ALL)), attempt(chart([START + year]), (START + year, START + 2 * year))]

    assert folded(lake_of(tmp_path, *pages)).record.rows == 10


def test_a_fold_depends_neither_on_how_attempts_lie_in_segments_nor_on_their_names(tmp_path):
    pages = [attempt(chart(minutes(*range(i, i + 4)), volume=[float(i)] * 4)) for i in (6, 0, 3, 0)]
    apart = folded(lake_of(tmp_path / "a", *pages))
    mixed = folded(lake_of(tmp_path / "b", *reversed(pages)))
    merged = lake_of(tmp_path / "c", *pages)
    raw.merge(MINUTES.raw_folder(merged, PARTITION), at_least=2)

    for other in (mixed, folded(merged)):
        assert other.rows.equals(apart.rows)
        assert msgspec.structs.replace(other.record, segments=()) == msgspec.structs.replace(
            apart.record, segments=()
        )


def test_funding_rows_describe_the_hour_before_them(tmp_path):
    ticks = [START + hour * HOUR for hour in range(1, 4)]
    window = (START, START + 4 * HOUR)
    page = attempt(funding(ticks), window, fetched=START + 3 * HOUR)
    terms = replace(TERMS, now_ms=START + 3 * HOUR)
    lake = lake_of(tmp_path, page, dataset=FUNDING_RATES, partition=FUNDED)

    result = folded_funding(lake, window, terms=terms)

    assert (result.record.rows, result.record.first_ms) == (3, ticks[0])
    assert [gap.reason for gap in result.record.gaps] == ["unexplained"]


def test_rows_read_soon_after_their_close_are_provisional(tmp_path):
    sent = START + 10 * MINUTE
    terms = replace(TERMS, rules=replace(RULES, settle_ms=3 * MINUTE))

    result = folded(lake_of(tmp_path, attempt(chart(ALL), fetched=sent)), terms=terms)

    assert [(r.start_ms, r.end_ms) for r in result.record.provisional] == [
        (START + 7 * MINUTE, START + 10 * MINUTE)
    ]


def test_publishing_the_same_again_touches_no_file(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(ALL)))
    publish(lake, PARTITION, folded(lake))
    files = [lake.clean(PARTITION), lake.ledger(PARTITION)]
    before = [(path.stat().st_mtime_ns, path.stat().st_ino) for path in files]

    publish(lake, PARTITION, folded(lake))

    assert [(path.stat().st_mtime_ns, path.stat().st_ino) for path in files] == before


def test_a_published_fold_reads_back_as_what_the_ledger_says(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(ALL)))
    result = folded(lake)

    publish(lake, PARTITION, result)

    assert read_record(lake, PARTITION) == result.record
    assert pl.read_parquet(lake.clean(PARTITION)).equals(pl.from_arrow(result.rows))


def test_quarantine_goes_once_its_rows_are_good(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(minutes(0), low=[101.0]), (START, START + MINUTE)))
    publish(lake, PARTITION, folded(lake))
    assert lake.quarantine(PARTITION).exists()

    publish(lake, PARTITION, folded(lake_of(tmp_path / "empty")))

    assert not lake.quarantine(PARTITION).exists()
