"""What each source told of a year, from all that was staged of its pages.

An answer lists all its days, so the newest counts; a day it lacks that one before it had is kept,
and so is one that it has no rate of any more. So every answer is looked at, however old.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.deribit.answer import OK
from etl.errors import RatePageError
from etl.rates.pages import FRED, TREASURY, Page, day_at, folder_of, pages_of
from lake import raw
from lake.partition import Partition
from lake.paths import Lake
from validators.schemas.treasury_bills import TENORS

COLUMNS: dict[str, pl.DataType] = {
    "day": pl.Date(),
    **dict.fromkeys(TENORS, pl.Float64()),
    "refused": pl.String(),
    "attempt_id": pl.String(),
    "heard_ms": pl.Int64(),
}
"""A row of what a source has of a day: yields [%], what is wrong with it, who said it and when."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """When a page was last asked for, and when it last came [ms]; None for never."""

    asked_ms: int | None = None
    came_ms: int | None = None


NEVER = Attempts()
_WRITTEN = re.compile(rb"(?<!<updated>)\b(\d{4}-\d{2}-\d{2})([^\r\n]{0,24})", re.ASCII)
"""Whatever may be a day in a body, and what follows: all days of a page, and few that are none."""


@dataclass(slots=True)
class _Read:
    """What was read of a page so far, the newest answer first."""

    page: Page
    frames: list[pl.DataFrame] = field(default_factory=list)
    days: set[date] = field(default_factory=set)
    came_ms: int | None = None
    _with_curve: set[bytes] = field(default_factory=set)
    _lines: set[tuple[bytes, bytes]] = field(default_factory=set)

    def add(self, attempt_id: str, at_ms: int, body: bytes) -> None:
        """Add the days of an answer that no newer one has a rate of."""
        written = set(_WRITTEN.findall(body))
        if self.came_ms is not None and self._adds_none(written):
            return  # to parse it would take ten times as long
        try:
            rows = self.page.read(body).unique(maintain_order=True)
        except RatePageError:
            return  # a version before this one took it for a page
        told = rows.with_columns(
            _with_twice(),
            attempt_id=pl.lit(attempt_id),
            heard_ms=pl.lit(at_ms, pl.Int64),
        )
        self.came_ms = self.came_ms or at_ms
        self.days |= set(told["day"])
        told = told.filter(_has_curve(told))
        for newer in self.frames:
            told = told.join(newer, on="day", how="anti")
        if len(told) or not self.frames:
            self.frames.append(told)
        self._with_curve |= {f"{day}".encode() for day in told["day"]}
        if self.page.source == FRED:  # whose line is all it says of a day
            self._lines |= written

    def _adds_none(self, written: set[tuple[bytes, bytes]]) -> bool:
        """Whether each day that is written is known to have a rate, or to have none there."""
        new = written - self._lines
        return bool(written) and self._with_curve.issuperset(day for day, _ in new)

    @property
    def rows(self) -> pl.DataFrame:
        """All rows that say something, each day's from the newest answer that has it."""
        if not self.frames:
            return pl.DataFrame(schema={"day": pl.Date})
        return pl.concat(self.frames)

    @property
    def spoken_for(self) -> date | None:
        """Up to which day the page says of every day whether it has a curve; None for none."""
        if self.came_ms is None:
            return None
        if self.came_ms >= self.page.is_final_ms:
            return day_at(self.page.span.end_ms - 1)
        return max((day for day in self.days if day <= day_at(self.came_ms)), default=None)


@dataclass(frozen=True, slots=True)
class Told:
    """What a source told of a year.

    Attributes
    ----------
    rows
        A row a day, with the columns of `COLUMNS`; several where one answer contradicts itself.
    spoken_for
        Up to which day it said of every day whether it has a curve; None where it never did.
    asked_ms, came_ms
        When a page was last asked for, and when one of the year itself last came [ms].
    """

    rows: pl.DataFrame
    spoken_for: date | None
    asked_ms: int | None
    came_ms: int | None


