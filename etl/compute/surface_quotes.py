"""What a surface is made of: the trades of an hour, or the quotes or marks of an instant.

Volatilities come with an error: half the spread or half a price step, whichever is more, and what
a trade has aged. Quotes of an instant are first filtered, then moved by as little as leaves no
arbitrage among them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from etl.compute.option_terms import Floats, Ints
from etl.compute.price_grid import measure
from etl.instruments.names import with_name_parts
from quant.essvi_fit import LEAST_STRIKES
from quant.essvi_prior import LEVEL_DRIFT, MONTH
from quant.kernels.black76 import price, price_and_greeks
from quant.kernels.implied_vol import implied_vol
from quant.quote_repair import repaired
from quant.quotes import with_quote_status
from validators.schemas.vol_slices import STATUSES

MINUTES = 60
"""Of an hour: the distance of surfaces of trades, where none is said."""
HOUR_US, YEAR_US = 3_600_000_000, 365 * 86_400_000_000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEAR_EXPIRY = 4 / 8760
"""Closer to expiry there is no smile [yr]: an index's step in a minute is more than a strike's."""
SPREAD = 0.005  # of a volatility: what half the spread of a trade nobody saw may be
MOVED = 0.01  # of a price step: what a quote is moved by less than that was not
MARK_ERROR = 5e-5  # marks have two places of a percent
FAR = 0.5
"""A forward further than this from those of most quotes, as abs(ln(forward/theirs)), is none [1]:
it would be of another scale, and its quotes move those of the expiries beside it."""
OK, NO_QUOTES, NO_FORWARD, NEAR, FLAT, NO_FIT = (
    STATUSES.index(word)
    for word in ("ok", "no_quotes", "no_forward", "near_expiry", "flat_marks", "no_fit")
)
TRADED = ("timestamp", "instrument", "forward", "iv", "iv_low", "iv_high")
CURVE = ("timestamp", "underlying", "expiry", "basis")


@dataclass(frozen=True, slots=True)
class Chain:
    """The expiries of one surface, in order, and the quotes that may shape it.

    Attributes
    ----------
    at : int
        Moment of the surface [us since 1970].
    underlying, source : str
        Of what, and made of what.
    expiry : int64 array, shape (m,)
        [us since 1970].
    forward : float64 array, shape (m,)
        [USD]; NaN where it is not known.
    status : int64 array, shape (m,)
        Why an expiry can have no smile, by `STATUSES`; 0 where it may [1].
    number : int64 array, shape (n,)
        Expiry of each quote, ascending [1].
    log_moneyness, iv, error : float64 array, shape (n,)
        [1], and [1/sqrt(yr)] twice.
    left_out, repaired : int64 array, shape (m,)
        Quotes that are not usable, and that were moved; -1 where that is not said.
    violations, worst : int, float
        Arbitrages among the quotes before they were moved, and the worst of them [forward].
    """

    at: int
    underlying: str
    source: str
    expiry: Ints
    forward: Floats
    status: Ints
    number: Ints
    log_moneyness: Floats
    iv: Floats
    error: Floats
    left_out: Ints
    repaired: Ints
    violations: int = -1
    worst: float = np.nan

    @property
    def tenor(self) -> Floats:
        """Time to each expiry [yr]."""
        return (self.expiry - self.at) / YEAR_US


def of_trades(
    traded: pl.DataFrame, curve: pl.DataFrame, *, every: int = MINUTES
) -> Iterator[Chain]:
    """Yield a chain for each underlying and moment of a grid, of the trades just before it.

    Parameters
    ----------
    traded
        The columns of `TRADED`, of trades that may shape a surface; instruments are strings or
        categories. Fills of one order are one: those of an option and millisecond at one price.
    curve
        The columns of `CURVE`, sorted by underlying, expiry and time: forwards by minute.
    every
        The distance of the moments [min]; trades count that are no older, or an hour at most.
    """
    moment, last = pl.col("timestamp"), curve["timestamp"].max()
    days = curve.select(moment.dt.truncate("1d")).unique().to_series().sort().to_list()
    for day in days:  # what is made of the trades of a month would take a gigabyte at once
        is_used = moment.is_between(day - HOUR, day + DAY, closed="left")
        some = traded.filter(is_used).with_columns(pl.col("instrument").cast(pl.String))
        once = some.unique(["instrument", "timestamp", "iv"], keep="first", maintain_order=True)
        step = f"{every}m"
        moments = pl.datetime_range(day, day + DAY, step, closed="left", eager=True).alias("at")
        asked = moments.to_frame().cast(pl.Datetime("us", "UTC")).filter(pl.col("at") <= last)
        yield from _of_day(once, curve.filter(is_used), asked, every)


def _of_day(
    traded: pl.DataFrame, curve: pl.DataFrame, asked: pl.DataFrame, every: int
) -> Iterator[Chain]:
    """Yield the chains of a day at the moments that are asked for."""
    at = pl.col("timestamp").dt.truncate(f"{every}m").dt.offset_by(f"{every}m")
    is_recent = pl.col("at") - pl.col("timestamp") <= pl.duration(minutes=min(every, MINUTES))
    told = (
        _named(traded).with_columns(at.alias("at")).filter(is_recent)
        .join(asked, on="at", how="semi")
        .sort("underlying", "at", "expiry", "timestamp", "instrument", "iv")
    )  # fmt: skip
    index = _index_at(told, curve)
    groups = dict(told.group_by("underlying", "at", maintain_order=True))
    for (underlying, moment), living in _living(curve, asked).group_by(
        "underlying", "at", maintain_order=True
    ):
        key = _Key(_us(moment), str(underlying), "trades")
        expiries = living.select(
            "expiry",
            forward=pl.col("basis").exp() * index.get((underlying, moment), np.nan),
            is_known=pl.col("basis").is_not_null(),
            is_flat=pl.lit(value=False),
        )
        mine = groups.get((underlying, moment), told.clear())
        yield _chain(key, expiries, _aged(mine, key.at))


def _named(traded: pl.DataFrame) -> pl.DataFrame:
    """Return trades with what their names say."""
    names = with_name_parts(traded.select(pl.col("instrument").unique()))
    family = pl.col("instrument").str.split_exact("-", 0).struct[0]
    said = names.select("instrument", "expiry", "strike", family.alias("underlying"))
    return traded.join(said, on="instrument", how="inner", maintain_order="left")


def _living(curve: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Return the expiries that live at each moment, with what the curve last said of them."""
    each = curve.select("underlying", "expiry").unique().join(asked, how="cross")
    return (
        each.filter(pl.col("expiry") > pl.col("at"))
        .sort("at")
        .join_asof(
            curve.sort("timestamp"), left_on="at", right_on="timestamp",
            by=["underlying", "expiry"], tolerance="1h", check_sortedness=False,
        )
        .filter(pl.col("timestamp").is_not_null())
        .sort("underlying", "at", "expiry")
    )  # fmt: skip


