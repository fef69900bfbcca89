"""The price path of a coin: one number per hour at start-up, one per minute when asked for.

Hourly log prices are one cumulative sum, pinned to plausible levels of the real market at a few
dates; inside an hour the minutes are a bridge from one hourly price to the next, weighted by
variance. So the price of any minute follows from (seed, coin, minute) alone.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.noise import Bits, Floats

DAYS = 6_000
HOURS = 24 * DAYS
DAY_MINUTES = 1_440
EPOCH_MS = milliseconds("2018-08-14T08:00")
EPOCH_MINUTE = EPOCH_MS // 60_000
HOUR_MS = 3_600_000

_TYPICAL_VOLATILITY = {"BTC": 0.00046, "ETH": 0.00068}  # of one minute
# Log volatility moves on several scales: (hours per step, weight).
_VOLATILITY_SCALES = ((384, 0.3), (96, 0.25), (24, 0.25), (4, 0.25), (1, 0.25))

_LEVELS = {
    "BTC": {
        "2018-08-14": 6035, "2018-11-12": 6310, "2018-12-15": 3240, "2019-03-27": 4016,
        "2019-05-11": 7524, "2019-06-25": 12474, "2019-09-23": 9750, "2019-12-22": 7507,
        "2020-02-12": 10350, "2020-03-13": 5600, "2020-06-19": 9296, "2020-09-17": 10967,
        "2020-12-16": 22518, "2021-01-30": 33630, "2021-04-14": 63500, "2021-07-20": 29800,
        "2021-11-09": 67500, "2022-01-25": 37365, "2022-06-18": 19000, "2022-11-21": 15800,
        "2023-04-20": 28164, "2023-09-11": 25200, "2023-12-31": 42300, "2024-03-13": 73000,
        "2024-09-06": 54000, "2024-12-17": 107000, "2025-04-08": 76500, "2025-08-13": 123000,
        "2025-10-18": 107000, "2026-01-30": 83400, "2026-09-20": 80800,
    },
    "ETH": {
        "2018-08-14": 280, "2018-12-15": 85, "2019-03-14": 133, "2019-06-26": 330,
        "2019-12-18": 120, "2020-02-14": 285, "2020-03-13": 120, "2020-08-31": 430,
        "2021-01-04": 1040, "2021-05-11": 4180, "2021-07-20": 1790, "2021-11-09": 4800,
        "2022-06-18": 990, "2022-08-13": 1980, "2022-11-21": 1110, "2023-04-16": 2110,
        "2023-10-12": 1540, "2024-03-11": 4060, "2024-08-07": 2350, "2024-12-16": 4000,
        "2025-04-08": 1470, "2025-08-24": 4780, "2025-10-18": 3880, "2025-12-30": 2970,
        "2026-09-20": 2602,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Path:
    """Hourly prices of one coin.

    Attributes
    ----------
    log_price : float64 array, shape (HOURS + 1,)
        Log of the price at the start of each hour since `EPOCH_MS` [ln USD].
    volatility : float64 array, shape (HOURS,)
        Typical deviation of a one-minute log return in each hour [1].
    """

    log_price: Floats
    volatility: Floats


def price_path(seed: int, coin: str) -> Path:
    """Return the path of `coin` under `seed`."""
    hours = np.arange(HOURS, dtype=np.uint64)
    volatility = _TYPICAL_VOLATILITY[coin] * noise.exponential(_log_volatility(seed, coin, hours))
    steps = noise.normal(noise.key(seed, coin, "hour"), hours) * volatility * np.sqrt(60.0)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    return Path(walk + _pins(coin, walk), volatility)


def minutes_of_day(path: Path, channels: tuple[np.uint64, ...], day: int) -> tuple[Floats, Floats]:
    """Return one exchange day, 08:00 to 08:00 UTC.

    Returns
    -------
    log_price : float64 array, shape (1441,)
        At the start of each minute, and at the end of the last.
    deviation : float64 array, shape (1440,)
        Deviation of the log return of each minute.
    """
    counter = np.uint64(day * DAY_MINUTES) + np.arange(DAY_MINUTES, dtype=np.uint64)
    hours = slice(24 * day, 24 * day + 25)
    deviation = _minute_factor(channels, counter) * np.repeat(path.volatility[hours][:24], 60)
    steps = (noise.normal(channels[2], counter) * deviation).reshape(24, 60)
    inside = np.cumsum(steps, axis=1)
    elapsed = np.cumsum((deviation * deviation).reshape(24, 60), axis=1)
    elapsed /= elapsed[:, -1:]
    anchors = path.log_price[hours]
    miss = inside[:, -1:] - np.diff(anchors)[:, None]
    ends = anchors[:24, None] + inside - elapsed * miss
    return np.concatenate([anchors[:1], ends.ravel()]), deviation


def _log_volatility(seed: int, coin: str, hours: Bits) -> Floats:
    total = np.zeros(HOURS)
    for span, weight in _VOLATILITY_SCALES:
        channel = noise.key(seed, coin, f"volatility/{span}")
        total += weight * noise.normal(channel, hours // np.uint64(span))
    return total


def _minute_factor(channels: tuple[np.uint64, ...], counter: Bits) -> Floats:
    level = 0.25 * noise.normal(channels[0], counter // np.uint64(7))
    word = noise.bits(channels[1], counter)
    level += 0.25 * noise.normal_of_lanes(word)
    burst = noise.lane(word, 3) < 0.01 * 65_536
    result: Floats = noise.exponential(level) * (1.0 + 2.5 * burst)
    return result


def _pins(coin: str, walk: Floats) -> Floats:
    """Return what moves the walk onto the pinned levels, linear in between."""
    levels = _LEVELS[coin]
    hours = [(milliseconds(day) - EPOCH_MS) // HOUR_MS for day in levels]
    at = np.clip(hours, 0, HOURS)
    # Decimal's logarithm is correctly rounded everywhere; the C library's is not.
    logs = np.array([float(Decimal(price).ln()) for price in levels.values()])
    shift: Floats = np.interp(np.arange(HOURS + 1), at, logs - walk[at])
    return shift
