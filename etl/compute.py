"""From clean datasets to derived ones: the basis of every future, month by month.

A pure function of clean data: the same lake gives the same bytes. A month whose inputs did not
change, by the ledger's checksums, is not computed again.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pandera.polars import DataFrameModel

from etl import index_prices
from etl.backfill.fold import arrow
from etl.database.months import is_touched, month_bounds
from etl.errors import UsageError
from etl.instruments.lists import Universe, staged_universe
from etl.progress import Progress
from lake.errors import CorruptFileError
from lake.ledger import Record, Span, records
from lake.lock import locked
from lake.paths import Lake, Partition
from lake.read import read_table
from lake.write import publish_table
from quant.basis import constant_maturity, with_basis, with_traded
from validators import contract
from validators.derived import FuturesBasis, FuturesCurve

logger = logging.getLogger(__name__)

BASIS, CURVE = "futures_basis", "futures_curve"
MINUTE = timedelta(minutes=1)
VERSION = 2  # raised when the same inputs would give other rows
INPUTS = b"deribit_lake.inputs"
CANDLE_COLUMNS = ["timestamp", "close", "volume"]
Held = Mapping[Partition, Record]


@dataclass(slots=True)
class ComputeReport:
    """What a computation did."""

    rows: int = 0
    months_computed: int = 0
    months_unchanged: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the years of one computation share."""

    lake: Lake
    held: Held
    span: Span | None
    tolerance: timedelta
    report: ComputeReport


@dataclass(frozen=True, slots=True)
class _Family:
    """The dated futures of one underlying, by expiry, with what they are compared to."""

    name: str
    futures: tuple[str, ...]
    expiries: pl.DataFrame
    perpetual: str
    index: str


def compute_basis(
    lake: Lake,
    progress: Progress,
    *,
    currencies: Sequence[str] = (),
    span: Span | None = None,
    tolerance: timedelta = timedelta(hours=1),
    wait: bool = False,
) -> ComputeReport:
    """Publish `futures_basis` and `futures_curve` of the futures the lake holds.

    Parameters
    ----------
    currencies
        Underlyings, as BTC or BTC_USDC; without any, all that are held.
    span
        Only months it reaches into.

    Raises
    ------
    UsageError
        If the lake holds no future of an underlying.
    LockedError
        If another process is computing the same year.
    """
    report, universe = ComputeReport(), staged_universe(lake)
    held = {part: record for part, record in _records(lake) if record.rows}
    run = _Run(lake, held, span, tolerance, report)
    for family in _families(universe, held, currencies, report):
        for year in sorted({part.year for part in held if part.instrument in family.futures}):
            progress.expect(f"{family.name} {year}", 1)
            with locked(lake, [Partition(BASIS, family.name, year)], wait=wait):
                _compute_year(run, family, year)
            progress.advance(f"{family.name} {year}")
    return report


def basis_by_month(
    lake: Lake, tolerance: timedelta = timedelta(hours=1)
) -> Iterator[tuple[str, date, pl.DataFrame]]:
    """Yield the underlying, the month and the basis of all futures the lake holds; write nothing.

    Raises
    ------
    UsageError
        If it holds none.
    """
    held = {part: record for part, record in _records(lake) if record.rows}
    run = _Run(lake, held, None, tolerance, ComputeReport())
    for family in _families(staged_universe(lake), held, (), run.report):
        for year in sorted({part.year for part in held if part.instrument in family.futures}):
            months = [month for month, _ in _inputs(run, family, year)]
            for month, table in _by_month(run, family, year, months):
                yield family.name, month, table


def _records(lake: Lake) -> Iterator[tuple[Partition, Record]]:
    for dataset in ("futures_ohlcv", "perpetuals_ohlcv", index_prices.NAME):
        yield from records(lake, dataset)


