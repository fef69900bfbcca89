"""Basis of dated futures over their perpetual, minute by minute, and at constant maturities.

A candle's close is a price at the end of its minute, so time to expiry counts from there. Deribit
fills a minute without a trade with the last price: such a price is as old as the trade behind it,
and a pair with a side older than the tolerance has no basis, but a reason.
"""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from quant.conventions import YEAR

STATUSES = ("ok", "expired", "no_perpetual", "stale_perpetual", "stale_future")
"""Why a row has no basis, where it has none; the first that applies."""
STATUS = pl.Enum(STATUSES)
MATURITIES = (7, 30, 90)
"""Constant maturities [days]."""
MATURITY_STATUSES = ("ok", "no_shorter_future", "no_longer_future")
MATURITY_STATUS = pl.Enum(MATURITY_STATUSES)

_MINUTE = timedelta(minutes=1)
_US = timedelta(microseconds=1)
_DAY_US, _MINUTE_US = timedelta(days=1) // _US, _MINUTE // _US
_DAYS = YEAR / timedelta(days=1)


def with_basis(
    futures: pl.DataFrame,
    perpetual: pl.DataFrame,
    index: pl.DataFrame,
    *,
    tolerance: timedelta = timedelta(hours=1),
) -> pl.DataFrame:
    """Return what futures stand above the perpetual of the same index.

    Parameters
    ----------
    futures : DataFrame, n rows in any order
        `timestamp` (open time of a minute), `instrument`, `expiry`, `close` [quote currency],
        `volume` [coin]; `traded`, as `with_traded` returns it of more rows than these, if known.
    perpetual : DataFrame, in any order
        `timestamp`, `close` [quote currency], `volume` [coin] of one perpetual.
    index : DataFrame
        `timestamp` (a moment) and `price` [quote currency] of its index, where known.
    tolerance
        How old the last trade behind a price may be.

    Returns
    -------
    DataFrame, n rows, sorted by instrument and timestamp
        `timestamp`, `instrument`, `future_price`, `perpetual_price`, `index_price` [quote
        currency]; `future_is_filler`, `perpetual_is_filler`; `days_to_expiry`; `basis`, future
        less perpetual, and `index_basis`, future less index [quote currency];
        `basis_annualised`, (F/P - 1)/T, and `carry`, ln(F/P)/T [1/yr, ACT/365]; `status`. Figures
        of both sides are null unless `status` is ``ok``; the annualised are null at expiry too.

    Notes
    -----
    A perpetual without a candle in a minute stands at its last one, as a filler.
    """
    if futures.is_empty():
        return _empty(futures)
    ordered = futures if _is_in_order(futures) else futures.sort("instrument", "timestamp")
    rows = ordered if "traded" in ordered.columns else with_traded(ordered)
    grid = _minutes(rows)
    minutes = _by_minute(grid, perpetual, index)
    elapsed = (pl.col("timestamp") - grid["minute"][0]).dt.total_microseconds()
    # Exact for whole minutes, and four times as fast as dividing integers.
    place = rows.select((elapsed * (1 / _MINUTE_US) + 0.5).cast(pl.UInt32)).to_series()
    pairs = rows.hstack(minutes[place])
    return _compute(pairs, tolerance)


def with_traded(futures: pl.DataFrame) -> pl.DataFrame:
    """Add the minute of each future's last trade so far; that of its first row if none yet.

    Parameters
    ----------
    futures : DataFrame, sorted by instrument and timestamp
        `timestamp`, `instrument`, `volume` [coin].
    """
    is_first = (pl.col("instrument") != pl.col("instrument").shift(1)).fill_null(value=True)
    known = (pl.col("volume") > 0) | is_first
    return futures.with_columns(traded=_last(known, pl.col("timestamp")))


def constant_maturity(
    basis: pl.DataFrame, maturities: Sequence[float] = MATURITIES
) -> pl.DataFrame:
    """Return the carry at constant maturities, between the futures around each.

    Total carry ln(F/P) runs in a straight line of time between two neighbouring expiries: the
    forward rate between them is constant. Outside the expiries there is none.

    Parameters
    ----------
    basis : DataFrame
        As `with_basis` returns it, of futures of one perpetual.
    maturities
        In days.

    Returns
    -------
    DataFrame, sorted by timestamp and maturity, one row of each
        `timestamp`, `maturity_days`, `carry` [1/yr], `shorter`, `longer` (the futures around it),
        `status`.
    """
    good = basis.filter(pl.col("status") == "ok", pl.col("days_to_expiry") > 0).select(
        "timestamp", "instrument", "days_to_expiry", "carry"
    )
    curve = good.sort("timestamp", "days_to_expiry").with_columns(
        total=pl.col("carry") * pl.col("days_to_expiry"),
        is_last=(pl.col("timestamp") != pl.col("timestamp").shift(-1)).fill_null(value=True),
    )
    following = pl.when(~pl.col("is_last"))
    curve = curve.with_columns(
        longer=following.then(pl.col("instrument").shift(-1)),
        longer_days=following.then(pl.col("days_to_expiry").shift(-1)),
        longer_total=following.then(pl.col("total").shift(-1)),
    )
    moments = basis.select(pl.col("timestamp").unique().sort())
    found = [_at_maturity(curve, moments, float(days)) for days in maturities]
    return pl.concat(found).sort("timestamp", "maturity_days")


