"""Made-up eSSVI surfaces, and quotes of them."""

from dataclasses import replace

import numpy as np

from quant.essvi import from_global, total_variance
from quant.essvi_fit import Quotes

TENORS = np.array([1, 2, 3, 4, 7, 14, 21, 28, 35, 60, 90, 120, 180, 270, 360]) / 365


def typical(tenor=TENORS):
    """A surface like the market's, with theta, rho and psi strictly inside the conditions."""
    theta = 0.36 * tenor * (1 + 0.3 * np.exp(-6 * tenor))
    return theta, -0.1 - 0.1 * np.sqrt(tenor), 1.1 * np.sqrt(theta / (1 + theta))


def drawn(rng, slices=15, *, least_share=0.0):
    """A surface of random global parameters; psi of the near ones is low by way of the far ones."""
    return from_global(
        rng.uniform(-0.95, 0.95, slices), rng.exponential(0.01),
        rng.exponential(0.02, slices - 1), rng.uniform(least_share, 1, slices),
    )  # fmt: skip


def quotes_of(surface, tenor=TENORS, *, each=47, error=0.005, rng=None):
    """Exact quotes of a surface, strikes within 2.5 standard deviations."""
    rng = rng or np.random.default_rng(1)
    number = np.repeat(np.arange(len(tenor)), each)
    theta, rho, psi = (column[number] for column in surface)
    k = rng.uniform(-2.5, 2.5, len(number)) * np.sqrt(theta)
    iv = np.sqrt(total_variance(k, theta, rho, psi) / tenor[number])
    return Quotes(number, k, iv, np.full(len(k), error), np.ones(len(k)))


def noisy(quotes, rng, *, times=1.0):
    """The quotes with normal noise of as many times their error."""
    return replace(
        quotes, iv=quotes.iv + times * quotes.error * rng.standard_normal(len(quotes.iv))
    )


def some(quotes, kept):
    """The quotes of a mask."""
    return Quotes(*(getattr(quotes, name)[kept] for name in Quotes.__dataclass_fields__))
