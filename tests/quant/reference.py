"""Black-76 in 60 digits: slow, plain, and independent of the kernels it judges."""

from dataclasses import dataclass

import mpmath
from mpmath import mpf

EPS = 2.0**-52

mpmath.mp.dps = 60


@dataclass(frozen=True)
class Option:
    """One option; tenor in years, iv per square root of a year."""

    forward: float
    strike: float
    tenor: float
    iv: float
    is_call: bool

    @property
    def sign(self):
        return 1 if self.is_call else -1

    @property
    def deviations(self):
        forward, strike = mpf(self.forward), mpf(self.strike)
        stdev = mpf(self.iv) * mpmath.sqrt(mpf(self.tenor))
        d1 = mpmath.log(forward / strike) / stdev + stdev / 2
        return d1, d1 - stdev


def price(option):
    d1, d2 = option.deviations
    asset = mpf(option.forward) * normal(option.sign * d1)
    return option.sign * (asset - mpf(option.strike) * normal(option.sign * d2))


def vega(option):
    """Derivative by the volatility, per 1.0."""
    return mpf(option.forward) * mpmath.npdf(option.deviations[0]) * mpmath.sqrt(mpf(option.tenor))


def greeks(option):
    """Price, delta, gamma, vega, theta and rho in the exchange's convention (see docs/quant.md)."""
    forward, tenor, iv = mpf(option.forward), mpf(option.tenor), mpf(option.iv)
    d1, d2 = option.deviations
    density = mpmath.npdf(d1)
    premium = price(option)
    day = forward * density * iv / (2 * mpmath.sqrt(tenor)) / 365
    return (
        premium,
        option.sign * normal(option.sign * d1),
        density / (forward * iv * mpmath.sqrt(tenor)),
        vega(option) / 100,
        -min(day * min(1, 365 * tenor), premium),
        option.sign * mpf(option.strike) * tenor * normal(option.sign * d2) / 100,
    )


def normal(z):
    """Distribution function, to full relative accuracy in both tails."""
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def implied_vol_error(option, wanted_price):
    """Return the relative error of option.iv for a price, and the attainable one.

    The error is the step of Newton's method in 60 digits; where that is small, so is what it
    neglects, its square. Attainable is what rounding the price to a double makes.
    """
    slope = mpf(option.iv) * vega(option)
    error = abs(price(option) - mpf(wanted_price)) / slope
    condition = mpf(wanted_price) / slope
    return float(error), float(condition)