def _aged(rows: pl.DataFrame, at: int) -> pl.DataFrame:
    """Return quotes of trades: an older one may be off by what volatility moves in the time."""
    age = (at - _array_us(rows["timestamp"])) / HOUR_US
    left = np.maximum(_array_us(rows["expiry"]) - at, 1) / YEAR_US
    iv = rows["iv"].to_numpy()
    moved = iv * 0.5 * LEVEL_DRIFT * np.sqrt(age * np.minimum(MONTH / left, 16.0))
    half = (rows["iv_high"].to_numpy() - rows["iv_low"].to_numpy()) / 2
    return rows.select(
        "expiry",
        log_moneyness=(pl.col("strike") / pl.col("forward")).log(),
        iv="iv",
        error=pl.Series(np.hypot(np.hypot(half, SPREAD * iv), moved)),
    )


def of_tickers(tickers: pl.DataFrame) -> Iterator[Chain]:
    """Yield two chains for each underlying and instant of tickers, of mids and of marks."""
    keys = ("underlying", "timestamp")
    for (underlying, at), rows in tickers.sort(*keys, "expiry", "strike", "option_type").group_by(
        *keys, maintain_order=True
    ):
        quoted = _quoted(rows, _us(at))
        for source in ("mids", "marks"):
            yield _of_quotes(_Key(_us(at), str(underlying), source), quoted)


