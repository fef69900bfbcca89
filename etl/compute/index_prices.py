"""Index prices, from whatever in the lake has seen one: a pure function of clean datasets.

An hourly funding row carries the index at its hour, and the one an hour before: the second stands
in for a row that is missing. Where two sources tell a moment the better one is believed; the view
`index_conflicts` lists where they differ.
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

NAME, FUNDING = "index_prices", "funding_rates"
SOURCES = ("funding", "funding_previous")
"""Where a price may come from, the most believed first."""
HOUR_MS = 3_600_000
COLUMNS = ("timestamp", "index_price", "prev_index_price")


def derive(funding: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return the prices of an index that funding rates of its perpetuals carry.

    Parameters
    ----------
    funding
        Rows of `funding_rates`, in any order.

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
    best = pl.concat([now, before]).sort("timestamp", "rank", "price")
    source = pl.col("rank").replace_strict(range(len(SOURCES)), SOURCES, return_dtype=pl.String())
    return best.unique("timestamp", keep="first", maintain_order=True).select(
        "timestamp", pl.lit(index).alias("instrument"), "price", source.alias("source")
    )


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the years of every index whose perpetuals have funding rates, or should have them."""
    del options
    followers: dict[str, list[Partition]] = {}
    for one in sorted(held):
        if one.dataset == FUNDING:
            followers.setdefault(listing.index_of(one.part), []).append(one)
    for index, partitions in sorted(followers.items()):
        years = {year for one in partitions for year in by_period(_told(held, one), "year")}
        for year in sorted(years):
            mine = Partition(NAME, index, year)
            inputs = tuple(one for one in partitions if _told(held, one).meets(mine.span))
            # What is owed, and why a row is missing, is told by the ledger and not by the rows.
            owed = tuple((held[one].wanted, held[one].gaps) for one in inputs)
            yield Task(mine, inputs, owed, group="index prices")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the prices of each year, with what is missing of them and why."""
    for task in todo:
        span = task.partition.span
        funded = [one for one in task.inputs if held[one].rows]
        frames = [pl.DataFrame(read(one, COLUMNS)).lazy() for one in funded]
        empty = pl.LazyFrame(schema=_SCHEMA)
        rows = derive(pl.concat([empty, *frames]), task.partition.part).collect()
        ticks = ticks_of(rows)
        inside = (ticks >= span.start_ms) & (ticks < span.end_ms)
        wanted = union(clip(each, span) for one in task.inputs for each in held[one].wanted)
        gaps = sorted(
            (gap for one in task.inputs for gap in held[one].gaps), key=lambda gap: gap.start_ms
        )
        yield task, Made(rows.filter(inside), wanted, tuple(_left(gaps, ticks[inside], span)))


_SCHEMA: dict[str, pl.DataType] = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(COLUMNS[1:], pl.Float64()),
}


def _told(held: Held, funding: Partition) -> Span:
    """Return the time a partition of funding rates tells of: its rows reach an hour back."""
    record = held[funding]
    starts = [span.start_ms for span in record.wanted]
    ends = [span.end_ms for span in record.wanted]
    if record.first_ms is not None and record.last_ms is not None:
        starts.append(record.first_ms - HOUR_MS)
        ends.append(record.last_ms + 1)
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
    inputs=(FUNDING,),
    version=1,
    tasks=tasks,
    step=step,
    follows=True,
    step_ms=HOUR_MS,
)
