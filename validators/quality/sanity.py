"""Candles that cannot be, or that the exchange's own rounding does not explain."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import polars as pl

from validators.contract import split
from validators.quality.pieces import PIECE_ROWS
from validators.schemas.candles import candles_model
from validators.ticks import TickSize, is_on_tick, tick_at

OFF_BAR_BPS = 1.0
"""cost/volume further than this outside [low, high] is a finding [bp].

Of 3,776 recorded real candles with a trade, 49 are (block trades at another price, coin amounts
rounded to a millionth), so such a row is for review.
"""

WRONG_UNIT_BPS = 100.0
"""... and further than this, beyond the rounding of the volume, is unexplained [bp].

The worst recorded real candle is 57 bp off; a column of another unit is off by orders.
"""

VOLUME_ROUNDING = 5e-7
"""Deribit rounds older and small amounts to six decimals [coin]."""

NO_DETAIL = pl.lit(None, dtype=pl.String)
PRICES = ("open", "high", "low", "close")
SCHEMA = pl.Schema(
    {
        "instrument": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "check": pl.String(),
        "status": pl.String(),
        "detail": pl.String(),
        **dict.fromkeys([*PRICES, "volume", "cost"], pl.Float64()),
    }
)
"""A finding: the candle fails `check`; `detail` gives the number it fails by."""

TIMES = pl.Schema({"timestamp": SCHEMA["timestamp"]})


def find_faults(
    frame: pl.DataFrame,
    *,
    resolution: str,
    tick_size: float | None = None,
    tick_sizes: Iterable[TickSize] = (),
) -> pl.DataFrame:
    """Return the candles of one instrument that fail a check of their own numbers or order.

    Parameters
    ----------
    frame : DataFrame
        Candles of one instrument, the columns of `schemas.Candles`.
    resolution : str
        Deribit's name of it.
    tick_size : float, optional
        The tick of the instrument record [quote], for times `tick_sizes` does not cover.
    tick_sizes : iterable of TickSize
        The reviewed ones.

    Returns
    -------
    DataFrame
        `SCHEMA`, one row per candle and check, by time; status `unexplained`, or `review` for
        check `cost_off_bar`.
    """
    faults = Faults(resolution=resolution, tick_size=tick_size, tick_sizes=tuple(tick_sizes))
    for part in frame.iter_slices(PIECE_ROWS):
        faults = faults.add(part)
    repeats = Repeats().add(frame.sort("timestamp", maintain_order=True))
    return merged(faults.findings(), repeats.findings())


def merged(*findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings of `Faults` and `Repeats` together, by time and check."""
    return pl.concat(findings).sort("timestamp", "check", maintain_order=True)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """`find_faults` but for duplicates, over pieces in the order of their rows.

    What is carried over a border is the last time.
    """

    resolution: str
    tick_size: float | None = None
    tick_sizes: Sequence[TickSize] = ()
    latest: pl.DataFrame = field(default_factory=TIMES.to_frame)
    found: tuple[pl.DataFrame, ...] = ()

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        if piece.is_empty():
            return self
        tick = tick_at(piece["instrument"][0], self.tick_sizes, default=self.tick_size)
        found = (
            _behind(piece, self.latest, check="unsorted"),
            _contract_faults(piece, self.resolution),
            _row_faults(piece.with_columns(tick)),
        )
        return replace(self, latest=_latest(piece), found=(*self.found, *found))

    def findings(self) -> pl.DataFrame:
        """Return the candles at fault, by time and check."""
        return merged(SCHEMA.to_frame(), *self.found)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Candles whose time was there before, over rows in the order of time, those of one as held.

    What is carried over a border is the last time.
    """

    latest: pl.DataFrame = field(default_factory=TIMES.to_frame)
    found: tuple[pl.DataFrame, ...] = ()

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        if piece.is_empty():
            return self
        found = _behind(piece, self.latest, check="duplicate")
        return replace(self, latest=_latest(piece), found=(*self.found, found))

    def findings(self) -> pl.DataFrame:
        """Return the second, third, … candle of a time."""
        return pl.concat([SCHEMA.to_frame(), *self.found])


def _contract_faults(frame: pl.DataFrame, resolution: str) -> pl.DataFrame:
    """Rows that break the contract, which a lake holds only if something wrote around it."""
    rejected = split(frame, candles_model(resolution)).rejected.lazy()
    each = rejected.with_columns(check=pl.col("failed_check").str.split(",")).explode("check")
    return each.pipe(_findings, detail=NO_DETAIL).collect()


def _row_faults(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows off their tick, fillers that are none, and costs that do not fit volume and price."""
    rows = frame.lazy().with_columns(off_bps=_off_bar_bps())
    off_bps = pl.col("off_bps")
    is_wrong_unit = off_bps > WRONG_UNIT_BPS + VOLUME_ROUNDING / pl.col("volume") * 1e4
    amount = pl.format("cost/volume {} bp off the bar", off_bps.round(2))
    checks = (
        ("off_tick", _is_off_tick(), pl.format("tick {}", "tick")),
        ("filler_not_flat", _is_broken_filler(), NO_DETAIL),
        ("cost_wrong_unit", is_wrong_unit, amount),
        ("cost_off_bar", (off_bps > OFF_BAR_BPS) & ~is_wrong_unit, amount),
    )
    found = [
        rows.filter(is_wrong).with_columns(check=pl.lit(name)).pipe(_findings, detail=detail)
        for name, is_wrong, detail in checks
    ]
    return pl.concat(pl.collect_all(found, engine="in-memory"))


def _behind(piece: pl.DataFrame, latest: pl.DataFrame, *, check: str) -> pl.DataFrame:
    """Rows earlier than the row above them (`unsorted`), or as early (`duplicate`)."""
    times = pl.concat([latest, piece.select("timestamp")]).to_series()
    step = times.diff().tail(len(piece))
    is_behind = step < timedelta() if check == "unsorted" else step == timedelta()
    if not is_behind.any():
        return SCHEMA.to_frame()
    rows = piece.lazy().filter(is_behind).with_columns(check=pl.lit(check))
    return rows.pipe(_findings, detail=NO_DETAIL).collect()


def _latest(piece: pl.DataFrame) -> pl.DataFrame:
    return piece.select("timestamp").tail(1)


def _findings(rows: pl.LazyFrame, *, detail: pl.Expr) -> pl.LazyFrame:
    """Give failing rows, with their `check`, the columns of a finding."""
    is_doubtful = pl.col("check") == "cost_off_bar"
    status = pl.when(is_doubtful).then(pl.lit("review")).otherwise(pl.lit("unexplained"))
    return rows.with_columns(detail=detail, status=status).select(SCHEMA.names())


def _is_off_tick() -> pl.Expr:
    return pl.any_horizontal(~is_on_tick(price) for price in PRICES)


def _is_broken_filler() -> pl.Expr:
    """Whether only one of volume and cost is zero, or both are and the prices still differ."""
    is_silent = pl.col("volume") == 0
    is_flat = pl.all_horizontal(pl.col("open") == pl.col(price) for price in PRICES[1:])
    return (is_silent != (pl.col("cost") == 0)) | (is_silent & ~is_flat)


def _off_bar_bps() -> pl.Expr:
    """How far cost/volume lies outside [low, high] [bp]; null without a trade."""
    price = pl.col("cost") / pl.col("volume")
    above, below = price / pl.col("high") - 1, 1 - price / pl.col("low")
    return pl.when(pl.col("volume") > 0).then(pl.max_horizontal(above, below, 0.0) * 1e4)