def _minutes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return every minute from the first row to the last."""
    first, last = pl.col("timestamp").min(), pl.col("timestamp").max()
    return rows.select(pl.datetime_range(first, last, "1m").alias("minute").set_sorted())


def _by_minute(grid: pl.DataFrame, perpetual: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    """Return the perpetual and its index at every minute."""
    bars = perpetual.sort("timestamp").select(
        pl.col("timestamp").alias("perpetual_at").set_sorted(),
        pl.col("close").alias("perpetual_price"),
        _last(pl.col("volume") > 0, pl.col("timestamp")).alias("perpetual_traded"),
    )
    points = index.select(
        (pl.col("timestamp") - _MINUTE).alias("minute"), pl.col("price").alias("index_price")
    )
    known = grid.join_asof(bars, left_on="minute", right_on="perpetual_at")
    both = known.join(points, on="minute", how="left", maintain_order="left")
    return both.select("perpetual_price", "perpetual_traded", "index_price")


def _last(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(value).forward_fill()


def _compute(pairs: pl.DataFrame, tolerance: timedelta) -> pl.DataFrame:
    now = pl.col("timestamp")
    left_us = pl.col("left_us")
    status = (
        pl.when(left_us < 0).then(1)
        .when(pl.col("perpetual_price").is_null()).then(2)
        .when((now - pl.col("perpetual_traded") > tolerance).fill_null(value=True)).then(3)
        .when(now - pl.col("traded") > tolerance).then(4)
        .otherwise(0)
        .cast(pl.UInt8)
    )  # fmt: skip
    is_ok, days, years, excess = (pl.col(name) for name in ("is_ok", "days", "years", "excess"))
    future, perpetual = pl.col("close"), pl.col("perpetual_price")
    timed = pairs.with_columns(
        left_us=(pl.col("expiry") - now).dt.total_microseconds() - _MINUTE_US
    )
    judged = timed.with_columns(
        status=status, days=left_us / _DAY_US, excess=future / perpetual - 1
    ).with_columns(is_ok=pl.col("status") == 0)
    judged = judged.with_columns(years=pl.when(is_ok & (days > 0)).then(days / _DAYS))
    is_fresh = pl.col("status").is_in([1, 4]).not_()
    return judged.select(
        "timestamp",
        "instrument",
        future.alias("future_price"),
        "perpetual_price",
        "index_price",
        (pl.col("volume") == 0).alias("future_is_filler"),
        (pl.col("perpetual_traded") != now).fill_null(value=True).alias("perpetual_is_filler"),
        days.alias("days_to_expiry"),
        pl.when(is_ok).then(future - perpetual).alias("basis"),
        pl.when(is_fresh).then(future - pl.col("index_price")).alias("index_basis"),
        (excess / years).alias("basis_annualised"),
        (excess.log1p() / years).alias("carry"),
        pl.col("status").cat.to(STATUS),
    )


def _at_maturity(curve: pl.DataFrame, moments: pl.DataFrame, days: float) -> pl.DataFrame:
    here, there = pl.col("days_to_expiry"), pl.col("longer_days")
    exact = here == days
    share = (days - here) / (there - here)
    total = pl.col("total") + share * (pl.col("longer_total") - pl.col("total"))
    around = curve.filter(exact | ((here < days) & (days < there))).select(
        "timestamp",
        carry=pl.when(exact).then(pl.col("carry")).otherwise(total / days),
        shorter="instrument",
        longer=pl.when(exact).then("instrument").otherwise("longer"),
    )
    has_shorter = curve.filter(here <= days).select(pl.col("timestamp").unique(), has_shorter=True)
    rows = moments.join(around, on="timestamp", how="left").join(
        has_shorter, on="timestamp", how="left"
    )
    reason = pl.when(pl.col("has_shorter")).then(2).otherwise(1)
    status = pl.when(pl.col("shorter").is_not_null()).then(0).otherwise(reason)
    return rows.select(
        "timestamp",
        pl.lit(days).alias("maturity_days"),
        "carry",
        "shorter",
        "longer",
        status.cast(pl.UInt8).cat.to(MATURITY_STATUS).alias("status"),
    )


def _is_in_order(rows: pl.DataFrame) -> bool:
    """Whether the rows are sorted by instrument and time, each once."""
    instrument, time = pl.col("instrument"), pl.col("timestamp")
    is_next = instrument > instrument.shift(1)
    is_later = (instrument == instrument.shift(1)) & (time > time.shift(1))
    return bool(rows.select((is_next | is_later).fill_null(value=True).all()).item())


def _empty(futures: pl.DataFrame) -> pl.DataFrame:
    stamp, number = pl.Datetime("us", "UTC"), pl.Float64()
    schema = {"timestamp": stamp, "instrument": futures.schema["instrument"]}
    schema |= dict.fromkeys(("future_price", "perpetual_price", "index_price"), number)
    schema |= dict.fromkeys(("future_is_filler", "perpetual_is_filler"), pl.Boolean())
    figures = ("days_to_expiry", "basis", "index_basis", "basis_annualised", "carry")
    return pl.DataFrame(schema=schema | dict.fromkeys(figures, number) | {"status": STATUS})
