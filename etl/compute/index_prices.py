"""Index prices, from whatever in the lake has seen one: a pure function of clean datasets.

An hourly funding row carries the index at its hour, and the one an hour before: the second stands
in for a row that is missing. What was heard over a socket tells it at every full minute. Where two
sources tell a moment the better one is believed; the view `index_conflicts` lists where those of
funding differ.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import polars as pl

from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.record import Listing
from etl.proof.protocol import Ticks, ticks_of
from etl.proof.witnesses import missing
from lake.ledger import Gap
from lake.partition import Partition
from lake.span import Span, by_period, clip, union
from validators.schemas.index_prices import IndexPrices

NAME, FUNDING, HEARD = "index_prices", "funding_rates", "index_minutes"
SOURCES = ("funding", "funding_previous", "socket")
"""Where a price may come from, the most believed first."""
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
OLDEST_MS = 5_000  # what was heard before a full minute stands for the price at it


def derive(funding: pl.LazyFrame, heard: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return the prices of an index that funding rates of its perpetuals carry, or sockets did.

    Parameters
    ----------
    funding
        Rows of `funding_rates`, in any order.
    heard
        Rows of `index_minutes`, in any order: the last price before a full minute is that at it,
        where it is not older than `OLDEST_MS`.

    Returns
    -------
    LazyFrame
        `timestamp`, `instrument` (the index), `price` [quote currency], `source`; sorted, one row
        a moment, of the most believed source.
    """
    now = funding.select("timestamp", price="index_price", rank=pl.lit(0))
    before = funding.select(
        pl.col("timestamp").dt.offset_by("-1h"), price="prev_index_price", rank=pl.lit(1)
    )
    minute = pl.col("timestamp").dt.offset_by("1m")
    is_recent = minute - pl.col("closed_at") <= pl.duration(milliseconds=OLDEST_MS)
    last = heard.filter(is_recent).select(minute, price="close", rank=pl.lit(2))
    best = pl.concat([now, before, last]).sort("timestamp", "rank", "price")
    source = pl.col("rank").replace_strict(range(len(SOURCES)), SOURCES, return_dtype=pl.String())
    return best.unique("timestamp", keep="first", maintain_order=True).select(
        "timestamp", pl.lit(index).alias("instrument"), "price", source.alias("source")
    )


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the years of every index that funding rates tell of, or should, or that was heard."""
    del options
    sources: dict[str, list[Partition]] = {}
    for one in sorted(held):
        if one.dataset == FUNDING:
            sources.setdefault(listing.index_of(one.part), []).append(one)
        elif one.dataset == HEARD:
            sources.setdefault(one.part, []).append(one)
    for index, partitions in sorted(sources.items()):
        years = {year for one in partitions for year in by_period(_told(held, one), "year")}
        for year in sorted(years):
            mine = Partition(NAME, index, year)
            inputs = tuple(one for one in partitions if _told(held, one).meets(mine.span))
            # What is owed, and why a row is missing, is told by the ledger and not by the rows.
            owed = tuple((held[one].wanted, held[one].gaps) for one in _funded(inputs))
            yield Task(mine, inputs, owed, group="index prices")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the prices of each year, with what is missing of them and why."""
    for task in todo:
        span, owed = task.partition.span, _funded(task.inputs)
        there = [one for one in task.inputs if held[one].rows]
        funding = _read(read, _funded(there), _SCHEMA)
        heard = _read(read, [one for one in there if one.dataset == HEARD], _HEARD_SCHEMA)
        rows = derive(funding, heard, task.partition.part).collect()
        ticks = ticks_of(rows)
        inside = (ticks >= span.start_ms) & (ticks < span.end_ms)
        wanted = union(clip(each, span) for one in owed for each in held[one].wanted)
        gaps = sorted((gap for one in owed for gap in held[one].gaps), key=lambda gap: gap.start_ms)
        hours = ticks[inside & (ticks % HOUR_MS == 0)]
        yield task, Made(rows.filter(inside), wanted, tuple(_left(gaps, hours, span)))


_TIME = pl.Datetime("us", "UTC")
_SCHEMA: dict[str, pl.DataType] = {
    "timestamp": _TIME,
    "index_price": pl.Float64(),
    "prev_index_price": pl.Float64(),
}
_HEARD_SCHEMA: dict[str, pl.DataType] = {
    "timestamp": _TIME,
    "close": pl.Float64(),
    "closed_at": _TIME,
}


def _read(
    read: Read, inputs: Sequence[Partition], schema: Mapping[str, pl.DataType]
) -> pl.LazyFrame:
    frames = [pl.DataFrame(read(one, tuple(schema))).lazy() for one in inputs]
    return pl.concat([pl.LazyFrame(schema=schema), *frames])


def _funded(inputs: Sequence[Partition]) -> list[Partition]:
    return [one for one in inputs if one.dataset == FUNDING]


def _told(held: Held, one: Partition) -> Span:
    """Return the time a partition tells of: funding's rows reach an hour back, others to the next.

    An hour or a minute, that is.
    """
    record = held[one]
    before, after = (HOUR_MS, 1) if one.dataset == FUNDING else (-MINUTE_MS, MINUTE_MS + 1)
    starts = [span.start_ms for span in record.wanted]
    ends = [span.end_ms for span in record.wanted]
    if record.first_ms is not None and record.last_ms is not None:
        starts.append(record.first_ms - before)
        ends.append(record.last_ms + after)
    return Span(min(starts), max(ends)) if starts else Span(0, 0)


def _left(gaps: Sequence[Gap], held: Ticks, whole: Span) -> Iterator[Gap]:
    """Yield what is left of the gaps of funding rates where no price fills them."""
    for gap in gaps:
        part = clip(Span(gap.start_ms, gap.end_ms), whole)
        for hole in missing(part, held, HOUR_MS):
            yield msgspec.structs.replace(gap, start_ms=hole.start_ms, end_ms=hole.end_ms)


INDEX_PRICES = Computed(
    name=NAME,
    aliases=("index",),
    model=IndexPrices,
    inputs=(FUNDING, HEARD),
    version=2,
    tasks=tasks,
    step=step,
    follows=True,
    step_ms=HOUR_MS,
)
