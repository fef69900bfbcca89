"""Deribit's resolutions: how long a candle lasts, and where it may open."""

import polars as pl

MINUTE_MS, DAY_MS = 60_000, 86_400_000
DAY_MINUTES = 1_440
SETTLEMENT_MINUTES = 480
"""Deribit's day starts at its settlement, 08:00 UTC."""
SETTLEMENT_MS = SETTLEMENT_MINUTES * MINUTE_MS

RESOLUTIONS = {
    str(minutes): minutes for minutes in (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)
} | {"1D": DAY_MINUTES}
"""Minutes in a candle, by Deribit's name of the resolution."""


def grid(resolution: str) -> tuple[int, frozenset[int]]:
    """Return the step of a resolution's candles and where they may start [min].

    Daily candles start at 08:00 UTC. Where those of 180, 360 and 720 minutes start is not
    documented: both 00:00 and 08:00 are accepted (for shorter ones the two are the same).

    Returns
    -------
    tuple of int and frozenset of int
        Step [min], and the allowed remainders of minutes since 1970 divided by it [min].
    """
    step = RESOLUTIONS[resolution]
    midnight = set() if step == DAY_MINUTES else {0}
    return step, frozenset(midnight | {SETTLEMENT_MINUTES % step})


def is_on_grid(resolution: str) -> pl.Expr:
    """Whether `timestamp` can be the open time of a candle of that resolution."""
    step, phases = grid(resolution)
    offset = pl.col("timestamp").dt.epoch("us") % (step * MINUTE_MS * 1_000)
    return offset.is_in([phase * MINUTE_MS * 1_000 for phase in sorted(phases)])
