"""The strikes of a family: a grid around the index at listing, and more as the index moves.

Near the money every step of the grid is listed, farther out every second and every fifth. At
08:00 UTC of each day strikes are added where the index has come so near that they belong to the
grid; nothing is ever taken away. How wide a grid is depends on how long the expiry lives, so that
BTC had some 115,000 expired options in May 2025, as recorded.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from tests.exchange import noise
from tests.exchange.noise import Floats
from tests.exchange.option_market.calendar import DAY_MS, Expiry, expiries_of
from tests.exchange.option_market.families import BY_NAME, Family
from tests.exchange.option_market.underlying import Underlyings
from tests.exchange.path import EPOCH_MS, price_path
from tests.exchange.trades import Ints

FIRST_ID, IDS_OF_A_FAMILY = 20_000_000, 500_000
# (longest life [days], step against the index, half-width of each ring [ln]), every step, every
# second and every fifth
_GRIDS = (
    (5, 0.01, (0.04, 0.08, 0.16)),
    (22, 0.0125, (0.08, 0.17, 0.35)),
    (100, 0.02, (0.16, 0.4, 0.8)),
    (400, 0.025, (0.22, 0.5, 1.2)),
)
_SIDES = ("C", "P")


@dataclass(frozen=True)
class Chain:
    """Every option of a family, ordered by listing of the expiry, strike, and call before put.

    Attributes
    ----------
    expiry : int64 array, shape (n,)
        Which of `expiries`.
    strike : float64 array, shape (n,)
        [quote currency].
    sign : float64 array, shape (n,)
        1 for calls, -1 for puts.
    creation_ms, expiration_ms : int64 arrays, shape (n,)
        [Unix ms].
    first : int64 array, shape (expiries + 1,)
        Where each expiry begins.
    """

    family: Family
    expiries: tuple[Expiry, ...]
    expiry: Ints
    strike: Floats
    sign: Floats
    creation_ms: Ints
    expiration_ms: Ints
    first: Ints

    @cached_property
    def on_index(self) -> Floats:
        """1 where the forward is the index: daily expiries without a future; shape (n,)."""
        bare = [one.period == "day" and not one.has_future for one in self.expiries]
        return np.array(bare, dtype=np.float64)[self.expiry]

    @cached_property
    def names(self) -> list[str]:
        """Names of all options."""
        prefixes = [self.expiries[n].name for n in self.expiry[::2].tolist()]
        strikes = map(strike_text, self.strike[::2].tolist())
        stems = [f"{one}-{text}" for one, text in zip(prefixes, strikes, strict=True)]
        return [f"{stem}-{side}" for stem in stems for side in _SIDES]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Which row a name has."""
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def days(self) -> NDArray[np.int64]:
        """First day and first day after, of each expiry; shape (2, expiries)."""
        pairs = [(one.first_day, one.end_day) for one in self.expiries]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2).T

    def of_expiry(self, number: int) -> slice:
        """Return the rows of an expiry."""
        return slice(int(self.first[number]), int(self.first[number + 1]))

    def living(self, day: int) -> list[int]:
        """Return which expiries live on an exchange day."""
        begin, end = self.days
        return np.flatnonzero((begin <= day) & (day < end)).tolist()


@lru_cache(maxsize=14)
def chain(seed: int, family: str) -> Chain:
    """Return the chain of a family by name under a seed; the last few are held."""
    return chain_of(BY_NAME[family], Underlyings(seed, partial(price_path, seed)))


def chain_of(family: Family, underlyings: Underlyings) -> Chain:
    """Return the chain of a family under a seed."""
    expiries = expiries_of(family)
    start = min(one.first_day for one in expiries)
    days = np.arange(start, max(one.end_day for one in expiries), dtype=np.int64)
    levels = underlyings.log_levels(family.base, family.perpetual, days)
    grids = [
        _strikes(family, one, levels[one.first_day - start : one.end_day - start])
        for one in expiries
    ]
    sizes = [2 * len(strikes) for strikes, _ in grids]
    expiry = np.repeat(np.arange(len(expiries)), sizes)
    strike = np.concatenate([strikes for strikes, _ in grids])
    return Chain(
        family=family,
        expiries=expiries,
        expiry=expiry,
        strike=np.repeat(strike, 2),
        sign=np.tile([1.0, -1.0], len(strike)),
        creation_ms=np.repeat(np.concatenate([listed for _, listed in grids]), 2),
        expiration_ms=np.array([one.expiration_ms for one in expiries])[expiry],
        first=np.concatenate([[0], np.cumsum(sizes)]),
    )


def strike_text(strike: float) -> str:
    """Return a strike as names have it: ``d`` for the decimal point."""
    return f"{strike:.6f}".rstrip("0").rstrip(".").replace(".", "d")


def _strikes(family: Family, expiry: Expiry, level: Floats) -> tuple[Floats, Ints]:
    """Return the strikes of an expiry, ascending, and when each is listed [Unix ms].

    `level` is the log of the index at 08:00 UTC of each day of its life.
    """
    highest, lowest = np.maximum.accumulate(level), np.minimum.accumulate(level)
    share, widths = next(grid for life, *grid in _GRIDS if len(level) <= life)
    step = _nice(share * float(np.exp(level[0])), family.nice_steps)
    reach = np.exp([lowest[-1] - widths[2], highest[-1] + widths[2]]) / step
    number = np.arange(max(1, round(reach[0])), round(reach[1]) + 1)
    place = np.log(number * step)
    ring = np.where(number % 5 == 0, widths[2], np.where(number % 2 == 0, widths[1], widths[0]))
    from_below = np.searchsorted(highest, place - ring)
    from_above = np.searchsorted(-lowest, -(place + ring))
    listed_on = np.maximum(from_below, from_above)
    kept = listed_on < len(level)
    return np.round(number * step, 6)[kept], _moments(expiry, listed_on[kept])


def _moments(expiry: Expiry, listed_on: Ints) -> Ints:
    """Return when strikes are listed on the days of an expiry's life [Unix ms]."""
    draw = noise.bits(noise.key(0, expiry.name, "strikes"), listed_on.view(np.uint64))
    eight = EPOCH_MS + (expiry.first_day + listed_on) * DAY_MS
    later = eight + 5_000 + noise.lane(draw, 0) * 20_000 // 65_536
    return np.asarray(np.where(listed_on == 0, expiry.listed_ms, later))


def _nice(step: float, mantissas: tuple[float, ...]) -> float:
    """Return the round number nearest to a step, in logs."""
    decade = 10.0 ** np.floor(np.log10(step))
    choices = [decade * tens * first for tens in (0.1, 1.0, 10.0) for first in mantissas]
    return round(float(min(choices, key=lambda one: abs(np.log(one / step)))), 6)
