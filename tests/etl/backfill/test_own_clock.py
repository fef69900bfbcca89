"""Our own clock may be put back between two runs: what the exchange sent later counts."""

import msgspec
import polars as pl
import pytest

from etl.backfill.fold import fold
from etl.proof.protocol import Due, Rules, Terms
from lake.ledger import Gap, Reading
from lake.span import Span
from tests.etl.staged import HOUR, MINUTES, NOW, PARTITION, START, attempt, chart, lake_of, minutes

SENT = minutes(*range(10))[-1] + HOUR
RULES = Rules(settle_ms=2 * HOUR, confirm_after_ms=0, outages=())
WANTED = [Span(START, START + 10 * 60_000)]
TERMS = Terms(life=Span(0, 2**53), now_ms=NOW, rules=RULES)


def sent(body, at, *, fetched):
    """An answer by the exchange's clock and ours."""
    return msgspec.structs.replace(attempt(body, fetched=fetched), us_out=at * 1000)


@pytest.mark.parametrize("later", [30, 120])
def test_what_the_exchange_sent_later_counts_whatever_our_clock_said(tmp_path, later):
    ticks = minutes(*range(10))
    first = sent(chart(ticks, volume=[1.0] * 10), SENT, fetched=NOW + 48 * HOUR)
    again = sent(chart(ticks), SENT + later * 60_000, fetched=NOW)

    found = fold(
        lake_of(tmp_path, first, again), MINUTES, PARTITION, [Span(ticks[0], ticks[-1] + 1)], TERMS
    )

    assert set(pl.from_arrow(found.rows)["volume"]) == {2.0}


def test_a_reading_of_a_time_to_come_is_read_again():
    due = Due(clock_ms=NOW, read_since_ms=NOW - HOUR)

    read = [due.has_read(Reading(0, 1, NOW + moved)) for moved in (-2 * HOUR, -1, 0, HOUR)]

    assert read == [False, True, True, False]


def test_time_that_only_a_wrong_clock_saw_go_by_settles_nothing(tmp_path):
    ahead = sent(chart([]), SENT, fetched=NOW + 400 * 24 * HOUR)
    right = sent(chart([]), SENT + HOUR, fetched=NOW)

    found = fold(lake_of(tmp_path, ahead, right), MINUTES, PARTITION, WANTED, TERMS)

    (gap,) = found.record.gaps
    assert (gap.reason, gap.seen) == ("unexplained", 2)
    assert gap.retry_at_ms < NOW + 3 * 24 * HOUR


@pytest.mark.parametrize(("reason", "days"), [("unexplained", 3), ("absent", 31)])
def test_a_wait_longer_than_any_was_set_by_a_clock_that_was_put_back(reason, days):
    due = Due(clock_ms=NOW, read_since_ms=NOW)

    waits = [
        due.has(Gap(0, 1, reason, 2, NOW + days * 24 * HOUR + moved)) for moved in (-1, 0, 1, HOUR)
    ]

    assert waits == [False, False, True, True]