def _families(
    universe: Universe, held: Held, currencies: Sequence[str], report: ComputeReport
) -> list[_Family]:
    names: dict[str, list[str]] = {}
    for name in sorted({part.instrument for part in held if part.dataset == "futures_ohlcv"}):
        names.setdefault(name.rsplit("-", 1)[0], []).append(name)
    unknown = [currency for currency in currencies if currency not in names]
    if unknown or not names:
        there = ", ".join(names) or "none; run `deribit-lake backfill futures`"
        message = (
            f"the lake holds no futures of {(unknown or ['any currency'])[0]}; there are: {there}"
        )
        raise UsageError(message)
    found = []
    for name in currencies or names:
        family = _family(universe, name, names[name])
        if not any(part.instrument == family.perpetual for part in held):
            report.notes.append(f"no candles of {family.perpetual}: the basis of {name} is empty")
        if not any(part.instrument == family.index for part in held):
            report.notes.append(
                f"no index prices {family.index}: run `deribit-lake backfill index`"
            )
        found.append(family)
    return found


def _family(universe: Universe, name: str, futures: Sequence[str]) -> _Family:
    lives = {future: universe.instruments.get(future) for future in futures}
    unlisted = [future for future, life in lives.items() if life is None]
    if unlisted:
        message = f"no record of {unlisted[0]} was staged: run `deribit-lake backfill futures`"
        raise UsageError(message)
    ends = {future: life.life.end_ms for future, life in lives.items() if life}
    ordered = sorted(ends, key=lambda future: (ends[future], future))
    expiry = pl.Series("expiry", [ends[future] * 1000 for future in ordered], dtype=pl.Int64)
    expiries = pl.DataFrame(
        [
            pl.Series("instrument", ordered, dtype=pl.Enum(ordered)),
            expiry.cast(pl.Datetime("us", "UTC")),
        ]
    )
    perpetual = f"{name}-PERPETUAL"
    record = universe.instruments.get(perpetual)
    index = (record.price_index if record else None) or f"{name.lower()}_usd"
    return _Family(name, tuple(ordered), expiries, perpetual, index)


def _compute_year(run: _Run, family: _Family, year: int) -> None:
    """Compute the months of a year that changed; its files are read once, if at all."""
    todo = {
        month: inputs for month, inputs in _inputs(run, family, year) if is_touched(month, run.span)
    }
    changed = {
        month: inputs
        for month, inputs in todo.items()
        if any(_made_from(path) != inputs for path in _paths(run.lake, family, month))
    }
    run.report.months_unchanged += len(todo) - len(changed)
    if not changed:
        return
    for month, table in _by_month(run, family, year, sorted(changed)):
        inputs, paths = changed[month], _paths(run.lake, family, month)
        _publish(table, FuturesBasis, paths[0], inputs)
        curve = constant_maturity(table).select(
            "timestamp", pl.lit(family.name).alias("underlying"), pl.exclude("timestamp")
        )
        _publish(curve, FuturesCurve, paths[1], inputs)
        run.report.rows += len(table)
        run.report.months_computed += 1
        logger.info("%s %s %s: %d rows", BASIS, family.name, month.strftime("%Y-%m"), len(table))


def _by_month(
    run: _Run, family: _Family, year: int, months: Sequence[date]
) -> Iterator[tuple[date, pl.DataFrame]]:
    """Read a year once and yield the basis in some of its months."""
    futures = _futures(run, family, year)
    lives = [(each["timestamp"][0], each["timestamp"][-1]) for each in futures]
    before = _lookback(run, year)
    perpetual = _read(run, "perpetuals_ohlcv", family.perpetual, year, CANDLE_COLUMNS, before)
    index = _read(run, index_prices.NAME, family.index, year, ["timestamp", "price"], before)
    for month in months:
        start, end = month_bounds(month)
        since = start - run.tolerance - MINUTE  # a trade just too old is known to be
        rows = [
            _between(each, start, end)
            for each, (first, last) in zip(futures, lives, strict=True)
            if first < end and start <= last
        ]
        table = with_basis(
            pl.concat(rows),
            _between(perpetual, since, end),
            _between(index, start, end + MINUTE),
            tolerance=run.tolerance,
        )
        yield month, table


