"""Days and their curves, whichever come: nothing from the future, no day twice, no gap twice."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.rates.answers import Told
from etl.rates.days import Evidence, business_days, calendar, gaps, not_asked
from etl.rates.holidays import may_be_closed
from etl.rates.pages import day_at, midnight_ms
from lake.ledger import SETTLED
from lake.span import DAY_MS, Span
from tests.etl.rates.staged import ms, span
from validators import contract
from validators.schemas.treasury_bills import TENORS, TreasuryBills

FIRST = date(2024, 3, 20)
SCHEMA = {name: one.dtype.type for name, one in TreasuryBills.to_schema().columns.items()}
NONE = pl.DataFrame(schema={"day": pl.Date})
numbers = st.integers(0, 40)
days = numbers.map(lambda n: FIRST + timedelta(days=n))
moments = st.integers(0, 41 * 24).map(lambda hours: midnight_ms(FIRST) + hours * 3_600_000)
spans = st.tuples(days, numbers).map(
    lambda one: Span(midnight_ms(one[0]), midnight_ms(one[0]) + one[1] * DAY_MS)
)
told = st.builds(
    Told,
    st.just(NONE),
    st.none() | days,
    st.none() | moments,
    st.none() | moments,
)


def curves_of(published):
    rows = [
        {
            "timestamp": (at := datetime(day.year, day.month, day.day, tzinfo=UTC)),
            "published_on": at,
            "currency": "USD",
            "source": "fred",
            "is_carried": False,
            **dict.fromkeys(TENORS, day.day / 1000),
        }
        for day in sorted(published)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


@given(published=st.frozensets(days), wanted=spans, until_ms=moments)
def test_a_row_has_the_last_curve_up_to_its_day_and_none_of_a_later_one(
    published, wanted, until_ms
):
    rows = calendar(curves_of(published), [wanted], until_ms)
    expected = []
    for at in range(wanted.start_ms, min(wanted.end_ms, until_ms), DAY_MS):
        day = day_at(at)
        known = [one for one in published if one <= day]
        expected += [(day, max(known), max(known) != day)] if known else []

    contract.check(rows, TreasuryBills)
    found = rows.select(
        pl.col("timestamp").dt.date(), pl.col("published_on").dt.date(), "is_carried"
    ).rows()
    assert found == expected
    assert rows["rate_3m"].to_list() == [last.day / 1000 for _, last, _ in expected]


@settings(max_examples=200)
@given(
    published=st.frozensets(days),
    doubted=st.frozensets(days),
    sources=st.tuples(told, told),
    wanted=spans,
)
def test_every_business_day_without_a_curve_is_one_gap_and_no_other_day(
    published, doubted, sources, wanted
):
    found = gaps(Evidence(published, doubted, sources), [wanted])
    missing = [day for day in business_days([wanted]) if day not in published]
    in_gaps = [day_at(at) for gap in found for at in range(gap.start_ms, gap.end_ms, DAY_MS)]

    assert in_gaps == missing
    assert not any(map(may_be_closed, in_gaps))
    for gap in found:
        assert gap.seen == 2 if gap.reason == "absent" else gap.seen < 2
        assert gap.reason not in SETTLED or gap.reason in {"absent", "in_progress"}


def test_stretches_of_one_reason_are_one_gap_and_weekends_lie_between():
    (first, second) = not_asked([span("2024-05-08", "2024-05-15")])

    assert (first.start_ms, first.end_ms) == (ms("2024-05-08"), ms("2024-05-11"))
    assert (second.start_ms, second.end_ms) == (ms("2024-05-13"), ms("2024-05-15"))
