"""Tickers, order books and book summaries of the present moment."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tests.exchange import noise
from tests.exchange.instruments import Instrument
from tests.exchange.market import Market, funding
from tests.exchange.path import EPOCH_MS, HOUR_MS

_DAY_MS = 24 * HOUR_MS
_LEVELS = 20


def ticker(market: Market, instrument: Instrument) -> dict[str, Any]:
    """Return what public/ticker sends for a future."""
    index, mark = prices(market, instrument)
    (bid, bid_amount), (ask, ask_amount) = _best(market, instrument, mark)
    stats, last = _stats(market, instrument)
    return {
        "timestamp": market.now_ms,
        "state": "open",
        "stats": stats,
        "index_price": index,
        "instrument_name": instrument.name,
        "last_price": last,
        "settlement_price": _settlement_price(market, instrument),
        "min_price": _on_grid(instrument, mark * 0.985),
        "max_price": _on_grid(instrument, mark * 1.015),
        "open_interest": open_interest(market, instrument, index),
        "mark_price": mark,
        "estimated_delivery_price": index,
        "best_ask_price": ask,
        "best_bid_price": bid,
        "best_ask_amount": ask_amount,
        "best_bid_amount": bid_amount,
        **(_funding(market, instrument) if instrument.is_perpetual else {}),
    }


def _funding(market: Market, instrument: Instrument) -> dict[str, float]:
    hour = (market.now_ms - EPOCH_MS) // HOUR_MS
    return {
        "interest_value": _interest_value(market.seed, instrument.name, hour),
        "current_funding": current_funding(market, instrument),
        "funding_8h": round(float(market.world.funding(instrument.name).interest_8h[hour]), 8),
    }


@lru_cache(maxsize=256)
def _interest_value(seed: int, name: str, hour: int) -> float:
    return math.fsum(funding(seed, name).interest_1h[: hour + 1])


def current_funding(market: Market, instrument: Instrument) -> float:
    """Return the funding of this hour, of eight hours [1]."""
    hour = (market.now_ms - EPOCH_MS) // HOUR_MS
    return round(float(market.world.funding(instrument.name).interest_1h[hour]) * 8, 8)


def order_book(market: Market, instrument: Instrument, depth: int) -> dict[str, Any]:
    """Return what public/get_order_book sends."""
    bids, asks = _book(market, instrument, prices(market, instrument)[1])
    change_id = market.now_ms // 10
    book = {"change_id": change_id, "bids": bids[:depth], "asks": asks[:depth]}
    return ticker(market, instrument) | book


def book_summary(market: Market, instrument: Instrument) -> dict[str, Any]:
    """Return one element of public/get_book_summary_by_instrument."""
    now = ticker(market, instrument)
    bid, ask = now["best_bid_price"], now["best_ask_price"]
    stats = now["stats"]
    return {
        **{name: stats[name] for name in ("high", "low", "price_change", "volume")},
        **{name: stats[name] for name in ("volume_usd", "volume_notional")},
        **{name: now[name] for name in ("instrument_name", "open_interest", "mark_price")},
        **{name: now[name] for name in ("current_funding", "funding_8h") if name in now},
        "last": now["last_price"],
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": round((bid + ask) / 2, instrument.index_decimals + 2),
        "creation_timestamp": market.now_ms,
        "estimated_delivery_price": now["estimated_delivery_price"],
        "base_currency": instrument.base,
        "quote_currency": "USD" if instrument.is_inverse else "USDC",
    }


def prices(market: Market, instrument: Instrument) -> tuple[float, float]:
    """Return the index and the mark price now [quote currency]."""
    index = market.index_price(instrument.name)
    if instrument.is_perpetual:
        mark = index * (1 + market.premium(instrument.name))
        return index, round(mark, instrument.index_decimals)
    fair = market.world.tapes[instrument.name].log_price(market.now_ms)
    return index, round(noise.exponential_of(fair), instrument.index_decimals)


def _stats(market: Market, instrument: Instrument) -> tuple[dict[str, Any], float | None]:
    """Return the statistics of the last 24 hours, and the last price."""
    tape = market.world.tapes[instrument.name]
    day = tape.last_day(market.now_ms)
    if day is None:
        empty = dict.fromkeys(("high", "low", "price_change"))
        return {**empty, "volume": 0.0, "volume_usd": 0.0, "volume_notional": 0.0}, None
    price, coin = instrument.price_denominator, 10**instrument.volume_decimals
    turnover = round(day.cost / (1 if instrument.is_inverse else price * coin), 2)
    last = day.close / price
    stats = {
        "high": day.high / price,
        "low": day.low / price,
        "price_change": round(100 * (last / (day.open / price) - 1), 4),
        "volume": round(day.volume / coin, 8),
        "volume_usd": turnover,
        "volume_notional": turnover,
    }
    return stats, last


def _settlement_price(market: Market, instrument: Instrument) -> float:
    """Return the mark price at the last 08:00 UTC."""
    settled = market.now_ms - (market.now_ms - EPOCH_MS) % _DAY_MS
    return prices(market.at(settled), instrument)[1]


def open_interest(market: Market, instrument: Instrument, index: float) -> float:
    """Return open interest: USD on inverse perpetuals, coin on linear ones."""
    draw = _drawn_interest(market.seed, instrument.name, market.now_ms // _DAY_MS)
    usd = 4e8 * (1 + draw) * (1 if instrument.is_inverse else 0.02)
    size = instrument.contract_size
    amount = usd if instrument.is_inverse else usd / index
    return round(round(amount / size) * size, 6)


@lru_cache(maxsize=256)
def _drawn_interest(seed: int, name: str, day: int) -> float:
    days = np.array([day], dtype=np.uint64)
    return float(noise.uniform(noise.key(seed, name, "open_interest"), days)[0])


def _best(
    market: Market, instrument: Instrument, mark: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the best bid and ask, the first levels of the book: price and amount."""
    key = int(noise.key(market.seed, instrument.name, "book"))
    middle = round(mark * instrument.price_denominator) // instrument.tick_units
    sides = []
    for side, row in ((-1, 0), (1, _LEVELS)):
        word = noise.bits_of(key, market.now_ms + row)
        lane, other, more = (word >> 16 * n & 0xFFFF for n in range(3))
        ticks = middle + side * (1 + lane % 4) + (side > 0)
        lots = 1 + other * more // 400_000
        price = ticks * instrument.tick_units / instrument.price_denominator
        sides.append((price, round(lots * instrument.contract_size, 6)))
    return sides[0], sides[1]


def _book(
    market: Market, instrument: Instrument, mark: float
) -> tuple[list[list[float]], list[list[float]]]:
    """Return bids and asks, best first: [price, amount]."""
    counter = np.uint64(market.now_ms) + np.arange(2 * _LEVELS, dtype=np.uint64)
    word = noise.bits(noise.key(market.seed, instrument.name, "book"), counter)
    steps = 1 + noise.lane(word, 0) % 4
    lots = 1 + noise.lane(word, 1) * noise.lane(word, 2) // 400_000
    middle = round(mark * instrument.price_denominator) // instrument.tick_units
    sides = []
    for side, rows in ((-1, slice(0, _LEVELS)), (1, slice(_LEVELS, None))):
        ticks = middle + side * np.cumsum(steps[rows]) + (side > 0)
        prices = ticks * instrument.tick_units / instrument.price_denominator
        amounts = np.round(lots[rows] * instrument.contract_size, 6)
        sides.append(np.column_stack([prices, amounts]).tolist())
    return sides[0], sides[1]


def _on_grid(instrument: Instrument, price: float) -> float:
    units = instrument.tick_units
    return (
        round(price * instrument.price_denominator / units) * units / (instrument.price_denominator)
    )
