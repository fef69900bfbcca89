"""How many trades each option makes on each day of its life, and so every trade_seq.

Assumed: near expiries and strikes near the money trade most, those out of the money more than
those in it, round strikes more than others; most options make no trade on most days. The number
of an expiry's trades is spread over its strikes, so that a day of a currency is of a known size.
"""

import numpy as np
from numpy.typing import NDArray

from tests.exchange import noise
from tests.exchange.noise import Floats
from tests.exchange.option_market.calendar import Expiry
from tests.exchange.option_market.chain import IDS_OF_A_FAMILY, Chain
from tests.exchange.option_market.underlying import DAY_MS, Underlyings
from tests.exchange.path import EARLY_DAYS, EPOCH_MS
from tests.exchange.trades import Ints

Counts = NDArray[np.uint32]
# of a day of 2024, by year from 2016 on
_BY_YEAR = (0.01, 0.03, 0.06, 0.12, 0.35, 0.7, 0.7, 0.75, 1.0, 1.1, 1.2)
_SHARES_OF_EXPIRIES = 3.4  # what the weights of the expiries of a day of 2024 add up to
_DAYS_BEFORE = 1_024  # so that no counter is negative


def numbers_of(chain: Chain, rows: Ints) -> Ints:
    """Return the numbers that the noise of options is drawn by, unique over all families."""
    return chain.family.number * IDS_OF_A_FAMILY + rows


def counted(
    seed: int, chain: Chain, number: int, underlyings: Underlyings, *, factor: float
) -> Counts:
    """Return how many trades each option of an expiry has made by the start of each day.

    Returns
    -------
    uint32 array, shape (options, days + 1)
        Column 0 is zero, the last is the number of an option's last trade.
    """
    expiry, span = chain.expiries[number], chain.of_expiry(number)
    rows = np.arange(span.start, span.stop)
    days = np.arange(expiry.first_day, expiry.end_day, dtype=np.int64)
    weight = _weights(seed, chain, rows, days, underlyings)
    weight *= factor * _size_of_days(seed, chain, expiry, days) / weight.sum(axis=0)
    counter = (numbers_of(chain, rows)[:, None] << 16) + days + _DAYS_BEFORE
    word = noise.bits(noise.key(seed, "options", "count"), counter.view(np.uint64))
    spread = -np.log1p(-(word >> np.uint64(32)).astype(np.float64) * 2.0**-32)
    rest = (word & np.uint64(0xFFFF_FFFF)).astype(np.float64) * 2.0**-32
    count = np.floor(weight * spread + rest).astype(np.uint32)
    total = np.zeros((count.shape[0], count.shape[1] + 1), dtype=np.uint32)
    np.cumsum(count, axis=1, out=total[:, 1:])
    return total


def base_of_ids(day: int, daily_trades: float, factor: float) -> int:
    """Return the number after which the trade ids of an exchange day begin."""
    return (day + EARLY_DAYS) * round(4 * daily_trades * max(1.0, factor))


def _size_of_days(seed: int, chain: Chain, expiry: Expiry, days: Ints) -> Floats:
    """Return how many trades an expiry makes on each day of its life."""
    left = (expiry.expiration_ms - EPOCH_MS) / DAY_MS - days
    share = 1 / (1 + left / 3) ** 0.9 + 0.02
    year = np.clip((days * DAY_MS + EPOCH_MS) // (365.25 * DAY_MS) - 46, 0, len(_BY_YEAR) - 1)
    noisy = noise.normal(noise.key(seed, chain.family.base, "trades"), days.view(np.uint64))
    size = chain.family.daily_trades * np.array(_BY_YEAR)[year.astype(np.int64)]
    return np.asarray(size * share / _SHARES_OF_EXPIRIES * np.exp(0.25 * noisy))


def _weights(seed: int, chain: Chain, rows: Ints, days: Ints, underlyings: Underlyings) -> Floats:
    """Return how much each option attracts on each day; nothing before it is listed."""
    family = chain.family
    level = underlyings.log_levels(family.base, family.perpetual, days)
    years = np.maximum(days[-1] + 1 - days, 0.5) / 365
    away = np.log(chain.strike[rows])[:, None] - level
    scaled = away / (0.6 * np.sqrt(years) + 0.01)
    weight = np.exp(-1.1 * np.abs(scaled)) + 3e-5
    weight *= np.where(chain.sign[rows][:, None] * away > 0, 1.0, 0.3)
    favour = noise.normal(
        noise.key(seed, "options", "favour"), numbers_of(chain, rows).view(np.uint64)
    )
    round_one = np.round(chain.strike[rows] / 10 ** np.floor(np.log10(chain.strike[rows])), 4)
    weight *= (np.exp(0.8 * favour) * np.where(round_one * 2 % 1 == 0, 2.0, 1.0))[:, None]
    listed_on = (chain.creation_ms[rows] - EPOCH_MS) // DAY_MS
    return np.asarray(np.where(days >= listed_on[:, None], weight, 0.0))
