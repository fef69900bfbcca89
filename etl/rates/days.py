"""A row for every calendar day, and the days whose curve is missing, with the reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from etl.rates.answers import Told
from etl.rates.holidays import may_be_closed
from etl.rates.pages import day_at, midnight_ms
from lake.ledger import Gap, Reason
from lake.span import DAY_MS, Span, clip
from validators.schemas.treasury_bills import TreasuryBills

DUE_MS = DAY_MS * 3 // 2
"""A day's curve is owed from noon of the next day in UTC: it is out by 18:00 in New York."""
_COLUMNS = list(TreasuryBills.to_schema().columns)


def calendar(curves: pl.DataFrame, wanted: Sequence[Span], until_ms: int) -> pl.DataFrame:
    """Return a row for every wanted day up to a moment: its curve, or the last one before it.

    Parameters
    ----------
    curves
        One row a published day, sorted, with the columns of the dataset.
    wanted
        The days, as spans of whole ones.
    until_ms
        When the sources were last heard [ms]: nothing is carried beyond that day.
    """
    spans = (clip(span, Span(0, until_ms)) for span in wanted)
    ticks = [ms for span in spans for ms in range(span.start_ms, span.end_ms, DAY_MS)]
    days = pl.DataFrame({"day": ticks}, schema={"day": pl.Int64}).select(
        pl.from_epoch("day", "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("day")
    )
    told = days.sort("day").join_asof(
        curves.drop("timestamp"), left_on="day", right_on="published_on", coalesce=False
    )
    is_carried = pl.col("published_on") < pl.col("day")
    kept = told.drop_nulls("published_on").with_columns(is_carried=is_carried)
    return kept.rename({"day": "timestamp"}).select(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the days of a year.

    Attributes
    ----------
    published, doubted
        The days that have a curve, and those that have one which is not believed.
    told
        What each source said.
    """

    published: frozenset[date]
    doubted: frozenset[date]
    told: tuple[Told, ...]

    @property
    def came_ms(self) -> int | None:
        """When a page of either last came [ms]."""
        return max((one.came_ms for one in self.told if one.came_ms is not None), default=None)

    @property
    def asked_ms(self) -> int | None:
        """When a page of either was last asked for [ms]."""
        return max((one.asked_ms for one in self.told if one.asked_ms is not None), default=None)


def gaps(evidence: Evidence, wanted: Sequence[Span]) -> tuple[Gap, ...]:
    """Return the business days without a curve that are wanted, and why each is."""
    owed = (day for day in business_days(wanted) if day not in evidence.published)
    return _stretches((day, *_reason(evidence, day)) for day in owed)


def not_asked(wanted: Sequence[Span]) -> tuple[Gap, ...]:
    """Return the gaps that days are before anybody asked for them."""
    return _stretches((day, "not_asked", 0) for day in business_days(wanted))


def business_days(spans: Sequence[Span]) -> Iterator[date]:
    """Yield the days of some spans that a curve is owed for, as far as rules say it."""
    for span in spans:
        for ms in range(span.start_ms, span.end_ms, DAY_MS):
            if not may_be_closed(day := day_at(ms)):
                yield day


def _stretches(days: Iterable[tuple[date, Reason, int]]) -> tuple[Gap, ...]:
    """Return days as gaps, those that follow each other for one reason as one."""
    found: list[Gap] = []
    for day, reason, seen in days:
        start = midnight_ms(day)
        last = found[-1] if found else None
        if last and (last.end_ms, last.reason, last.seen) == (start, reason, seen):
            start = found.pop().start_ms
        found.append(Gap(start, midnight_ms(day) + DAY_MS, reason, seen))
    return tuple(found)


def _reason(evidence: Evidence, day: date) -> tuple[Reason, int]:
    """Return why a business day has no curve, and how many sources say that it has none.

    What both say is a holiday, though no rule says it.
    """
    if day in evidence.doubted:
        return "quarantined", 0
    seen = sum(one.spoken_for is not None and day <= one.spoken_for for one in evidence.told)
    if seen:
        return ("absent" if seen == len(evidence.told) else "unexplained"), seen
    due_ms = midnight_ms(day) + DUE_MS
    if evidence.asked_ms is None:
        return "not_asked", 0
    if evidence.came_ms is not None and due_ms <= evidence.came_ms:
        return "unexplained", 0
    return ("in_progress" if evidence.asked_ms < due_ms else "no_answer"), 0
