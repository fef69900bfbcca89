"""Chains of the simulated market as quotes of a surface, and the truth beside them."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from quant.essvi_fit import Quotes
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.option_market import black76
from tests.exchange.option_market.snapshot import snapshot_of

HOUR_MS = 3_600_000
START_MS = milliseconds("2025-03-03T08:30")
_NOW_MS = milliseconds("2025-12-01")


@dataclass(frozen=True)
class Snapshot:
    """Options out of the money at a moment: quotes, their tenors, and the true volatilities."""

    quotes: Quotes
    tenor: np.ndarray
    true_iv: np.ndarray


@cache
def market(form):
    """A market whose truth has a form."""
    return Market(7, _NOW_MS, surface=form)


def snapshot(form, hour, *, marks, base="BTC"):
    """Quotes of the hour that many hours after the start: of marks, or of mids.

    The error is half the spread, or half a tick, in volatility; where it is above one there is no
    quote.
    """
    tape, ms = market(form).world.options, START_MS + hour * HOUR_MS
    chain = tape.chain(base)
    living = np.flatnonzero((chain.creation_ms <= ms) & (chain.expiration_ms > ms))
    shot = snapshot_of(tape, chain, living, ms)
    quotes = shot.quotes
    k, stdev = np.log(quotes.strike / quotes.forward), shot.volatility * np.sqrt(quotes.years)
    vega = black76.density(-k / stdev + stdev / 2) * np.sqrt(quotes.years)
    half = np.maximum(0.0 if marks else (shot.ask - shot.bid) / 2, shot.tick / 2)
    price = shot.mark if marks else (shot.bid + shot.ask) / 2
    iv = quotes.implied(price)
    with np.errstate(divide="ignore", over="ignore"):
        error = half * quotes.unit / quotes.forward / vega
    is_quoted = shot.mark > shot.tick / 2 if marks else (shot.bid > 0) & (shot.ask > 0)
    kept = is_quoted & np.where(quotes.sign > 0, k >= 0, k < 0) & (error < 1) & np.isfinite(iv)
    tenor = np.unique(quotes.years)
    number = np.searchsorted(tenor, quotes.years)
    rows = np.lexsort((k, number))
    rows = rows[kept[rows]]
    columns = Quotes(number[rows], k[rows], iv[rows], error[rows], np.ones(len(rows)))
    return Snapshot(columns, tenor, shot.volatility[rows])