class _Key(NamedTuple):
    """Which surface: when [us since 1970], of what, made of what."""

    at: int
    underlying: str
    source: str


def _quoted(rows: pl.DataFrame, at: int) -> pl.DataFrame:
    """Return quotes with what filters and prices need: forward, tenor, step, instrument type."""
    is_coin = "_" not in str(rows["underlying"][0])
    prices = pl.concat([rows["bid_price"], rows["ask_price"]]).drop_nulls().to_numpy()
    level = 1.0 if is_coin else float(np.median(rows["strike"].to_numpy()))
    grid = measure(prices, np.zeros(len(prices), bool), is_coin=is_coin, level=level)
    mid = (pl.col("bid_price") + pl.col("ask_price")) / 2
    is_wide = mid.fill_null(pl.col("mark_price")) > grid.border
    own = pl.col("underlying_price").drop_nulls().median()
    is_near = (own.over("expiry") / own).log().abs() <= FAR
    return rows.with_columns(
        forward=pl.when(is_near).then(own.over("expiry")),
        tick=pl.when(is_wide).then(grid.high).otherwise(grid.low),
        tenor=pl.Series((_array_us(rows["expiry"]) - at) / YEAR_US),
        instrument_type=pl.lit("reversed" if is_coin else "linear"),
    )


def _of_quotes(key: _Key, rows: pl.DataFrame) -> Chain:
    """Return the chain of mids or of marks of one instant, repaired."""
    is_flat = _is_flat() if key.source == "marks" else pl.lit(value=False)
    quoted = rows.filter(~is_flat.over("expiry")) if key.source == "marks" else rows
    expiries = rows.group_by("expiry", maintain_order=True).agg(
        pl.col("forward").first(),
        shown=pl.len(),
        is_known=pl.col("forward").first().is_not_null(),
        is_flat=is_flat,
    )
    usable = _mids(quoted) if key.source == "mids" else _marks(quoted)
    expiry = _array_us(expiries["expiry"])
    number = np.searchsorted(expiry, _array_us(usable["expiry"]))
    forward, strike, tenor, bid, ask = (
        usable[name].to_numpy() for name in ("forward", "strike", "tenor", "bid", "ask")
    )
    is_call = (usable["option_type"] == "call").to_numpy()
    fixed = repaired(number, strike / forward, bid, ask, is_call)
    is_moved = np.abs(fixed.moved) > MOVED * usable["step"].to_numpy()
    iv, status = implied_vol(fixed.price * forward, forward, strike, tenor, is_call)
    if key.source == "marks":  # what was not moved is what was sent, to the last digit
        iv = np.where(is_moved, iv, usable["mark_iv"].to_numpy())
    half = np.maximum(ask - bid, usable["step"].to_numpy()) / 2
    point = price_and_greeks(forward, strike, tenor, np.where(status == 0, iv, 1.0), is_call)[3]
    with np.errstate(divide="ignore"):  # far out a price moves with no volatility
        error = np.maximum(half * forward / (100 * point), MARK_ERROR)
    shown, moved = (
        expiries["shown"].to_numpy(),
        np.bincount(number[is_moved], minlength=len(expiry)),
    )
    made = usable.select(
        "expiry", log_moneyness=pl.Series(np.log(strike / forward)),
        iv=pl.Series(np.where(status == 0, iv, np.nan)), error=pl.Series(error),
    )  # fmt: skip
    return replace(
        _chain(key, expiries, made),
        left_out=shown - np.bincount(number, minlength=len(expiry)),
        repaired=moved,
        violations=fixed.before.total,
        worst=fixed.worst_before,
    )


