"""Rows with numbers: what is missing is known to the row; where no row stands, by the answer."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.proof.holes import MOST_PAGES
from etl.proof.protocol import LONGEST_WAIT_MS, Answer, Due, Numbers, Read, Rules, Terms
from etl.proof.sequence import SequenceProof
from etl.proof.witnesses import RECHECK_MS
from lake.ledger import Gap, Reading, Record
from lake.span import FOREVER, Span

HOUR = 3_600_000
DAY = Span(0, 24 * HOUR)
NOW = 100 * HOUR
PROOF = SequenceProof(page_rows=5, window_ms=10 * HOUR)
CALL, PUT = "BTC-27DEC24-100000-C", "BTC-27DEC24-90000-P"


def terms(confirm_after=HOUR, life=FOREVER, now=NOW):
    return Terms(life, now, Rules(0, confirm_after, ()))


def trades(*rows):
    """Rows as (hour, instrument, number)."""
    schema = {"hour": pl.Int64, "instrument": pl.String, "trade_seq": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    moment = (pl.col("hour") * HOUR * 1000).cast(pl.Datetime("us", "UTC"))
    return frame.select(moment.alias("timestamp"), "instrument", "trade_seq", attempt=0)


NONE = trades().with_columns(failed_check=pl.lit(""))


def answer(window=DAY, at=NOW, **said):
    """Return an answer; it has as many rows as there are in any test, unless it says less."""
    return Answer(window, at, is_ok=True, **({"rows": 99} | said))


def looked(of, first, last, at=NOW, window=DAY):
    """Return an answer that was asked for numbers."""
    return answer(window, at, numbers=Numbers(window.start_ms, window.end_ms, of, first, last))


def gaps(valid, answers, rejected=None, wanted=DAY, **facts):
    bad = (trades() if rejected is None else rejected).with_columns(failed_check=pl.lit("price:x"))
    return PROOF.gaps([wanted], valid, bad, answers, terms(**facts))


def missing(*args, **kwargs):
    """Return the gaps that are numbers, not stretches."""
    return tuple(gap for gap in gaps(*args, **kwargs) if gap.of)


def test_a_number_missing_between_two_that_are_held_is_a_gap_between_them():
    found = missing(trades((1, CALL, 7), (5, CALL, 10), (6, CALL, 11)), [answer()])

    assert found == (Gap(HOUR, 5 * HOUR + 1, "unexplained", seen=1, rows=2, of=CALL, first=8),)


def test_instruments_are_counted_apart():
    held = trades((1, CALL, 1), (2, PUT, 8), (3, CALL, 2), (4, PUT, 9))

    assert missing(held, [answer()]) == ()


def test_what_may_lie_in_time_nobody_wants_is_not_missing():
    held = trades((1, CALL, 1), (3, CALL, 3), (20, CALL, 8), (22, CALL, 10))
    bounds = Span(0, 4 * HOUR), Span(20 * HOUR, 24 * HOUR)
    asked = [*map(answer, bounds), looked(CALL, 4, 7, window=Span(3 * HOUR, 20 * HOUR))]

    found = PROOF.gaps(bounds, held, NONE, asked, terms())

    assert [(gap.first, gap.rows) for gap in found if gap.of] == [(2, 1), (9, 1)]
    assert [(gap.start_ms, gap.end_ms) for gap in found if not gap.of] == [
        (one.start_ms, one.end_ms) for one in bounds
    ]


def test_several_numbers_in_one_millisecond_are_all_asked_for():
    found = missing(trades((1, CALL, 1), (1, CALL, 3)), [answer()])

    assert [(gap.start_ms, gap.end_ms, gap.rows) for gap in found] == [(HOUR, HOUR + 1, 1)]


def test_a_number_that_came_and_broke_its_contract_is_not_missing():
    found = missing(trades((1, CALL, 1), (3, CALL, 3)), [answer()], rejected=trades((2, CALL, 2)))

    assert [(gap.reason, gap.of, gap.first) for gap in found] == [("quarantined", CALL, 2)]


def test_a_row_that_was_refused_in_one_answer_and_came_whole_in_another_is_not_missing():
    held = trades((1, CALL, 1), (2, CALL, 2))

    assert missing(held, [answer()], rejected=trades((2, CALL, 2))) == ()


def test_a_number_of_a_refused_row_beyond_all_others_opens_no_hole():
    found = missing(trades((1, CALL, 1)), [answer()], rejected=trades((2, CALL, 10**9)))

    assert [gap.reason for gap in found] == ["quarantined"]


@pytest.mark.parametrize(
    ("looks", "reason", "retry_at"),
    [
        ([0], "unexplained", None),
        ([0, 1], "unexplained", HOUR),
        ([0, HOUR], "lost", HOUR + RECHECK_MS),
        ([0, 1, HOUR], "lost", HOUR + RECHECK_MS),
        ([0, 9 * 24 * HOUR], "lost", 9 * 24 * HOUR + LONGEST_WAIT_MS),
    ],
)
def test_two_looks_that_lie_apart_show_that_a_number_is_lost(looks, reason, retry_at):
    held = trades((1, CALL, 1), (3, CALL, 3))

    (by_time,) = missing(held, [answer(at=at) for at in looks])
    (by_number,) = missing(held, [looked(CALL, 1, 9, at=at) for at in looks])

    assert (by_time.reason, by_time.retry_at_ms, by_time.seen) == (reason, retry_at, len(looks))
    assert by_number == by_time
    assert not by_time.is_settled


def test_who_asked_for_other_numbers_or_another_instrument_has_not_looked():
    held = trades((1, CALL, 1), (3, CALL, 4))
    others = [looked(PUT, 1, 9), looked(CALL, 3, 9), looked(CALL, 1, 1)]

    (gap,) = missing(held, [*others, looked(CALL, 2, 3)])

    assert (gap.first, gap.rows, gap.seen) == (2, 2, 1)


def test_a_hole_wider_than_a_page_is_looked_at_by_the_pages_that_are_asked_for():
    (wide,) = missing(held := trades((1, CALL, 1), (3, CALL, 10**12)), [])
    record = Record(gaps=(wide,))
    asks = PROOF.asks(record, within=DAY, due=Due(NOW, 0))
    looks = [looked(CALL, one.first, one.last, at=at) for one in asks for at in (0, HOUR)]

    (gap,) = missing(held, looks)
    (half,) = missing(held, looks[:-2])

    assert len(asks) == MOST_PAGES
    assert (gap.reason, gap.seen, gap.rows) == ("lost", 2, 10**12 - 2)
    assert (half.reason, half.seen) == ("unexplained", 0)


def test_a_stretch_wider_than_a_window_is_looked_at_by_all_that_cover_it():
    held = trades((1, CALL, 1), (20, CALL, 3))
    halves = [Span(0, 10 * HOUR), Span(10 * HOUR, 24 * HOUR)]

    once = missing(held, [answer(half, at=0) for half in halves])
    twice = missing(held, [answer(half, at=at) for half in halves for at in (0, HOUR)])
    one_half_twice = missing(held, [answer(DAY, at=0), answer(halves[0], at=HOUR)])

    assert [gap.reason for gap in (*once, *twice, *one_half_twice)] == [
        "unexplained", "lost", "unexplained",
    ]  # fmt: skip


def test_one_answer_settles_a_stretch_until_another_cut_differently_is_asked_for():
    held = trades((1, CALL, 1))
    halves = [answer(Span(0, 12 * HOUR)), answer(Span(12 * HOUR, 24 * HOUR))]

    assert gaps(held, [answer()]) == (Gap(0, 24 * HOUR, "seen_once", 1),)
    assert gaps(held, [answer(), answer(at=NOW + 1)]) == (Gap(0, 24 * HOUR, "seen_once", 1),)
    assert gaps(held, [answer(), *halves]) == ()


def test_an_answer_that_lacks_a_row_another_brought_speaks_for_nothing():
    held = trades((1, CALL, 1), (2, CALL, 2))

    assert [gap.reason for gap in gaps(held, [answer(rows=1)])] == ["truncated"]
    assert [gap.reason for gap in gaps(held, [answer(rows=1), answer(rows=2)])] == ["seen_once"]
    assert [gap.reason for gap in gaps(held, [answer(rows=1)] * 3)] == ["seen_once"]


def test_of_rows_that_may_not_be_visible_yet_an_answer_says_nothing():
    proof = replace(PROOF, late_ms=HOUR)

    found = proof.gaps([DAY], trades(), NONE, [answer(sent_ms=20 * HOUR)], terms(now=20 * HOUR))

    assert [(gap.reason, gap.start_ms) for gap in found] == [
        ("seen_once", 0), ("in_progress", 19 * HOUR),
    ]  # fmt: skip


def test_a_full_page_speaks_only_up_to_its_last_row():
    full = answer(first_ms=HOUR, last_ms=3 * HOUR, is_full=True)

    assert gaps(trades((1, CALL, 1), (3, CALL, 2)), [full]) == (
        Gap(0, 3 * HOUR, "seen_once", 1),
        Gap(3 * HOUR, 24 * HOUR, "truncated"),
    )


def page_of(*rows):
    """Rows of a page as (hour, instrument, number)."""
    schema = {"timestamp_ms": pl.Int64, "instrument_name": pl.String, "trade_seq": pl.Int64}
    hours = [(hour * HOUR, name, number) for hour, name, number in rows]
    return pl.DataFrame(hours, schema=schema, orient="row")


@pytest.mark.parametrize("number", [-5, 0, 2**62])
def test_a_number_that_is_none_is_counted_as_a_row(number):
    asked = f'{{"currency":"BTC","start_timestamp":0,"end_timestamp":{DAY.end_ms}}}'
    page = page_of((1, CALL, 1), (2, CALL, number))
    coded = page.with_columns(pl.col("instrument_name").cast(pl.Categorical))

    assert PROOF.heard(coded, Answer(DAY, NOW, is_ok=False, asked=asked))[1].rows == 2


def test_rows_nobody_asked_for_prove_nothing():
    rows, said = PROOF.heard(page_of((30, CALL, 1)), Answer(DAY, NOW, is_ok=False))

    assert (len(rows), said.is_ok, said.is_believed) == (0, True, False)
    assert said.doubt == f"1 rows outside what was asked for, the first at {30 * HOUR} ms"
    assert [gap.reason for gap in gaps(trades(), [said])] == ["doubted"]


def said_by(*rows, start=0, **members):
    """What a page says that was asked for from some hour of the day on."""
    asked = (
        f'{{"currency":"BTC","start_timestamp":{start * HOUR},"end_timestamp":{DAY.end_ms - 1}}}'
    )
    page = page_of(*rows).with_columns(**{name: pl.lit(value) for name, value in members.items()})
    return PROOF.heard(page, Answer(DAY, NOW, is_ok=False, asked=asked))[1]


def test_a_short_page_that_says_there_are_more_speaks_only_up_to_its_last_row():
    held = trades((1, CALL, 1), (3, CALL, 2))
    cut = said_by((1, CALL, 1), (3, CALL, 2), has_more=True)

    assert [(gap.reason, gap.start_ms) for gap in gaps(held, [cut])] == [
        ("seen_once", 0), ("truncated", 3 * HOUR),
    ]  # fmt: skip


def test_one_that_says_so_of_nothing_behind_its_first_moment_ends_its_window():
    held = trades((1, CALL, 1), (3, CALL, 2))
    pages = (
        said_by((1, CALL, 1), (3, CALL, 2), has_more=True),
        said_by((3, CALL, 2), start=3, has_more=True),
    )

    assert [gap.reason for gap in gaps(held, pages)] == ["seen_once"]


@pytest.mark.parametrize("hours", [(5, 4, 3, 2, 1), (3, 1, 5, 2, 4)])
def test_a_full_page_that_is_not_sorted_speaks_for_nothing(hours):
    rows = [(hour, CALL, hour) for hour in hours]

    (gap,) = gaps(trades(*rows), [said_by(*rows)])

    assert (gap.reason, gap.start_ms, gap.end_ms) == ("truncated", 0, 24 * HOUR)


def test_some_rows_of_a_full_page_may_have_changed_places():
    rows = [(hour, CALL, hour) for hour in (1, 3, 2, 4, 5)]

    assert [gap.reason for gap in gaps(trades(*rows), [said_by(*rows)])] == [
        "seen_once", "truncated",
    ]  # fmt: skip


def test_a_page_speaks_from_where_it_was_asked_and_counts_what_came_twice_once():
    asked = f'{{"currency":"BTC","start_timestamp":{2 * HOUR},"end_timestamp":{4 * HOUR - 1}}}'
    page = page_of((1, CALL, 1), (2, CALL, 2), (3, CALL, 3), (3, CALL, 3))

    rows, said = PROOF.heard(page, Answer(DAY, NOW, is_ok=False, asked=asked))

    assert said.window == Span(2 * HOUR, 4 * HOUR)
    assert (len(rows), said.rows, said.left_out) == (3, 2, 1)


def test_of_numbers_that_were_asked_for_only_those_are_taken():
    asked = f'{{"instrument_name":"{CALL}","start_seq":2,"end_seq":3}}'
    page = page_of((1, CALL, 1), (2, CALL, 2), (3, CALL, 4))

    rows, said = PROOF.heard(page, Answer(DAY, NOW, is_ok=False, asked=asked))
    others = PROOF.heard(page_of((2, PUT, 2)), Answer(DAY, NOW, is_ok=False, asked=asked))

    assert (rows["trade_seq"].to_list(), said.left_out) == ([2], 2)
    assert said.numbers == Numbers(0, 24 * HOUR, CALL, 2, 3)
    assert (len(others[0]), others[1].doubt) == (0, f"it has rows of others than {CALL}")


def test_a_page_with_rows_of_another_part_is_not_believed():
    proof = replace(PROOF, part_of=lambda names: names.str.head(3))
    asked = f'{{"currency":"BTC","start_timestamp":0,"end_timestamp":{4 * HOUR}}}'
    page = page_of((1, CALL, 1), (2, "ETH-27DEC24-4000-C", 2))

    rows, said = proof.heard(page, Answer(DAY, NOW, is_ok=False, asked=asked))

    assert (len(rows), said.doubt) == (
        0, "it has rows of another part than BTC, as ETH-27DEC24-4000-C",
    )  # fmt: skip


def test_where_no_answer_came_the_ledger_says_so():
    half = Span(0, 12 * HOUR)
    failed = Answer(half, NOW, is_ok=False)

    found = gaps(trades(), [failed], life=Span(HOUR, 2**53), now=20 * HOUR)

    assert found == (
        Gap(0, HOUR, "before_listing"),
        Gap(HOUR, 12 * HOUR, "no_answer"),
        Gap(12 * HOUR, 20 * HOUR, "not_asked"),
        Gap(20 * HOUR, 24 * HOUR, "in_progress"),
    )


def test_what_is_wanted_more_is_asked_for_and_what_was_in_progress_again():
    before = Record(wanted=(Span(0, 4 * HOUR),), gaps=(Gap(2 * HOUR, 4 * HOUR, "in_progress"),))

    after = PROOF.extend(before, [Span(0, 6 * HOUR)], terms())

    assert after.gaps == (Gap(2 * HOUR, 6 * HOUR, "not_asked"),)
    assert PROOF.asks(after, within=DAY, due=Due(NOW, 0)) == [Span(2 * HOUR, 6 * HOUR)]


def test_windows_are_no_wider_than_they_may_be_and_leave_out_what_is_settled_or_not_due():
    record = Record(
        gaps=(
            Gap(0, 24 * HOUR, "not_asked"),
            Gap(30 * HOUR, 31 * HOUR, "absent", 2),
            Gap(40 * HOUR, 41 * HOUR, "unexplained", 2, retry_at_ms=NOW + 1),
        ),
        provisional=(Reading(50 * HOUR, 51 * HOUR, read_ms=5),),
    )
    within = Span(0, 60 * HOUR)

    assert PROOF.asks(record, within=within, due=Due(NOW, 6)) == [
        Span(0, 10 * HOUR), Span(10 * HOUR, 20 * HOUR), Span(20 * HOUR, 24 * HOUR),
        Span(50 * HOUR, 51 * HOUR),
    ]  # fmt: skip
    assert PROOF.asks(record, within=within, due=Due(NOW, 5))[-1].end_ms < 50 * HOUR


def test_what_one_answer_saw_is_asked_for_again_only_by_name_and_cut_differently():
    record = Record(gaps=(Gap(0, 24 * HOUR, "seen_once", 1),))
    named = Due(NOW, 0, again=frozenset({"seen_once"}))

    assert PROOF.asks(record, within=DAY, due=Due(NOW, 0)) == []
    assert PROOF.asks(record, within=DAY, due=named) == [
        Span(0, 5 * HOUR), Span(5 * HOUR, 15 * HOUR), Span(15 * HOUR, 24 * HOUR),
    ]  # fmt: skip


def test_numbers_are_asked_for_by_instrument_those_a_page_holds_together():
    record = Record(
        gaps=(
            Gap(5, 9, "unexplained", of=CALL, first=8, rows=2),
            Gap(1, 2, "unexplained", of=CALL, first=6, rows=1),
            Gap(20, 30, "lost", of=CALL, first=11, rows=7),
            Gap(3, 4, "quarantined", of=PUT, first=2, rows=1),
            Gap(3, 4, "unexplained", of=PUT, first=9, rows=1, is_before=True),
        )
    )

    assert PROOF.asks(record, within=DAY, due=Due(NOW, 0)) == [
        Numbers(1, 9, CALL, 6, 9),
        Numbers(20, 30, CALL, 11, 15),
        Numbers(20, 30, CALL, 16, 17),
        Numbers(3, 4, PUT, 2, 2),
    ]


def test_a_number_that_is_no_number_is_not_asked_for_for_ever():
    record = Record(gaps=(Gap(5, 9, "unexplained", of=CALL, first=8, rows=10**9),))

    assert len(PROOF.asks(record, within=DAY, due=Due(NOW, 0))) == MOST_PAGES


def test_a_row_that_broke_its_contract_twice_is_asked_for_a_day_later():
    looks = [answer(at=0), answer(at=1)]

    (gap,) = missing(trades(), looks, rejected=trades((2, CALL, 2)))

    assert (gap.reason, gap.retry_at_ms) == ("quarantined", 1 + RECHECK_MS)


def test_what_was_read_soon_is_read_again():
    read = Read(fetched_ms=pl.Series([7]).to_numpy(), sent_ms=pl.Series([3 * HOUR]).to_numpy())
    held = trades((1, CALL, 1), (2, CALL, 2)).with_columns(attempt=pl.lit(0, pl.UInt32))

    assert PROOF.provisional(held, read, HOUR + 1) == (Reading(2 * HOUR, 2 * HOUR + 1, 7),)


def test_missing_rows_are_counted_by_reason_and_a_stretch_as_one():
    records = [
        Record(gaps=(Gap(0, 5, "absent", rows=3), Gap(5, 9, "not_asked"))),
        Record(gaps=(Gap(20, 25, "absent", rows=2),)),
    ]

    assert PROOF.count(records) == {"absent": 5, "not_asked": 1}


@given(st.sets(st.tuples(st.sampled_from([CALL, PUT]), st.integers(1, 20)), max_size=30))
def test_of_any_rows_exactly_the_numbers_between_are_missing(kept):
    held = trades(*((number, name, number) for name, number in sorted(kept)))
    between = {
        (name, number)
        for name in (CALL, PUT)
        if (mine := [number for one, number in kept if one == name])
        for number in range(min(mine), max(mine))
    }

    found = missing(held, [answer()])

    named = {(gap.of, number) for gap in found for number in range(gap.first, gap.first + gap.rows)}
    assert named == between - kept
