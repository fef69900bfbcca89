"""Calls over the forward: of one volatility skew, or with arbitrage among them."""

import itertools

import numpy as np

from quant.kernels import black76

STRIKES = np.array([0.9, 1.0, 1.1])
"""Over the forward, of the calls in `BROKEN`."""
BROKEN = {"butterfly": [0.15, 0.11, 0.05], "spread": [0.10, 0.11, 0.12], "dear": [0.05, 0.04, 0.03]}


def smile(expiries, strikes, *, noise=0.0, seed=0):
    """Calls over the forward from one volatility skew, disturbed, in order."""
    random = np.random.default_rng(seed)
    expiry = np.repeat(np.arange(expiries), strikes)
    tenor = 0.02 * 2.0**expiry
    k = np.tile(np.linspace(-2.0, 2.0, strikes), expiries) * 0.6 * np.sqrt(tenor)
    moneyness = np.exp(k + random.uniform(-0.01, 0.01, expiries)[expiry])
    iv = 0.6 - 0.1 * np.log(moneyness)
    price = black76.price(np.ones_like(k), moneyness, tenor, iv, np.ones(k.shape[0], np.bool_))
    return expiry, moneyness, price * np.exp(noise * random.normal(size=k.shape[0]))


def every_bound(expiry, moneyness, price):
    """Largest failure of a call against every pair of others that bounds it, one by one."""
    points = [*zip(expiry, moneyness, price, strict=True), (np.inf, 0.0, 1.0)]
    worst = 0.0
    for when, x, y in points[:-1]:
        known = [(a, b) for later, a, b in points if later >= when]
        below = [b for a, b in known if a <= x]
        chords = [
            b0 + (b1 - b0) * (x - a0) / (a1 - a0)
            for (a0, b0), (a1, b1) in itertools.permutations(known, 2)
            if a0 < x < a1
        ]
        worst = max(worst, y - min([*below, *chords]), max(1.0 - x, 0.0) - y)
    return worst
