"""Index prices, from whatever in the lake has seen one: a pure function of clean datasets.

An hourly funding row carries the index at its hour, and the one an hour before: the second stands
in for a row that is missing. Where two sources tell a moment the better one is believed; the view
`index_conflicts` lists where they differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import polars as pl

from etl.backfill.fold import Folded, arrow, publish
from etl.datasets import FUNDING, HOUR_MS
from etl.instruments.lists import Universe, staged_universe
from etl.proof.grid import clip, union, year_span
from etl.proof.witnesses import Ticks, missing
from lake.ledger import Gap, Record, Span, records
from lake.lock import locked
from lake.paths import Lake, Partition
from lake.read import checksum, read_table
from validators import contract
from validators.reference import IndexPrices

NAME = "index_prices"
SOURCES = ("funding", "funding_previous")
"""Where a price may come from, the most believed first."""
EMPTY = pl.DataFrame(
    schema={
        "timestamp": pl.Datetime("us", "UTC"),
        "instrument": pl.String(),
        "price": pl.Float64(),
        "source": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the perpetuals that follow one index have seen of it."""

    rows: pl.DataFrame
    wanted: list[Span]
    gaps: list[Gap]


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


def publish_index_prices(
    lake: Lake, indices: Sequence[str] | None = None, *, wait: bool = False
) -> list[tuple[Partition, Record]]:
    """Publish the prices of some indices, or of those that are held, from the funding rates.

    Raises
    ------
    LockedError
        If another process is writing them.
    """
    universe = staged_universe(lake)
    if indices is None:
        indices = sorted({partition.instrument for partition, _ in records(lake, NAME)})
    published = []
    for index in indices:
        seen = _seen(lake, universe, index)
        for partition, folded in _by_year(index, seen):
            with locked(lake, [partition], wait=wait):
                publish(lake, partition, folded)
            published.append((partition, folded.record))
    return published


def _seen(lake: Lake, universe: Universe, index: str) -> _Seen:
    names = {one.instrument_name for one in universe.followers(index)}
    held = [
        (partition, record)
        for partition, record in records(lake, FUNDING.name)
        if partition.instrument in names
    ]
    frames = [
        pl.DataFrame(read_table(lake.clean(partition))).lazy()
        for partition, record in held
        if record.rows
    ]
    wanted = union(span for _, record in held for span in record.wanted)
    gaps = sorted((gap for _, record in held for gap in record.gaps), key=lambda gap: gap.start_ms)
    rows = derive(pl.concat(frames), index).collect() if frames else EMPTY
    return _Seen(rows, wanted, gaps)


def _by_year(index: str, seen: _Seen) -> Iterator[tuple[Partition, Folded]]:
    ticks = seen.rows["timestamp"].dt.epoch("ms").to_numpy()
    ends = [*ticks[[0, -1]].tolist()] if ticks.size else []
    ends += [ms for span in seen.wanted for ms in (span.start_ms, span.end_ms - 1)]
    years = [datetime.fromtimestamp(ms / 1000, UTC).year for ms in ends]
    for year in range(min(years), max(years) + 1) if years else ():
        whole = year_span(year)
        inside = (ticks >= whole.start_ms) & (ticks < whole.end_ms)
        rows = contract.split(seen.rows.filter(inside), IndexPrices)
        table = arrow(rows.valid)
        held = ticks[inside]
        record = Record(
            wanted=tuple(union(clip(span, whole) for span in seen.wanted)),
            rows=table.num_rows,
            first_ms=int(held[0]) if held.size else None,
            last_ms=int(held[-1]) if held.size else None,
            checksum=checksum(table) if held.size else None,
            quarantined=len(rows.rejected),
            gaps=tuple(_left(seen.gaps, held, whole)),
        )
        yield Partition(NAME, index, year), Folded(record, table, arrow(rows.rejected))


def _left(gaps: Sequence[Gap], held: Ticks, whole: Span) -> Iterator[Gap]:
    """Yield what is left of the gaps of funding rates where no price fills them."""
    for gap in gaps:
        part = clip(Span(gap.start_ms, gap.end_ms), whole)
        for hole in missing(part, held, HOUR_MS):
            yield msgspec.structs.replace(gap, start_ms=hole.start_ms, end_ms=hole.end_ms)
