"""Made-up markets: the data sets that solvers of implied volatility are timed on."""

from dataclasses import dataclass

import numpy as np

from quant.kernels import black76

HOUR_YEARS = 1.0 / 8760.0


@dataclass(frozen=True)
class Market:
    """Columns of float64, shape (n,), and the volatility the prices were made with."""

    price: np.ndarray
    forward: np.ndarray
    strike: np.ndarray
    tenor: np.ndarray
    is_call: np.ndarray
    iv: np.ndarray

    @property
    def quotes(self):
        """What a solver is given."""
        return self.price, self.forward, self.strike, self.tenor, self.is_call


def mkt_otm(n, seed=1):
    """Out of the money, up to four standard deviations away."""
    return _market(*_near(n, seed), out_of_the_money=True)


def mkt(n, seed=2):
    """In the money too."""
    return _market(*_near(n, seed), out_of_the_money=False)


def wide_otm(n, seed=3):
    """Out of the money at any standard deviation, down to prices of about 1e-290."""
    random = np.random.default_rng(seed)
    size = 2 * n
    stdev, tenor, iv = _life(random, size)
    moneyness = random.uniform(0.0, 1.5, size) * random.choice([-1.0, 1.0], size)
    kept = np.flatnonzero(np.abs(moneyness) / stdev < 36.0)[:n]
    columns = (moneyness[kept], tenor[kept], iv[kept])
    return _market(random, *columns, out_of_the_money=True)


def extreme(n, seed=4):
    """Strikes 160,000 times the forward or a part of it, volatilities from 5 % to 2,000 %."""
    random = np.random.default_rng(seed)
    size = 4 * n
    _, tenor, _ = _life(random, size)
    iv = np.exp(random.uniform(-3.0, 3.0, size))
    moneyness = random.uniform(-12.0, 12.0, size)
    kept = np.flatnonzero(np.abs(moneyness) / (iv * np.sqrt(tenor)) < 36.0)[:n]
    return _market(random, moneyness[kept], tenor[kept], iv[kept], out_of_the_money=True)


SETS = {"mkt_otm": mkt_otm, "mkt": mkt, "wide_otm": wide_otm}
"""The sets of docs/quant.md."""


def _near(n, seed):
    random = np.random.default_rng(seed)
    stdev, tenor, iv = _life(random, n)
    moneyness = np.clip(random.uniform(-4.0, 4.0, n) * stdev, -1.5, 1.5)
    return random, moneyness, tenor, iv


def _life(random, n):
    tenor = np.exp(random.uniform(np.log(HOUR_YEARS), 0.0, n))
    iv = np.exp(random.uniform(np.log(0.2), np.log(3.0), n))
    return iv * np.sqrt(tenor), tenor, iv


def _market(random, moneyness, tenor, iv, *, out_of_the_money):
    n = moneyness.shape[0]
    strike = np.exp(random.uniform(np.log(1e3), np.log(2e5), n))
    forward = strike * np.exp(moneyness)
    is_call = forward <= strike if out_of_the_money else random.random(n) < 0.5
    price = black76.price(forward, strike, tenor, iv, is_call)
    return Market(price, forward, strike, tenor, is_call, iv)
