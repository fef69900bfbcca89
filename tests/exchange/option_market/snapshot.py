"""What options are worth and quoted at now: marks, bids, asks, open interest, Greeks.

Assumed: a spread of about three per cent and a tick; no bid below the smallest tick and, one hour
in twenty, no quote at all.
"""

from dataclasses import dataclass

import numpy as np

from tests.exchange import noise
from tests.exchange.noise import Floats
from tests.exchange.option_market import black76
from tests.exchange.option_market.activity import numbers_of
from tests.exchange.option_market.chain import Chain
from tests.exchange.option_market.families import FINE_FROM_MS
from tests.exchange.option_market.quotes import Quotes, quotes_of
from tests.exchange.option_market.tape import OptionTape
from tests.exchange.option_market.underlying import DAY_MS, HOUR_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Ints

_GREEKS_PLACES = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Options of a chain at a moment; all arrays have shape (n,).

    Attributes
    ----------
    rows : of the chain.
    quotes : index, forward and value.
    mark, volatility : price [settlement currency] and volatility [1].
    bid, ask : best prices [settlement currency]; 0 for none.
    bid_amount, ask_amount, open_interest : [coin].
    tick : smallest price step at the mark [settlement currency].
    """

    rows: Ints
    quotes: Quotes
    mark: Floats
    volatility: Floats
    bid: Floats
    ask: Floats
    bid_amount: Floats
    ask_amount: Floats
    open_interest: Floats
    tick: Floats

    def implied_pct(self, price: Floats) -> Floats:
        """Return the volatility of prices in per cent, 0.0 where there is none, as tickers do."""
        return np.nan_to_num(np.round(100 * self.quotes.implied(price), 2))

    def greeks(self) -> dict[str, Floats]:
        """Return the Greeks as rounded by tickers, at the published forward and whole minutes."""
        q = self.quotes
        years, worth = black76.whole_minutes(q.years), self.mark * q.unit
        found = black76.greeks(q.published, q.strike, years, self.volatility, q.sign, worth)
        return {name: np.round(values, _GREEKS_PLACES) + 0.0 for name, values in found.items()}


def worth(tape: OptionTape, chain: Chain, rows: Ints, ms: int) -> Quotes:
    """Return what options of a chain are worth at a moment."""
    day = (ms - EPOCH_MS) // DAY_MS
    moments = np.full(len(rows), ms, dtype=np.int64)
    return quotes_of(tape.form, chain, rows, moments, tape.underlying(chain.family, day))


def snapshot_of(tape: OptionTape, chain: Chain, rows: Ints, ms: int) -> Snapshot:
    """Return options of a chain at a moment at which they live."""
    quotes = worth(tape, chain, rows, ms)
    mark = quotes.value / quotes.unit
    tick = _ticks(chain, rows, mark)
    word = noise.bits(
        noise.key(tape.seed, "options", "book"),
        ((numbers_of(chain, rows) << 32) + ms // HOUR_MS).view(np.uint64),
    )
    half = 0.5 * tick + mark * (0.008 + 0.014 * noise.lane(word, 0) / 65_536)
    bid = np.round(np.floor((mark - half) / tick + 1e-9) * tick, 4)
    ask = np.round(np.ceil((mark + half) / tick - 1e-9) * tick, 4)
    is_quoted = noise.lane(word, 1) >= 65_536 // 20
    bid = np.where(is_quoted, np.maximum(bid, 0.0), 0.0)
    ask = np.where(is_quoted, np.maximum(ask, tick), 0.0)
    lots = 1 + (noise.lane(word, 2) * noise.lane(word, 3) >> 23)
    held = noise.lane(word, 3) * noise.lane(word, 0) >> 21
    lot = chain.family.lot
    return Snapshot(
        rows=rows,
        quotes=quotes,
        mark=mark,
        volatility=_volatility(tape, quotes),
        bid=bid,
        ask=ask,
        bid_amount=np.round(np.where(bid > 0, lots * lot, 0.0), 4),
        ask_amount=np.round(np.where(ask > 0, (lots + 1) * lot, 0.0), 4),
        open_interest=np.round(held * lot, 4),
        tick=tick,
    )


def _volatility(tape: OptionTape, quotes: Quotes) -> Floats:
    if tape.form == "ssvi":
        return quotes.about
    found = black76.implied(
        quotes.value, quotes.forward, quotes.strike,
        years=quotes.years, sign=quotes.sign, guess=quotes.about,
    )  # fmt: skip
    return np.where(np.isnan(found), quotes.about, found)


def _ticks(chain: Chain, rows: Ints, price: Floats) -> Floats:
    family = chain.family
    if not family.is_inverse:
        return np.full(len(rows), family.tick_size)
    is_fine = (chain.creation_ms[rows] >= FINE_FROM_MS) & (price <= 0.005)
    return np.where(is_fine, family.tick_size, 0.0005)
