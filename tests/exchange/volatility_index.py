"""The volatility index (DVOL): a pure function of seed, currency and time.

The logarithm of the index is a sum of smoothed noises of several periods; between two minutes it
moves in a straight line, so that the extremes of a bar are those of its minutes and its end.
"""

import numpy as np

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.noise import Floats
from tests.exchange.trades import Ints

FIRST_MS = milliseconds("2021-03-24")
MOST_ROWS = 1_000
STEPS_MS = {"1": 1_000, "60": 60_000, "3600": 3_600_000, "43200": 43_200_000, "1D": 86_400_000}
LOG_LEVELS = {"BTC": 4.05, "ETH": 4.25}  # 57 and 70 vol points
_WAVES = (
    (129_600, 0.22), (28_800, 0.14), (7_200, 0.08), (1_440, 0.04), (240, 0.015), (30, 0.006),
    (5, 0.0025),
)  # fmt: skip
"""Period [min] and size [1] of each noise."""


def bars(
    seed: int, currency: str, window: tuple[int, int], resolution: str, *, now_ms: int
) -> tuple[list[list[float]], int | None]:
    """Return the newest bars that open in a window, both ends included, and where to go on.

    Returns
    -------
    rows : lists of open time [Unix ms], open, high, low, close [vol points]
        At most 1,000, in order of time; the last may still be forming.
    continuation : int or None
        End of the window that has the rest [Unix ms].
    """
    step = STEPS_MS[resolution]
    first = -(-max(window[0], FIRST_MS) // step) * step
    opens = np.arange(first, min(window[1], now_ms - 1) + 1, step, dtype=np.int64)
    rest = opens[:-MOST_ROWS]
    opens = opens[-MOST_ROWS:]
    inside = np.arange(0, step // 60_000 * 60_000, 60_000)
    ends = np.append(inside, step - 1_000)
    times = np.minimum(opens[:, None] + ends, now_ms // 1_000 * 1_000)
    values = index(seed, currency, times.ravel()).reshape(times.shape)
    columns = (opens, values[:, 0], values.max(axis=1), values.min(axis=1), values[:, -1])
    rows = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return rows, int(rest[-1]) if rest.size else None


def index(seed: int, currency: str, ms: Ints) -> Floats:
    """Return the index [vol points, two decimals] at moments [Unix ms], shape (n,)."""
    minute, into = np.divmod(ms, 60_000)
    here, then = (_at_minute(seed, currency, each) for each in (minute, minute + 1))
    value: Floats = np.round(here + (then - here) * (into / 60_000), 2)
    return value


def _at_minute(seed: int, currency: str, minute: Ints) -> Floats:
    total = np.full(minute.shape, LOG_LEVELS[currency])
    for period, size in _WAVES:
        channel = noise.key(seed, "volatility_index", currency, str(period))
        number, into = np.divmod(minute, period)
        here, then = (
            noise.normal(channel, each.astype(np.uint64)) for each in (number, number + 1)
        )
        total += size * (here + (then - here) * (into / period))
    return noise.exponential(total)