def told_by(lake: Lake, source: str, partition: Partition) -> Told:
    """Return what a source told of a year, and of the December before.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    """
    pages = {one.key: _Read(one) for one in pages_of(int(partition.period), [source])}
    for key, attempt_id, at_ms, body in _newest_first(lake, source, partition):
        if key in pages:
            pages[key].add(attempt_id, at_ms, body)
    read = list(pages.values())
    of_year = [each for each in read if not each.page.is_before]
    spoken = [each.spoken_for for each in of_year]
    attempts = attempts_of(lake, source, partition).values()
    return Told(
        _joined([each.rows for each in read if each.frames], is_stacked=source == TREASURY),
        None if None in spoken else min(day for day in spoken if day is not None),
        max((one.asked_ms for one in attempts if one.asked_ms is not None), default=None),
        max((each.came_ms for each in of_year if each.came_ms is not None), default=None),
    )


def attempts_of(lake: Lake, source: str, partition: Partition) -> dict[str, Attempts]:
    """Return what is known of each page of a source, by its key.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    """
    found: dict[str, Attempts] = {}
    table = raw.read(folder_of(lake, source, partition))
    keys, outcomes = table["params"].to_pylist(), table["outcome"].to_pylist()
    for key, at_ms, outcome in zip(keys, _heard_ms(table), outcomes, strict=True):
        came_ms = at_ms if outcome == OK else found.get(key, NEVER).came_ms
        found[key] = Attempts(at_ms, came_ms)
    return found


def _heard_ms(attempts: pa.Table) -> list[int]:
    """Return when each attempt was made [ms]: by our clock or the source's, whichever is behind.

    A clock that is ahead would take a year for finished, and what has not come for a holiday.
    """
    ours, theirs = attempts["fetched_at"].cast(pa.int64()), attempts["us_out"]
    heard: list[int] = pc.min_element_wise(ours, theirs).to_pylist()
    return [us // 1000 for us in heard]


def _newest_first(
    lake: Lake, source: str, partition: Partition
) -> Iterator[tuple[str, str, int, bytes]]:
    """Yield page, attempt, moment [ms] and body of every good answer, the newest first."""
    folder = folder_of(lake, source, partition)
    for name in reversed(raw.segments(folder)):
        table = raw.read(folder, [name])
        ids, keys = table["attempt_id"].to_pylist(), table["params"].to_pylist()
        known = {one: (key, at) for one, key, at in zip(ids, keys, _heard_ms(table), strict=True)}
        for attempt_id, body in sorted(raw.bodies(folder, OK, [name]), reverse=True):
            key, at_ms = known[attempt_id]
            yield key, attempt_id, at_ms, body


def _with_twice() -> pl.Expr:
    """Return what is wrong with a row: of two of a day that differ neither is believed."""
    twice = pl.when(pl.len().over("day") > 1).then(pl.lit("came_twice"))
    words = pl.concat_str("refused", twice, separator=",", ignore_nulls=True)
    return words.replace("", None).alias("refused")


def _has_curve(rows: pl.DataFrame) -> pl.Expr:
    """Whether a row has a rate, or what is none in its place."""
    return pl.any_horizontal(pl.col("refused", *(set(TENORS) & set(rows.columns))).is_not_null())


def _joined(frames: list[pl.DataFrame], *, is_stacked: bool) -> pl.DataFrame:
    """Return the pages of a source as one: below each other, or a series beside the other."""
    none = pl.DataFrame(schema=COLUMNS)
    if is_stacked or not frames:
        return pl.concat([none, *frames], how="diagonal").select(*COLUMNS)
    wide = frames[0]
    for number, each in enumerate(frames[1:]):
        other = each.rename({name: f"{name}_{number}" for name in _SAID})
        wide = wide.join(other, on="day", how="full", coalesce=True)
        wide = wide.with_columns(_both(name, f"{name}_{number}") for name in _SAID)
    return pl.concat([none, wide], how="diagonal").select(*COLUMNS)


_SAID = ("refused", "attempt_id", "heard_ms")


def _both(name: str, other: str) -> pl.Expr:
    if name == "heard_ms":
        return pl.max_horizontal(name, other).alias(name)
    words = pl.concat_str(name, other, separator=",", ignore_nulls=True)
    return words.replace("", None).alias(name)