def _between(rows: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the rows of a sorted frame in ``[start, end)``, without a copy."""
    bounds = pl.Series([start, end], dtype=pl.Datetime("us", "UTC"))
    first, last = rows["timestamp"].search_sorted(bounds, side="left").to_list()
    return rows.slice(first, last - first)


def _inputs(run: _Run, family: _Family, year: int) -> Iterator[tuple[date, str]]:
    """Yield the months of a year in which a future has rows, with a digest of what they come of."""
    names = {*family.futures, family.perpetual, family.index}
    near = {
        str(part): record.checksum
        for part, record in sorted(run.held.items())
        if part.instrument in names and part.year in (year - 1, year)
    }
    terms = [VERSION, run.tolerance // timedelta(microseconds=1), near]
    digest = hashlib.blake2b(json.dumps(terms).encode(), digest_size=16).hexdigest()
    lives = [
        record
        for part, record in run.held.items()
        if part.year == year and part.instrument in family.futures
    ]
    for number in range(1, 13):
        month = date(year, number, 1)
        start, end = (round(moment.timestamp() * 1000) for moment in month_bounds(month))
        if any((one.first_ms or 0) < end and start <= (one.last_ms or 0) for one in lives):
            yield month, digest


def _futures(run: _Run, family: _Family, year: int) -> list[pl.DataFrame]:
    """Return the candles of each future in a year and at the end of the year before."""
    names, before = family.expiries.schema["instrument"], _lookback(run, year)
    return [
        with_traded(
            rows.with_columns(
                pl.lit(instrument, dtype=names).alias("instrument"),
                pl.lit(expiry, dtype=pl.Datetime("us", "UTC")).alias("expiry"),
            )
        )
        for instrument, expiry in family.expiries.iter_rows()
        if len(rows := _read(run, "futures_ohlcv", instrument, year, CANDLE_COLUMNS, before))
    ]


def _lookback(run: _Run, year: int) -> datetime:
    """Return from when on rows tell how old a price is at the start of a year."""
    return datetime(year, 1, 1, tzinfo=UTC) - run.tolerance - MINUTE


def _read(
    run: _Run, dataset: str, instrument: str, year: int, columns: Sequence[str], before: datetime
) -> pl.DataFrame:
    """Return some columns of an instrument's year and of the year before from `before` on."""
    schema = {"timestamp": pl.Datetime("us", "UTC")} | dict.fromkeys(columns[1:], pl.Float64())
    frames = [pl.DataFrame(schema=schema)]
    last, this = (Partition(dataset, instrument, each) for each in (year - 1, year))
    if last in run.held and (run.held[last].last_ms or 0) >= before.timestamp() * 1000:
        frames.append(_tail(run.lake.clean(last), columns, before))
    if this in run.held:
        # Arrow's reader takes two thirds of the time polars' own does.
        frames.append(pl.DataFrame(read_table(run.lake.clean(this), columns)))
    return pl.concat(frames)


def _tail(path: Path, columns: Sequence[str], start: datetime) -> pl.DataFrame:
    """Return the last rows of a file without reading those before their row group."""
    try:
        rows = pl.scan_parquet(path).filter(pl.col("timestamp") >= start)
        return rows.select(columns).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptFileError(path, error) from error


def _paths(lake: Lake, family: _Family, month: date) -> tuple[Path, Path]:
    words = month.strftime("%Y-%m")
    return lake.derived(BASIS, family.name, words), lake.derived(CURVE, family.name, words)


def _made_from(path: Path) -> str | None:
    """Return the digest of what a derived file was made from; None where it is not there."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(INPUTS)
    except (OSError, pa.ArrowInvalid):
        return None
    return found.decode() if found else None


def _publish(frame: pl.DataFrame, model: type[DataFrameModel], path: Path, inputs: str) -> None:
    names = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    rows = frame.with_columns(pl.col(names).cast(pl.String))
    contract.check_rows(rows, model)
    table = arrow(rows)
    publish_table(table.replace_schema_metadata({INPUTS: inputs.encode()}), path)
