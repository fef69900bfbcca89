"""Numbers held against each other from one partition to the next, and from the first of all on.

An instrument's rows are counted from 1 over its whole life. Where the first number of one partition
does not follow the last of those before it, rows are missing; where they lie nobody knows, but
between those two moments. What may lie in time nobody wants is not owed.
"""

from collections.abc import Sequence

import polars as pl

from etl.proof.holes import asked_for, lost_or_asked_again
from etl.proof.protocol import Numbers, Terms
from lake.ledger import Gap, Look
from lake.span import Span

EDGES = {
    "instrument": pl.String(), "first": pl.Int64(), "first_ms": pl.Int64(), "last": pl.Int64(),
    "last_ms": pl.Int64(),
}  # fmt: skip
"""Of the rows of a partition, by instrument: the first and the last number, and when they were."""


def edges_of(rows: pl.LazyFrame, number: str, of: str) -> pl.DataFrame:
    """Return the `EDGES` of rows that have a `timestamp`, a number and an instrument."""
    ms = pl.col("timestamp").dt.epoch("ms")
    at = pl.col(number)
    return (
        rows.group_by(pl.col(of).alias("instrument"))
        .agg(
            at.min().alias("first"),
            ms.filter(at == at.min()).first().alias("first_ms"),
            at.max().alias("last"),
            ms.filter(at == at.max()).first().alias("last_ms"),
        )
        .collect()
    )


def with_refused(edges: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
    """Return edges of a partition with rows that came and are not used: they are not missing.

    A refused row may have any number: one far beyond the others is no number.
    """
    of = "instrument"
    last = pl.col("last").fill_null(0) + pl.len().over(of)
    known = refused.join(edges, on=of, how="left").filter(pl.col("number").is_between(1, last))
    mine = known.group_by(of).agg(
        pl.col("number").min().alias("low"), pl.col("ms").min().alias("low_ms"),
        pl.col("number").max().alias("high"), pl.col("ms").max().alias("high_ms"),
    )  # fmt: skip
    both = edges.join(mine, on=of, how="full", coalesce=True)
    is_lower = (pl.col("low") < pl.col("first")).fill_null(pl.col("first").is_null())
    is_higher = (pl.col("high") > pl.col("last")).fill_null(pl.col("last").is_null())
    return both.select(
        of,
        pl.when(is_lower).then("low").otherwise("first").alias("first"),
        pl.when(is_lower).then("low_ms").otherwise("first_ms").alias("first_ms"),
        pl.when(is_higher).then("high").otherwise("last").alias("last"),
        pl.when(is_higher).then("high_ms").otherwise("last_ms").alias("last_ms"),
    )


def holes_before(
    edges: Sequence[pl.DataFrame], births: pl.DataFrame, covered: Sequence[Span]
) -> list[list[Numbers]]:
    """Return the numbers that are missing before the first ones of each partition, in order.

    Parameters
    ----------
    edges
        Those of all partitions of a part, in order of time.
    births
        `instrument` and when it was listed, `creation_timestamp` [ms]; one that is not there has
        nothing missing before its first number.
    covered
        The time that is wanted.
    """
    frames = [one.with_columns(place=pl.lit(i)) for i, one in enumerate(edges)]
    held = pl.concat([pl.DataFrame(schema=EDGES | {"place": pl.Int32()}), *frames])
    before = pl.col("last").cum_max().shift().over("instrument", order_by="place")
    since = pl.col("last_ms").shift().over("instrument", order_by="place")
    missing = (
        held.join(births, on="instrument", how="left")
        .with_columns(before=before, since=since)
        .filter(pl.col("first") > pl.col("before").fill_null(0) + 1)
        .with_columns(pl.col("since").fill_null(pl.col("creation_timestamp")))
        .drop_nulls("since")
        .sort("place", "instrument")
        .select("place", "since", "first_ms", "instrument", "before", "first")
    )
    found: list[list[Numbers]] = [[] for _ in edges]
    for place, start, end, of, last_before, first in missing.iter_rows():
        hole = Span(min(start, end), max(start, end) + 1)
        if any(one.holds(hole) for one in covered):
            numbers = Numbers(hole.start_ms, hole.end_ms, of, (last_before or 0) + 1, first - 1)
            found[place].append(numbers)
    return found


def repeats_of(edges: Sequence[pl.DataFrame]) -> list[list[Numbers]]:
    """Return the numbers of each partition that partitions before it had already, in order."""
    frames = [one.with_columns(place=pl.lit(i)) for i, one in enumerate(edges)]
    held = pl.concat([pl.DataFrame(schema=EDGES | {"place": pl.Int32()}), *frames])
    before = pl.col("last").cum_max().shift().over("instrument", order_by="place")
    again = (
        held.with_columns(before=before)
        .filter(pl.col("first") <= pl.col("before"))
        .with_columns(until=pl.min_horizontal("last", "before"))
        .sort("place", "instrument")
        .select("place", "first_ms", "last_ms", "instrument", "first", "until")
    )
    found: list[list[Numbers]] = [[] for _ in edges]
    for place, start, end, of, first, last in again.iter_rows():
        found[place].append(Numbers(min(start, end), max(start, end) + 1, of, first, last))
    return found


def repeat_gap(again: Numbers) -> Gap:
    """Return the gap of numbers that came again: which of the rows they are of nobody knows."""
    rows = again.last - again.first + 1
    return Gap(
        again.start_ms, again.end_ms, "renumbered", 2,
        rows=rows, of=again.of, first=again.first, is_before=True,
    )  # fmt: skip


def seam_gap(hole: Numbers, looks: Sequence[Look], terms: Terms, page_rows: int) -> Gap:
    """Return the gap of numbers that are missing before the first of a partition."""
    times = asked_for(hole, looks, page_rows)
    return lost_or_asked_again(hole, times, terms, is_before=True)
