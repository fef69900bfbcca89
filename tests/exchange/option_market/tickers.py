"""Option tickers, order books and book summaries, with the members recorded in 2025 and 2026.

Tickers round marks to four decimals, summaries and order books to eight. Prices of before a week
ago are no longer anybody's last price: an assumption, as what a price band is.
"""

from typing import Any

import numpy as np

from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market
from tests.exchange.option_market.chain import Chain
from tests.exchange.option_market.snapshot import Snapshot, snapshot_of, worth
from tests.exchange.option_market.statistics import statistics_of
from tests.exchange.option_market.underlying import DAY_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Ints

_LEVELS = 20


def ticker(market: Market, name: str) -> dict[str, Any]:
    """Return what public/ticker sends for an option."""
    chain, shot = _now(market, name)
    return _ticker(market, chain, shot, mark_places=4)


def order_book(market: Market, name: str, depth: int) -> dict[str, Any]:
    """Return what public/get_order_book sends for an option."""
    chain, shot = _now(market, name)
    book = {
        "change_id": market.now_ms // 10,
        "bids": _levels(shot, chain, -1)[:depth],
        "asks": _levels(shot, chain, 1)[:depth],
    }
    return _ticker(market, chain, shot, mark_places=8) | book


def summaries(market: Market, chain: Chain, rows: Ints) -> list[dict[str, Any]]:
    """Return book summaries of options of a chain."""
    shot = snapshot_of(market.world.options, chain, rows, market.now_ms)
    stats = statistics_of(market.world.options, chain.family.settlement_currency, market.now_ms)
    columns = (rows, shot.bid, shot.ask, shot.mark, shot.volatility, shot.open_interest,
               shot.quotes.forward)  # fmt: skip
    index = float(shot.quotes.index[0]) if len(rows) else 0.0
    quote = chain.family.base if chain.family.is_inverse else "USDC"
    return [
        {
            **stats.of(chain.names[row]).summary(is_linear=not chain.family.is_inverse),
            "instrument_name": chain.names[row],
            "bid_price": bid or None,
            "ask_price": ask or None,
            "mid_price": round((bid + ask) / 2, 6) if bid and ask else None,
            "mark_price": round(mark, 8),
            "mark_iv": round(100 * sigma, 2),
            "open_interest": interest,
            "underlying_price": forward,
            "underlying_index": _underlying_index(chain, row),
            "interest_rate": 0.0,
            "estimated_delivery_price": index,
            "creation_timestamp": market.now_ms,
            "base_currency": chain.family.base,
            "quote_currency": quote,
        }
        for row, bid, ask, mark, sigma, interest, forward in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def living(chain: Chain, now_ms: int) -> Ints:
    """Return the rows of a chain's options that live now."""
    return np.flatnonzero((chain.creation_ms <= now_ms) & (now_ms < chain.expiration_ms))


def _now(market: Market, name: str) -> tuple[Chain, Snapshot]:
    chain = market.world.options.chain(name.partition("-")[0])
    rows = np.array([chain.rows[name]])
    return chain, snapshot_of(market.world.options, chain, rows, market.now_ms)


def _ticker(market: Market, chain: Chain, shot: Snapshot, *, mark_places: int) -> dict[str, Any]:
    row = int(shot.rows[0])
    name, quotes = chain.names[row], shot.quotes
    stats = statistics_of(market.world.options, chain.family.settlement_currency, market.now_ms)
    index, underlying = float(quotes.index[0]), float(quotes.published[0])
    low, high = _band(shot, chain)
    return {
        "timestamp": market.now_ms,
        "state": "open",
        "stats": stats.of(name).ticker(is_linear=not chain.family.is_inverse),
        "greeks": {name: float(value[0]) for name, value in shot.greeks().items()},
        "index_price": index,
        "instrument_name": name,
        "last_price": stats.of(name).last,
        "settlement_price": _settlement_price(market, chain, row),
        "min_price": low,
        "max_price": high,
        "open_interest": float(shot.open_interest[0]),
        "mark_price": round(float(shot.mark[0]), mark_places),
        "interest_rate": 0.0,
        "estimated_delivery_price": index,
        "best_ask_price": float(shot.ask[0]),
        "best_bid_price": float(shot.bid[0]),
        "mark_iv": round(100 * float(shot.volatility[0]), 2),
        "bid_iv": float(shot.implied_pct(shot.bid)[0]),
        "ask_iv": float(shot.implied_pct(shot.ask)[0]),
        "underlying_price": underlying,
        "underlying_index": _underlying_index(chain, row),
        "best_ask_amount": float(shot.ask_amount[0]),
        "best_bid_amount": float(shot.bid_amount[0]),
    }


def _underlying_index(chain: Chain, row: int) -> str:
    expiry = chain.expiries[chain.expiry[row]]
    return expiry.name if expiry.name in BY_NAME else f"SYN.{expiry.name}"


def _settlement_price(market: Market, chain: Chain, row: int) -> float | None:
    """Return the mark at the last 08:00 UTC; None if the option was not listed then."""
    settled = market.now_ms - (market.now_ms - EPOCH_MS) % DAY_MS
    if chain.creation_ms[row] > settled:
        return None
    then = worth(market.world.options, chain, np.array([row]), settled)
    return round(float(then.value[0] / then.unit[0]), 8)


def _band(shot: Snapshot, chain: Chain) -> tuple[float, float]:
    """Return the lowest and highest price that an order may have."""
    unit = 1.0 if chain.family.is_inverse else float(shot.quotes.forward[0])
    depth = abs(float(shot.greeks()["delta"][0])) * unit
    mark, tick = float(shot.mark[0]), float(shot.tick[0])
    low, high = mark - 0.03 * depth, mark + 0.015 * unit + 0.013 * depth
    return tuple(round(max(round(price / tick), 1) * tick, 4) for price in (low, high))  # type: ignore[return-value]


def _levels(shot: Snapshot, chain: Chain, side: int) -> list[list[float]]:
    """Return one side of the book, the best first: [price, amount]."""
    best, amount = (shot.ask, shot.ask_amount) if side > 0 else (shot.bid, shot.bid_amount)
    if not best[0]:
        return []
    prices = best[0] + side * np.arange(_LEVELS) * shot.tick[0]
    amounts = amount[0] + np.arange(_LEVELS) * chain.family.lot
    levels = np.round(np.column_stack([prices, amounts]), 4)
    return levels[levels[:, 0] > 0].tolist()
