"""The truth about volatility: one arbitrage-free surface per coin, in one of two forms.

``ssvi``      total variance in strike and time (Gatheral and Jacquier), whose conditions against
              butterflies and calendars hold for every value that the parameters can take.
``mixture``   lognormals mixed: two states of volatility, times a Poisson number of jumps down.
              Each part keeps the mean and widens with time, so that there is no arbitrage by
              construction; no surface of the SSVI family looks like it.

Parameters move smoothly in time, hour by hour, and are the same for all expiries and currencies.

References
----------
J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", 2014, theorems 4.1 and 4.2.
R. Merton, "Option pricing when underlying stock returns are discontinuous", 1976.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from tests.exchange.noise import Floats
from tests.exchange.option_market import black76
from tests.exchange.option_market.underlying import Underlyings, by_hour
from tests.exchange.trades import Ints

FORMS = ("ssvi", "mixture")
_LEVELS = {"BTC": 0.55, "ETH": 0.68, "SOL": 0.85, "XRP": 0.8}
_REVERSION = 6.0  # per year
_JUMPS, _JUMP_MEAN, _JUMP_DEVIATION, _MOST_JUMPS = 0.8, -0.09, 0.13, 10
_STATES = ((0.7, 0.72), (0.3, 1.35))  # weight, volatility against the typical


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a surface is made of, at some moments; all arrays have the same shape.

    Attributes
    ----------
    near, far : volatility of the nearest and of the farthest expiries [1/sqrt(yr)].
    rho : slant of the smile [1], within (-0.45, 0.35).
    eta : how much it curves [1], so that ``eta * (1 + |rho|) <= 2``.
    """

    near: Floats
    far: Floats
    rho: Floats
    eta: Floats

    def at_the_money(self, years: Floats) -> Floats:
        """Return total variance at the money: it rises with time [1]."""
        decayed = -np.expm1(-_REVERSION * years) / _REVERSION
        return np.asarray(self.far**2 * (years - decayed) + self.near**2 * decayed)


def hourly(underlyings: Underlyings, base: str, day: int) -> Parameters:
    """Return the parameters at the 25 full hours of an exchange day."""

    def noise_of(name: str, span: int) -> Floats:
        return underlyings.smoothed(base, name, day, span)

    level = _LEVELS[base]
    slow = 0.2 * noise_of("slow", 720)
    return Parameters(
        near=level * np.exp(slow + 0.2 * noise_of("week", 168) + 0.1 * noise_of("day", 24)),
        far=1.05 * level * np.exp(slow / 2),
        rho=np.clip(-0.06 + 0.13 * noise_of("rho", 168), -0.45, 0.35),
        eta=np.clip(1.1 + 0.08 * noise_of("eta", 336), 0.8, 1.35),
    )


def at(hours: Parameters, start_ms: int, ms: Ints) -> Parameters:
    """Return the parameters at moments of a day that begins at `start_ms`."""
    return Parameters(
        *(by_hour(start_ms, ms, getattr(hours, field.name)) for field in fields(Parameters))
    )


def fair(
    form: str, now: Parameters, *, forward: Floats, strike: Floats, years: Floats, sign: Floats
) -> tuple[Floats, Floats]:
    """Return what options are worth [quote currency], and about their volatility [1]."""
    return _FORMS[form](now, forward, strike, years, sign)


def volatility(
    form: str, now: Parameters, *, forward: Floats, strike: Floats, years: Floats, sign: Floats
) -> Floats:
    """Return the implied volatility of options [1]; NaN where their price has none."""
    value, about = fair(form, now, forward=forward, strike=strike, years=years, sign=sign)
    if form == "ssvi":
        return about
    return black76.implied(value, forward, strike, years=years, sign=sign, guess=about)


def ssvi_variance(now: Parameters, log_moneyness: Floats, years: Floats) -> Floats:
    """Return total variance of the SSVI surface with a power-law curvature [1]."""
    theta = now.at_the_money(years)
    x = now.eta / np.sqrt(theta * (1 + theta)) * log_moneyness
    inner = np.sqrt((x + now.rho) ** 2 + 1 - now.rho**2)
    return np.asarray(theta / 2 * (1 + now.rho * x + inner))


def _ssvi(
    now: Parameters, forward: Floats, strike: Floats, years: Floats, sign: Floats
) -> tuple[Floats, Floats]:
    stdev = np.sqrt(ssvi_variance(now, np.log(strike / forward), years))
    return black76.price(forward, strike, stdev, sign), stdev / np.sqrt(years)


def _mixture(
    now: Parameters, forward: Floats, strike: Floats, years: Floats, sign: Floats
) -> tuple[Floats, Floats]:
    variance = now.at_the_money(years)
    jump_mean = _JUMP_MEAN * (1 - now.rho)  # the log of what a jump takes, on average
    kappa = np.expm1(jump_mean + _JUMP_DEVIATION**2 / 2)
    expected = _JUMPS * years
    shares, means = [np.exp(-expected)], [np.exp(-kappa * expected)]
    for count in range(1, _MOST_JUMPS):
        shares.append(shares[-1] * expected / count)
        means.append(means[-1] * (1 + kappa))
    total = sum(share * mean for share, mean in zip(shares, means, strict=True))
    weight = sum(shares)
    value, spread = np.zeros_like(forward), np.zeros_like(forward)
    for count, (share, mean) in enumerate(zip(shares, means, strict=True)):
        for state, factor in _STATES:
            stdev = np.sqrt(factor**2 * variance + count * _JUMP_DEVIATION**2)
            own = forward * mean * weight / total
            part = share / weight * state
            value += part * black76.price(own, strike, stdev, sign)
            spread += part * stdev**2
    return value, np.sqrt(spread / years)


_FORMS: dict[str, Callable[..., tuple[Floats, Floats]]] = {"ssvi": _ssvi, "mixture": _mixture}
