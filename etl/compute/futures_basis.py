"""The basis of every dated future over its perpetual, minute by minute, month by month."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl

from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import family_of
from etl.instruments.record import Listing
from lake.partition import Partition
from lake.span import Span, by_period, period_of
from quant.basis import with_basis, with_traded
from validators.schemas.futures_basis import FuturesBasis

NAME = "futures_basis"
FUTURES, PERPETUALS, INDEX = "futures_ohlcv", "perpetuals_ohlcv", "index_prices"
MINUTE_MS = 60_000
CANDLE_COLUMNS = ("timestamp", "close", "volume")
PRICE_COLUMNS = ("timestamp", "price")
TIME = pl.Datetime("us", "UTC")


class Terms(NamedTuple):
    """What a month's basis depends on besides its inputs."""

    tolerance_ms: int
    perpetual: str
    price_index: str
    expiries: tuple[tuple[int, str], ...]  # [ms], by expiry


class _Family(NamedTuple):
    """The dated futures of one underlying, and what they are compared to."""

    name: str
    futures: dict[str, int]  # expiry [ms] by name
    perpetual: str
    price_index: str


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months in which a future of some underlying has candles."""
    tolerance_ms = round(options["tolerance"] * MINUTE_MS)
    there = {one: _rows_of(held, one) for one in sorted(held) if held[one].rows}
    for family in _families(there, listing):
        mine = [one for one in there if one.part in {family.perpetual, family.price_index}]
        futures = [one for one in there if one.part in family.futures]
        months = {month for one in futures for month in by_period(there[one], "month")}
        for month in sorted(months):
            partition = Partition(NAME, family.name, month)
            span = partition.span
            # A trade just too old is known to be, and a price a minute later is that of a close.
            near = Span(span.start_ms - tolerance_ms - MINUTE_MS, span.end_ms + MINUTE_MS)
            inputs = tuple(one for one in (*futures, *mine) if there[one].meets(near))
            used = {one.part for one in inputs} & family.futures.keys()
            expiries = tuple(sorted((family.futures[name], name) for name in used))
            terms = Terms(tolerance_ms, family.perpetual, family.price_index, expiries)
            group = f"{family.name} {period_of(span.start_ms, 'year')}"
            yield Task(partition, tuple(sorted(inputs)), terms, group, _notes(family, mine))


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Read what the months of a year share once, and yield the basis of each."""
    del held
    every = {one for task in todo for one in task.inputs}
    since_ms = min(_since_ms(task) for task in todo)
    columns = {FUTURES: CANDLE_COLUMNS, PERPETUALS: CANDLE_COLUMNS, INDEX: PRICE_COLUMNS}
    frames: dict[str, list[pl.DataFrame]] = {}
    for one in sorted(every):
        rows = pl.DataFrame(read(one, columns[one.dataset], since_ms))
        frames.setdefault(one.part, []).append(rows)
    series = {part: pl.concat(parts) for part, parts in frames.items()}
    expiries = sorted({pair for task in todo for pair in Terms(*task.terms).expiries})
    names = pl.Enum([name for _, name in expiries])
    futures = [_future(series[name], name, ms, names) for ms, name in expiries]
    for task in todo:
        yield task, Made(_month(task, series, futures))


def _month(
    task: Task, series: Mapping[str, pl.DataFrame], futures: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    terms, span = Terms(*task.terms), task.partition.span
    rows = [between(each, span.start_ms, span.end_ms) for each in futures]
    perpetual = series.get(terms.perpetual, _empty(CANDLE_COLUMNS))
    index = series.get(terms.price_index, _empty(PRICE_COLUMNS))
    return with_basis(
        pl.concat([each for each in rows if len(each)]),
        between(perpetual, _since_ms(task), span.end_ms),
        between(index, span.start_ms, span.end_ms + MINUTE_MS),
        tolerance=timedelta(milliseconds=terms.tolerance_ms),
    )


def between(rows: pl.DataFrame, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return the rows of a sorted frame in ``[start, end)``, without a copy."""
    moments = [datetime.fromtimestamp(ms / 1000, UTC) for ms in (start_ms, end_ms)]
    bounds = pl.Series(moments, dtype=TIME)
    first, last = rows["timestamp"].search_sorted(bounds, side="left").to_list()
    return rows.slice(first, last - first)


def _future(rows: pl.DataFrame, name: str, expiry_ms: int, names: pl.Enum) -> pl.DataFrame:
    expiry = pl.lit(datetime.fromtimestamp(expiry_ms / 1000, UTC), dtype=TIME)
    named = pl.lit(name, dtype=names).alias("instrument")
    return with_traded(rows.with_columns(named, expiry.alias("expiry")))


def _since_ms(task: Task) -> int:
    """Return from when on rows tell how old a price is at the start of a month."""
    return task.partition.span.start_ms - Terms(*task.terms).tolerance_ms - MINUTE_MS


def _families(there: Mapping[Partition, Span], listing: Listing) -> Iterator[_Family]:
    futures: dict[str, dict[str, int]] = {}
    for name in sorted({one.part for one in there if one.dataset == FUTURES}):
        futures.setdefault(family_of(name), {})[name] = listing.expiry_ms(name)
    for name, known in futures.items():
        perpetual = f"{name}-PERPETUAL"
        yield _Family(name, known, perpetual, listing.index_of(perpetual))


def _notes(family: _Family, mine: Sequence[Partition]) -> tuple[str, ...]:
    """Return what is missing to compare the futures to."""
    parts, notes = {one.part for one in mine}, []
    if family.perpetual not in parts:
        notes.append(f"no candles of {family.perpetual}: the basis of {family.name} is empty")
    if family.price_index not in parts:
        notes.append(f"no index prices {family.price_index}: run `deribit-lake backfill index`")
    return tuple(notes)


def _rows_of(held: Held, one: Partition) -> Span:
    record = held[one]
    return Span(record.first_ms or 0, (record.last_ms or 0) + 1)


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={"timestamp": TIME} | dict.fromkeys(columns[1:], pl.Float64()))


FUTURES_BASIS = Computed(
    name=NAME,
    aliases=("basis",),
    model=FuturesBasis,
    inputs=(FUTURES, PERPETUALS, INDEX),
    version=3,
    tasks=tasks,
    step=step,
    period="month",
    options={"tolerance": 60.0},
    subject_part=family_of,
)
