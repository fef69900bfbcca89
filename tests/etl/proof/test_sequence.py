"""Rows with numbers: what is missing is known to the row; where no row stands, by the answer."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.proof.protocol import Answer, Due, Read, Rules, Terms
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


def answer(window=DAY, at=NOW, **said):
    return Answer(window, at, is_ok=True, **said)


def gaps(valid, answers, rejected=None, wanted=DAY, **facts):
    bad = trades() if rejected is None else rejected
    return PROOF.gaps([wanted], valid, bad, answers, terms(**facts))


def test_a_number_missing_between_two_that_are_held_is_a_gap_between_them():
    found = gaps(trades((1, CALL, 7), (5, CALL, 10), (6, CALL, 11)), [answer()])

    assert found == (Gap(HOUR, 5 * HOUR + 1, "unexplained", seen=1, rows=2),)


def test_instruments_are_counted_apart():
    held = trades((1, CALL, 1), (2, PUT, 8), (3, CALL, 2), (4, PUT, 9))

    assert gaps(held, [answer()]) == ()


def test_several_numbers_in_one_millisecond_are_all_asked_for():
    found = gaps(trades((1, CALL, 1), (1, CALL, 3)), [answer()])

    assert [(gap.start_ms, gap.end_ms, gap.rows) for gap in found] == [(HOUR, HOUR + 1, 1)]


def test_a_number_that_came_and_broke_its_contract_is_not_missing():
    found = gaps(trades((1, CALL, 1), (3, CALL, 3)), [answer()], rejected=trades((2, CALL, 2)))

    assert [(gap.reason, gap.rows) for gap in found] == [("quarantined", 1)]


@pytest.mark.parametrize(
    ("looks", "reason", "retry_at"),
    [
        ([0], "unexplained", None),
        ([0, 1], "unexplained", HOUR),
        ([0, HOUR], "absent", None),
        ([0, 1, HOUR], "absent", None),
    ],
)
def test_two_looks_that_lie_apart_settle_a_missing_number(looks, reason, retry_at):
    held = trades((1, CALL, 1), (3, CALL, 3))

    (gap,) = gaps(held, [answer(at=at) for at in looks])

    assert (gap.reason, gap.retry_at_ms, gap.seen) == (reason, retry_at, len(looks))


def test_a_stretch_wider_than_a_window_is_looked_at_by_all_that_cover_it():
    held = trades((1, CALL, 1), (20, CALL, 3))
    halves = [Span(0, 10 * HOUR), Span(10 * HOUR, 24 * HOUR)]

    once = gaps(held, [answer(half, at=0) for half in halves])
    twice = gaps(held, [answer(half, at=at) for half in halves for at in (0, HOUR)])
    one_half_twice = gaps(held, [answer(DAY, at=0), answer(halves[0], at=HOUR)])

    assert [gap.reason for gap in (*once, *twice, *one_half_twice)] == [
        "unexplained", "absent", "unexplained",
    ]  # fmt: skip


def test_a_full_page_speaks_only_up_to_its_last_row():
    full = answer(first_ms=HOUR, last_ms=3 * HOUR, is_full=True)

    assert gaps(trades((1, CALL, 1), (3, CALL, 2)), [full]) == (
        Gap(3 * HOUR, 24 * HOUR, "truncated"),
    )


def test_rows_nobody_asked_for_prove_nothing():
    page = pl.DataFrame({"timestamp_ms": [30 * HOUR]})

    rows, said = PROOF.heard(page, Answer(DAY, NOW, is_ok=False))

    assert (len(rows), said.is_ok, said.is_believed) == (0, True, False)
    assert said.doubt == f"1 rows outside what was asked for, the first at {30 * HOUR} ms"
    assert [gap.reason for gap in gaps(trades(), [said])] == ["doubted"]


def test_where_no_answer_came_the_ledger_says_so():
    half = Span(0, 12 * HOUR)
    failed = Answer(half, NOW, is_ok=False)

    found = gaps(trades(), [failed], life=Span(HOUR, 2**53), now=20 * HOUR)

    assert found == (
        Gap(0, HOUR, "before_listing"),
        Gap(HOUR, 20 * HOUR, "no_answer"),
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


def test_a_row_that_broke_its_contract_twice_is_asked_for_a_day_later():
    looks = [answer(at=0), answer(at=1)]

    (gap,) = gaps(trades(), looks, rejected=trades((2, CALL, 2)))

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

    found = gaps(held, [answer()])

    assert sum(gap.rows for gap in found) == len(between - kept)
    for name, number in between - kept:
        assert any(gap.start_ms <= number * HOUR < gap.end_ms for gap in found), name
