"""Candles that reach further from the previous close than their neighbourhood explains."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from validators.outages import Outage
from validators.resolutions import RESOLUTIONS

NEIGHBOURHOOD = 241
"""Candles with a trade that make up a neighbourhood, half of them before and half after."""

REACH = NEIGHBOURHOOD - 1
"""Candles either side that decide on one: half for its centre, half for those of its spread."""

STRETCH = 60
"""Candles whose deviations are looked at together, for a first guess; a quarter of the above."""

BLOCK = 32_768
"""Candles judged together: what is worked out on the way takes 200 bytes each."""

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

FOUND = pl.Schema({name: SCHEMA[name] for name in SCHEMA.names()[:5]})
CANDLES = pl.Schema(
    {
        "instrument": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        **dict.fromkeys(PRICES, pl.Float64()),
    }
)


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
    outliers = Outliers(
        resolution=resolution, outages=outages, tick_size=tick_size, threshold=threshold
    )
    return outliers.add(frame).findings()


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """`find_outliers` over pieces in the order of time; the rows of a piece may be in any order.

    What is carried over a border are the candles not judged yet, for want of those after them,
    and as many before them as they are judged by.
    """

    resolution: str
    outages: Sequence[Outage] = ()
    tick_size: float = 0.0
    threshold: float = THRESHOLD
    candles: pl.DataFrame = field(default_factory=CANDLES.to_frame)
    judged: int = 0
    found: tuple[pl.DataFrame, ...] = ()

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        state = self
        for block in _traded(piece).iter_slices(BLOCK):
            candles = pl.concat([state.candles, block])
            state = state._judge(candles, until=len(candles) - REACH)
        return state

    def findings(self) -> pl.DataFrame:
        """Return what `find_outliers` does, of all pieces."""
        judged = self._judge(self.candles, until=len(self.candles))
        found = pl.concat([FOUND.to_frame(), *judged.found])
        sources = [_source(time, self.outages) for time in found["timestamp"].to_list()]
        statuses = ["documented" if source else "review" for source in sources]
        return found.with_columns(
            status=pl.Series(statuses, dtype=TEXT), source=pl.Series(sources, dtype=TEXT)
        )

    def _judge(self, candles: pl.DataFrame, *, until: int) -> Self:
        """Judge the candles before the one of number `until`, and forget what is done with."""
        if until <= self.judged:
            return replace(self, candles=candles)
        scored = _scored(candles, resolution=self.resolution, tick_size=self.tick_size)
        is_due = pl.col("row").is_between(self.judged, until, closed="left")
        is_far = pl.col("robust_z").abs() > self.threshold
        found = _rescaled(scored, is_due & is_far, tick_size=self.tick_size).filter(is_far)
        found = found.select(FOUND.names())
        done = max(0, until - REACH - 1)  # one more, whose close the first return is from
        return replace(
            self, candles=candles[done:], judged=until - done, found=(*self.found, found)
        )


def _traded(piece: pl.DataFrame) -> pl.DataFrame:
    """Return the candles with a trade, by time."""
    is_priced = pl.all_horizontal(pl.col(*PRICES) > 0, pl.col(*PRICES).is_finite())
    candles = piece.lazy().filter((pl.col("volume") > 0) & is_priced).select(CANDLES.names())
    return candles.sort("timestamp", maintain_order=True).collect()


def _scored(candles: pl.DataFrame, *, resolution: str, tick_size: float) -> pl.DataFrame:
    """Return every candle with a `robust_z` not below the true one, by the least its spread is."""
    returns = (
        candles.with_row_index("row")
        .lazy()
        .pipe(_returns, step=timedelta(minutes=RESOLUTIONS[resolution]))
    )
    centred = returns.with_columns(centre=_rolling_median(pl.col("close_return")))
    deviation = (pl.col("close_return") - pl.col("centre")).abs()
    scored = centred.with_columns(deviation=deviation).collect()
    return scored.with_columns(spread=_least_spread(scored)).with_columns(
        robust_z=_robust_z(tick_size)
    )


def _least_spread(candles: pl.DataFrame) -> pl.Series:
    """Return what the median deviation of each neighbourhood is not below, at a tenth of its cost.

    Wherever a candle is in its stretch of 60, its neighbourhood holds that and both beside it. If
    at most three in ten of each are below a number, so are less than half of the neighbourhood.
    """
    deviation = pl.col("deviation")
    stretches = (
        candles.select("deviation", stretch=pl.col("row") // STRETCH)
        .group_by("stretch", maintain_order=True)
        .agg(low=deviation.quantile(0.3, "lower"), whole=deviation.count() == STRETCH)
    )
    low = pl.when("whole").then("low")
    least = pl.min_horizontal(low, low.shift(), low.shift(-1))
    is_known = pl.col("whole") & pl.col("whole").shift() & pl.col("whole").shift(-1)
    known = stretches.select(pl.when(is_known).then(least).otherwise(0.0)).to_series()
    return known.gather(candles["row"] // STRETCH).alias("spread")


def _rescaled(scored: pl.DataFrame, is_suspect: pl.Expr, *, tick_size: float) -> pl.DataFrame:
    """Return the suspects with their true `robust_z`; all their neighbours are looked at."""
    suspect = scored.select(is_suspect.fill_null(value=False).cast(pl.UInt8)).to_series()
    is_near = suspect.rolling_max(NEIGHBOURHOOD, center=True, min_samples=1) == 1
    near = scored.with_columns(suspect=suspect == 1).filter(is_near)
    return (
        near.with_columns(spread=_rolling_median(pl.col("deviation")))
        .filter("suspect")
        .with_columns(robust_z=_robust_z(tick_size))
    )


def _returns(candles: pl.LazyFrame, *, step: timedelta) -> pl.LazyFrame:
    """Candles with a trade, their returns, and the square root of the steps these took."""
    previous = pl.col("close").shift()
    reach = pl.max_horizontal((pl.col(price) / previous).log().abs() for price in PRICES)
    return candles.with_columns(
        price=pl.coalesce(
            pl.when((pl.col(price) / previous).log().abs() == reach).then(price) for price in PRICES
        ),
        root_steps=(pl.col("timestamp").diff() / step).clip(1).sqrt(),
        previous=previous,
    ).with_columns(
        log_return=(pl.col("price") / pl.col("previous")).log(),
        close_return=(pl.col("close") / pl.col("previous")).log() / pl.col("root_steps"),
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