def _mids(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the quotes that may shape a surface, over the forward."""
    usable = with_quote_status(rows).filter(pl.col("quote_status") == "ok")
    unit = _unit()
    return usable.with_columns(
        bid=pl.col("bid_price") / unit, ask=pl.col("ask_price") / unit, step=pl.col("tick") / unit
    )


def _marks(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what marks out of the money are worth by their volatility, over the forward.

    Those worth less than a price step are left out: the exchange pins their volatility.
    """
    is_call = pl.col("option_type") == "call"
    usable = rows.filter(
        pl.col("mark_iv") > 0,
        pl.col("forward") > 0,
        pl.col("tenor") > 0,
        (pl.col("strike") >= pl.col("forward")) == is_call,
    )
    forward, strike, tenor, iv = (
        usable[name].to_numpy() for name in ("forward", "strike", "tenor", "mark_iv")
    )
    value = price(forward, strike, tenor, iv, (usable["option_type"] == "call").to_numpy())
    over = pl.Series(value / forward)
    marked = usable.with_columns(bid=over, ask=over, step=pl.col("tick") / _unit())
    return marked.filter(pl.col("bid") >= pl.col("step"))


def _is_flat() -> pl.Expr:
    """Return whether all marks of an expiry are one: placeholders, that move those beside them."""
    is_marked = pl.col("mark_iv") > 0
    levels, strikes = (pl.col(name).filter(is_marked).n_unique() for name in ("mark_iv", "strike"))
    return (levels == 1) & (strikes >= LEAST_STRIKES)


def _unit() -> pl.Expr:
    """Return what a price of 1 is, over the forward."""
    is_coin = pl.col("instrument_type") == "reversed"
    return pl.when(is_coin).then(1.0).otherwise(pl.col("forward"))


def _chain(key: _Key, expiries: pl.DataFrame, quotes: pl.DataFrame) -> Chain:
    """Return a chain of expiries and quotes, both sorted by expiry."""
    expiry = _array_us(expiries["expiry"])
    forward = expiries["forward"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    given = _array_us(quotes["expiry"])
    place = np.searchsorted(expiry, given)
    listed = expiry[np.minimum(place, len(expiry) - 1)] == given
    numbers = {name: quotes[name].to_numpy() for name in ("log_moneyness", "iv", "error")}
    good = listed & np.logical_and.reduce([np.isfinite(each) for each in numbers.values()])
    good &= (numbers["error"] > 0) & (numbers["iv"] > 0)
    number = place[good].astype(np.int64)
    count = np.bincount(number, minlength=len(expiry))
    status = np.where(count == 0, NO_QUOTES, OK)
    status = np.where(expiries["is_flat"].to_numpy(), FLAT, status)
    status = np.where(expiries["is_known"].to_numpy(), status, NO_FORWARD)
    status = np.where((expiry - key.at) / YEAR_US < NEAR_EXPIRY, NEAR, status)
    kept = status[number] == OK
    nothing = np.full(len(expiry), -1)
    k, iv, error = (each[good][kept] for each in numbers.values())
    return Chain(
        key.at, key.underlying, key.source, expiry, forward, status, number[kept], k, iv, error,
        nothing, nothing,
    )  # fmt: skip


def _index_at(told: pl.DataFrame, curve: pl.DataFrame) -> dict[tuple[Any, ...], float]:
    """Return the index at the last trade before each moment, by underlying and moment."""
    last = told.group_by("underlying", "at", maintain_order=True).agg(
        pl.col("expiry", "forward", "timestamp").sort_by("timestamp", maintain_order=True).last()
    )
    minutes = last.with_columns(pl.col("timestamp").dt.truncate("1m"))
    known = minutes.join(curve, on=["underlying", "expiry", "timestamp"], how="left")
    index = known.with_columns(index=pl.col("forward") / pl.col("basis").exp())
    rows = index.select("underlying", "at", "index").iter_rows()
    return {(underlying, at): value for underlying, at, value in rows}


def _us(moment: Any) -> int:
    """Return a moment in microseconds since 1970."""
    microseconds: int = round(moment.timestamp() * 1_000_000)
    return microseconds


def _array_us(moments: pl.Series) -> Ints:
    found: Ints = moments.cast(pl.Datetime("us", "UTC")).dt.epoch("us").to_numpy()
    return found
