"""Candles that reach further from the previous close than their neighbourhood explains."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from validators.outages import Outage
from validators.schemas import RESOLUTIONS

NEIGHBOURHOOD = 241
"""Candles with a trade that make up a neighbourhood, half of them before and half after."""

ENOUGH = 60
"""Fewer returns than this are no neighbourhood: candles there are not judged."""

THRESHOLD = 20.0
"""Robust z-score from which a candle is worth a look."""

MAD_TO_STDEV = 1.4826
"""Standard deviation of a normal variable, in median absolute deviations."""

PRICES = ("high", "low", "close")
TEXT = pl.String
SCHEMA = pl.Schema(
    {
        "instrument": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "price": pl.Float64(),
        "log_return": pl.Float64(),
        "robust_z": pl.Float64(),
        "status": pl.String(),
        "source": pl.String(),
    }
)
"""A finding: `price` [quote] is `log_return` [1] from the previous close, `robust_z` [1] scales."""


def find_outliers(
    frame: pl.DataFrame,
    *,
    resolution: str,
    outages: Sequence[Outage] = (),
    tick_size: float = 0.0,
    threshold: float = THRESHOLD,
) -> pl.DataFrame:
    """Return the candles of one instrument whose high or low is far from the previous close.

    The return of a candle is that of its high or its low, whichever is further, divided by the
    square root of the steps since the last candle with a trade. The scale is the median absolute
    deviation of the close-to-close returns of its neighbourhood (not less than one tick), so one
    spike does not widen it. Fillers repeat the last price and are left out.

    Parameters
    ----------
    frame : DataFrame
        Candles of one instrument in order, the columns of `schemas.Candles`.
    resolution : str
        Deribit's name of it.
    outages : sequence of Outage
        The documented incidents; one of kind `bad_prints` explains what it covers.
    tick_size : float
        Distance between neighbouring prices [quote].
    threshold : float
        Robust z-score above which a candle is a finding [1].

    Returns
    -------
    DataFrame
        `SCHEMA`, by time; status `review` or `documented`.
    """
    step = timedelta(minutes=RESOLUTIONS[resolution])
    found = (
        frame.lazy()
        .pipe(_returns, step=step)
        .with_columns(centre=_rolling_median(pl.col("close_return")))
        .with_columns(spread=_rolling_median((pl.col("close_return") - pl.col("centre")).abs()))
        .with_columns(robust_z=_robust_z(tick_size))
        .filter(pl.col("robust_z").abs() > threshold)
        .select("instrument", "timestamp", "price", "log_return", "robust_z")
        .collect()
    )
    sources = [_source(time, outages) for time in found["timestamp"].to_list()]
    return found.with_columns(
        status=pl.Series(["documented" if source else "review" for source in sources], dtype=TEXT),
        source=pl.Series(sources, dtype=TEXT),
    ).select(SCHEMA.names())


def _returns(candles: pl.LazyFrame, *, step: timedelta) -> pl.LazyFrame:
    """Candles with a trade, their returns, and the square root of the steps these took."""
    previous = pl.col("close").shift()
    reach = pl.max_horizontal((pl.col(price) / previous).log().abs() for price in PRICES)
    traded = pl.all_horizontal(pl.col(*PRICES) > 0, pl.col(*PRICES).is_finite())
    return (
        candles.filter((pl.col("volume") > 0) & traded)
        .sort("timestamp")
        .with_columns(
            price=pl.coalesce(
                pl.when((pl.col(price) / previous).log().abs() == reach).then(price)
                for price in PRICES
            ),
            root_steps=(pl.col("timestamp").diff() / step).clip(1).sqrt(),
            previous=previous,
        )
        .with_columns(
            log_return=(pl.col("price") / pl.col("previous")).log(),
            close_return=(pl.col("close") / pl.col("previous")).log() / pl.col("root_steps"),
        )
    )


def _rolling_median(values: pl.Expr) -> pl.Expr:
    return values.rolling_median(NEIGHBOURHOOD, center=True, min_samples=ENOUGH)


def _robust_z(tick_size: float) -> pl.Expr:
    """How many scales a candle reaches from the centre of its neighbourhood [1]."""
    scale = pl.max_horizontal(pl.col("spread") * MAD_TO_STDEV, tick_size / pl.col("close"))
    return (pl.col("log_return") / pl.col("root_steps") - pl.col("centre")) / scale


def _source(time: datetime, outages: Sequence[Outage]) -> str | None:
    prints = (outage for outage in outages if outage.kind == "bad_prints")
    return next((outage.source for outage in prints if outage.start <= time < outage.end), None)
