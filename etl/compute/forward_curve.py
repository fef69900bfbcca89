"""Forwards of option expiries over the index, from trades, tickers and futures seen before.

Price and volatility of a trade pin the forward the exchange had (`quant.kernels.forwards`); a
ticker says it; a future's last price is near it. For each minute in which an option of an expiry
trades, and each full hour, what was seen earlier tells the forward (`quant.kernels.carry`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from etl.compute.instants import of_hours
from etl.compute.option_terms import Bools, Floats, Ints, terms_of
from etl.compute.price_grid import step_of
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import family_of, settlement_of_family, settles_in
from etl.instruments.record import Listing
from lake.arrow import floats
from lake.partition import Partition
from lake.span import Span, by_period
from validators.schemas.forward_curve import SOURCES, ForwardCurve

NAME, TRADES, FUTURES, TICKERS = (
    "forward_curve", "option_trades", "futures_ohlcv", "option_tickers",
)  # fmt: skip
BLOCKS = ("block_trade_id", "block_rfq_id")
"""What a trade has that was agreed elsewhere: the exchange's clock may be later than its price."""
COLUMNS = ("timestamp", "instrument", "price", "iv", "index_price", *BLOCKS)
QUOTED = ("timestamp", "underlying", "expiry", "underlying_price", "index_price")
LOOK_BACK_MS = 24 * 3_600_000
FUTURE_ERROR = 3e-4  # its last price may be a minute old, and lies half a spread off the mark
INDEX_AGE_US, HOUR_US = 60_000_000, 3_600_000_000
COVERAGE = 2.0  # standard errors in the error that is stated
INDEX_STEP = 2e-4  # of the index: that of XRP has four places, and is about 0.5
ROUNDED = 0.41  # of a step: the standard error of the difference of two rounded numbers
YEAR_US = 365 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What tells something of the forwards of one underlying; all arrays have shape (n,).

    Attributes
    ----------
    moment : int64 array
        When it was seen [us since 1970].
    expiry : int64 array
        Of what [us since 1970].
    basis, error : float64 array
        ln(forward/index) and its standard error [1]; NaN where it tells none.
    source : int64 array
        By the codes of `quant.kernels.carry` [1].
    asks : bool array
        Whether the expiry's forward is wanted in that minute [1].
    """

    moment: Ints
    expiry: Ints
    basis: Floats
    error: Floats
    source: Ints
    asks: Bools


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months that have trades."""
    del listing, options
    there = {one: held[one] for one in sorted(held) if held[one].rows}
    others = [
        (one, Span(record.first_ms or 0, (record.last_ms or 0) + 1))
        for one, record in there.items()
        if one.dataset != TRADES
    ]
    for one in there:
        if one.dataset != TRADES:
            continue
        month = one.span
        before = Span(month.start_ms - LOOK_BACK_MS, month.start_ms)
        earlier = Partition(TRADES, one.part, next(iter(by_period(before, "month"))))
        near = Span(before.start_ms, month.end_ms)
        used = [
            other
            for other, span in others
            if span.meets(near) and one.part in {other.part, settles_in(other.part)}
        ]
        inputs = tuple(sorted({one, *used, *({earlier} & there.keys())}))
        mine = Partition(NAME, one.part, one.period)
        yield Task(mine, inputs, group=f"{one.part} {one.period}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the forwards of each month."""
    del held
    for task in todo:
        span = task.partition.span
        since_ms = span.start_ms - LOOK_BACK_MS
        tables = [
            read(one, COLUMNS, None if one.period == task.partition.period else since_ms,
                 coded=("instrument",))
            for one in task.inputs
            if one.dataset == TRADES
        ]  # fmt: skip
        closes = [
            (one.part, read(one, ("timestamp", "close", "volume"), since_ms))
            for one in task.inputs
            if one.dataset == FUTURES
        ]
        quotes = (of_hours(read(one, QUOTED)) for one in task.inputs if one.dataset == TICKERS)
        yield task, Made(curve_of(tables, closes, span, quotes))


def curve_of(
    trades: Sequence[pa.Table],
    closes: Sequence[tuple[str, pa.Table]],
    span: Span,
    tickers: Iterable[pl.DataFrame] = (),
) -> pl.DataFrame:
    """Return the forwards of a span of full hours.

    Parameters
    ----------
    trades
        The columns of `COLUMNS`, instruments by dictionary; of the span, and of what was before.
    closes
        Futures by name, with candles of the same time: `timestamp`, `close`, `volume`.
    span
        Full hours.
    tickers
        Snapshots of the same time: the columns of `QUOTED`.

    Returns
    -------
    DataFrame
        The columns of `ForwardCurve`, sorted by its key.
    """
    parts: dict[str, list[Witnesses]] = {}
    indices: dict[str, list[tuple[Ints, Floats]]] = {}
    for table in trades:
        for underlying, told, index in _of_trades(table):
            parts.setdefault(underlying, []).append(told)
            indices.setdefault(underlying, []).append((told.moment, index))
    for name, candles in closes:
        underlying = family_of(name)
        if underlying in parts:
            told = _of_future(name, candles, indices[underlying])
            parts[underlying].append(told)
    for quotes in tickers:
        for underlying, told in _of_tickers(quotes):
            if underlying in parts:
                parts[underlying].append(told)
    frames = [
        _curve(underlying, parts[underlying], span, _least_error(indices[underlying]))
        for underlying in sorted(parts)
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=_SCHEMA)


def _of_trades(table: pa.Table) -> Iterator[tuple[str, Witnesses, Floats]]:
    """Yield for each underlying what its option trades tell, and the index at each."""
    from quant.kernels.forwards import recovered  # noqa: PLC0415  (numba takes half a second)

    names = table["instrument"].combine_chunks()
    terms = terms_of(names.dictionary)
    codes = names.indices.to_numpy()
    moment = table["timestamp"].to_numpy().view(np.int64)
    price, iv, index = (floats(table[name]) for name in ("price", "iv", "index_price"))
    expiry = terms.expiry[codes]
    told, error = np.empty(len(codes)), np.empty(len(codes))
    tenor = (expiry - moment) / YEAR_US
    recovered(price, iv, index, terms.strike[codes], tenor, terms.is_call[codes],
              terms.is_coin[codes], told, error)  # fmt: skip
    error[_any_of(table, BLOCKS)] = np.nan
    source, asks = np.zeros(len(codes), np.int64), np.ones(len(codes), bool)
    whole = Witnesses(moment, expiry, told, error, source, asks)
    for number, underlying in enumerate(terms.underlyings):
        mine = whole
        prices = index
        if len(terms.underlyings) > 1:
            rows = np.flatnonzero(terms.underlying[codes] == number)
            mine, prices = _some(whole, rows), index[rows]
        np.hypot(mine.error, _rounding(prices), out=mine.error)
        yield underlying, mine, prices


def _rounding(index: Floats) -> Floats:
    """Return the standard error of ln(forward/index) from how both are rounded [1]."""
    known = index[np.isfinite(index)]
    usual = INDEX_STEP * float(np.median(known[:1_000])) if len(known) else np.inf
    return ROUNDED * step_of(known, usual=usual) / index


def _of_future(name: str, candles: pa.Table, seen: Sequence[tuple[Ints, Floats]]) -> Witnesses:
    """Return what the closes of a future tell, over the index of the last option trade before."""
    from quant.kernels.carry import FUTURE  # noqa: PLC0415  (numba takes half a second)
    from quant.kernels.forwards import LARGEST_RATE  # noqa: PLC0415  (numba takes half a second)

    traded = candles.filter(pa.compute.greater(candles["volume"], 0))
    moment = traded["timestamp"].to_numpy().view(np.int64) + 60_000_000
    seen_at = np.concatenate([moments for moments, _ in seen])
    order = np.argsort(seen_at, kind="stable")
    at = np.searchsorted(seen_at[order], moment, side="left") - 1
    before = order[np.maximum(at, 0)]
    index = np.concatenate([prices for _, prices in seen])[before]
    close = traded["close"].to_numpy()
    is_known = (at >= 0) & (moment - seen_at[before] <= INDEX_AGE_US) & (index > 0) & (close > 0)
    basis = np.full(len(close), np.nan)
    np.log(close, out=basis, where=is_known)
    np.subtract(basis, np.log(index, where=is_known, out=np.zeros_like(basis)), out=basis)
    is_known &= np.abs(basis) < LARGEST_RATE
    expiry = terms_of(pa.array([f"{name}-1-C"])).expiry  # a future expires as its options do
    return _some(
        Witnesses(
            moment, np.repeat(expiry, len(close)), basis, np.full(len(close), FUTURE_ERROR),
            np.full(len(close), FUTURE), np.zeros(len(close), bool),
        ),
        np.flatnonzero(is_known),
    )  # fmt: skip


def _least_error(seen: Sequence[tuple[Ints, Floats]]) -> float:
    """Return what no number of witnesses takes away: the index a basis is added to is rounded."""
    known = np.concatenate([index[np.isfinite(index)] for _, index in seen])
    return float(np.median(_rounding(known))) if len(known) else 0.0


def _of_tickers(quotes: pl.DataFrame) -> Iterator[tuple[str, Witnesses]]:
    """Yield for each underlying what its tickers say of the forwards."""
    from quant.kernels.carry import TICKER  # noqa: PLC0415  (numba takes half a second)
    from quant.kernels.forwards import LARGEST_RATE  # noqa: PLC0415  (numba takes half a second)

    known = quotes.filter(pl.col("underlying_price") > 0, pl.col("index_price") > 0)
    each = known.group_by("underlying", "expiry", "timestamp").agg(
        pl.col("underlying_price", "index_price").median()
    )
    is_near = (pl.col("underlying_price") / pl.col("index_price")).log().abs() < LARGEST_RATE
    near = each.filter(is_near).sort("underlying", "timestamp", "expiry")
    for (underlying,), rows in near.group_by("underlying", maintain_order=True):
        forward, index = (rows[name].to_numpy() for name in ("underlying_price", "index_price"))
        seen, expiry = (rows[name].dt.epoch("us").to_numpy() for name in ("timestamp", "expiry"))
        source, asks = np.full(len(rows), TICKER), np.zeros(len(rows), bool)
        told = Witnesses(seen, expiry, np.log(forward / index), _rounding(index), source, asks)
        yield str(underlying), told


def _curve(
    underlying: str, told: Sequence[Witnesses], span: Span, least_error: float
) -> pl.DataFrame:
    from quant.kernels.carry import trailing_carry  # noqa: PLC0415  (numba takes half a second)

    whole = _together(told)
    since = span.start_ms * 1000
    last = int(whole.moment[whole.asks].max(initial=0))
    until = max(since, min(span.end_ms * 1000, (last // HOUR_US + 1) * HOUR_US))
    expiries = np.unique(whole.expiry)
    number = np.searchsorted(expiries, whole.expiry)
    order = _by_time(whole.moment)
    columns = (whole.moment, number, whole.basis, whole.error, whole.source, whole.asks)
    found = trailing_carry(*(column[order] for column in columns), expiries, since, until)
    minute, of, basis, error, source, seen, witnesses = found
    ordered = np.lexsort((minute, of))
    expiry = expiries[of]
    is_told = np.isfinite(basis)
    moments = {"timestamp": minute, "expiry": expiry, "seen_at": seen}
    made: dict[str, Any] = {
        **{name: pl.Series(moment).cast(_SCHEMA[name]) for name, moment in moments.items()},
        "underlying": pl.repeat(underlying, len(of), eager=True),
        "basis": basis,
        "error": np.where(is_told, COVERAGE * np.hypot(error, least_error), np.nan),
        "carry": basis / ((expiry - minute) / YEAR_US),
        "source": pl.Series(source.astype(np.uint8)).cat.to(pl.Enum(SOURCES)),
        "witnesses": witnesses,
    }
    rows = (
        pl.DataFrame(made)[ordered].select(*_SCHEMA).with_columns(pl.col("source").cast(pl.String))
    )
    told_at = pl.when(pl.col("witnesses") > 0).then("seen_at")
    return rows.with_columns(pl.col("basis", "error", "carry").fill_nan(None), seen_at=told_at)


def _by_time(moment: Ints) -> Ints:
    """Return the order of moments of less than two months [us]; of equal ones the first is first.

    Sorting numbers that hold the place in their low bits is several times as fast as argsort.
    """
    bits = max(len(moment).bit_length(), 1)
    first = int(moment.min()) if len(moment) else 0
    keys = ((moment - first) // 1000 << bits) | np.arange(len(moment))
    keys.sort()
    return keys & ((1 << bits) - 1)


def _some(told: Witnesses, rows: Ints) -> Witnesses:
    return Witnesses(*(getattr(told, name)[rows] for name in Witnesses.__slots__))


def _together(told: Sequence[Witnesses]) -> Witnesses:
    if len(told) == 1:
        return told[0]
    return Witnesses(
        *(np.concatenate([getattr(one, name) for one in told]) for name in Witnesses.__slots__)
    )


def _any_of(table: pa.Table, names: Sequence[str]) -> Bools:
    """Return whether a row has any of some members."""
    found = np.zeros(len(table), bool)
    for name in names:
        if table[name].null_count < len(table):
            found |= table[name].is_valid().to_numpy()
    return found


_SCHEMA: dict[str, pl.DataType] = {
    name: column.dtype.type for name, column in ForwardCurve.to_schema().columns.items()
}

FORWARD_CURVE = Computed(
    name=NAME,
    aliases=("forwards",),
    model=ForwardCurve,
    inputs=(TRADES, FUTURES, TICKERS),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of_family,
)
