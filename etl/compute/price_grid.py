"""The price steps of options, measured on what they traded at.

No record tells the steps of a month that is past: those of BTC were 0.0005 throughout in 2021, and
are 0.0001 below 0.005 today. Prices do: nearly all of them are multiples of the step of their time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STEPS = (5.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
"""The steps there may be, the coarsest first [price unit of the option]."""
BORDER = 0.005
"""Up to here coin premiums may have a finer step [coin]."""
USUAL = 5e-4
"""No step was seen that is more of the price of the underlying [1]."""
FEW = 12
"""Fewer different prices may all be multiples of twice their step by chance."""
SHARE = 0.999  # of prices that must be multiples: one in a thousand may have been sent wrong
SAMPLE = 20_000
_NOISE = 1e-6  # of a step: prices are decimal numbers in binary


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The steps of the options on one underlying in one month [price unit of the option].

    Attributes
    ----------
    low : float
        Of premiums up to `border`.
    high : float
        Of those above.
    border : float
        Infinite where there is one step.
    agreed : float
        Of blocks and of legs of combos.
    """

    low: float
    high: float
    border: float
    agreed: float

    def half_steps(self, price: Floats, is_agreed: Bools) -> tuple[Floats, Floats]:
        """Return how much less and how much more a price may have been before it was rounded.

        Half a step either way; at the least price there is, all of it, as what is worth less is
        not traded for less.
        """
        from quant.kernels.traded_vol import half_steps  # noqa: PLC0415  (numba: half a second)

        below, above = half_steps(price, self.low, self.high, self.border)
        down, up = (np.where(is_agreed, self.agreed / 2, each) for each in (below, above))
        return np.where(price < 3 * down, price, down), up


def measure(price: Floats, is_agreed: Bools, *, is_coin: bool, level: float = 1.0) -> PriceGrid:
    """Return the steps that prices of one underlying show.

    `level` is about what the underlying costs in the unit of the prices: 1 in coin.
    """
    quoted = price[~is_agreed]
    border = BORDER if is_coin else np.inf
    is_low = quoted <= border * (1 + 1e-9)
    usual = USUAL * level
    low = step_of(quoted[is_low], usual=usual)
    high = step_of(quoted[~is_low], at_least=low, usual=usual)
    return PriceGrid(low, high, border, step_of(price[is_agreed], at_most=low))


def step_of(
    price: Floats, *, at_least: float = 0.0, at_most: float = np.inf, usual: float = np.inf
) -> float:
    """Return the coarsest step that nearly all of some prices are multiples of.

    The finest there may be where none is, or no price. A step above the `usual` takes more prices
    than a few, which may be round by chance.
    """
    every = -(-len(price) // SAMPLE) or 1
    some = price[::every]
    if len(some) < FEW or len(np.unique(some)) < FEW:
        at_most = min(at_most, usual)
    allowed = [step for step in STEPS if at_least <= step <= at_most * (1 + _NOISE)]
    for step in allowed if len(some) else ():
        ticks = some / step
        if np.mean(np.abs(ticks - np.rint(ticks)) < _NOISE) >= SHARE:
            return step
    return max(at_least, min(at_most, STEPS[-1]))
