"""Option tickers, order books and book summaries, with the members recorded in 2025 and 2026.

Tickers round marks to four decimals, summaries and order books to eight. Prices of before a week
ago are no longer anybody's last price: an assumption, as what a price band is.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market
from tests.exchange.noise import Floats
from tests.exchange.option_market.chain import Chain
from tests.exchange.option_market.snapshot import Snapshot, snapshot_of, worth
from tests.exchange.option_market.statistics import statistics_of
from tests.exchange.option_market.tape import OptionTape
from tests.exchange.option_market.underlying import DAY_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Ints

_LEVELS = 20


def ticker(market: Market, name: str) -> dict[str, Any]:
    """Return what public/ticker sends for an option."""
    chain = market.world.options.chain(name.partition("-")[0])
    return tickers(market, chain, np.array([chain.rows[name]]))[0]


def tickers(
    market: Market, chain: Chain, rows: Ints, *, mark_places: int = 4
) -> list[dict[str, Any]]:
    """Return what public/ticker sends for options of a chain that live."""
    return _tickers(
        market, chain, snapshot_of(market.world.options, chain, rows, market.now_ms), mark_places
    )


def order_book(market: Market, name: str, depth: int) -> dict[str, Any]:
    """Return what public/get_order_book sends for an option."""
    chain, shot = _now(market, name)
    book = {
        "change_id": market.now_ms // 10,
        "bids": _levels(shot, chain, -1)[:depth],
        "asks": _levels(shot, chain, 1)[:depth],
    }
    return _tickers(market, chain, shot, mark_places=8)[0] | book


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


def _tickers(
    market: Market, chain: Chain, shot: Snapshot, mark_places: int
) -> list[dict[str, Any]]:
    family = chain.family
    stats = statistics_of(market.world.options, family.settlement_currency, market.now_ms)
    index = float(shot.quotes.index[0]) if len(shot.rows) else 0.0
    greeks = shot.greeks()
    low, high = _band(shot, chain, greeks["delta"])
    columns = {
        "min_price": low,
        "max_price": high,
        "open_interest": shot.open_interest,
        "mark_price": _rounded(shot.mark, mark_places),
        "best_ask_price": shot.ask,
        "best_bid_price": shot.bid,
        "mark_iv": _rounded(100 * shot.volatility, 2),
        "bid_iv": shot.implied_pct(shot.bid),
        "ask_iv": shot.implied_pct(shot.ask),
        "underlying_price": shot.quotes.published,
        "best_ask_amount": shot.ask_amount,
        "best_bid_amount": shot.bid_amount,
    }
    found = []
    for row, settled, own_greeks, own in zip(
        shot.rows.tolist(),
        _settlement_prices(market, chain, shot.rows),
        zip(*(values.tolist() for values in greeks.values()), strict=True),
        zip(*(list(values) for values in map(_listed, columns.values())), strict=True),
        strict=True,
    ):
        name = chain.names[row]
        of_option = stats.of(name)
        found.append(
            {
                "timestamp": market.now_ms,
                "state": "open",
                "stats": of_option.ticker(is_linear=not family.is_inverse),
                "greeks": dict(zip(greeks, own_greeks, strict=True)),
                "index_price": index,
                "instrument_name": name,
                "last_price": of_option.last,
                "settlement_price": settled,
                "interest_rate": 0.0,
                "estimated_delivery_price": index,
                "underlying_index": _underlying_index(chain, row),
                **dict(zip(columns, own, strict=True)),
            }
        )
    return found


def _rounded(values: Floats, places: int) -> list[float]:
    """Return values as Python rounds them, which is right to the last bit."""
    return [round(value, places) for value in values.tolist()]


def _listed(values: Floats | list[float]) -> list[float]:
    return values if isinstance(values, list) else values.tolist()


def _underlying_index(chain: Chain, row: int) -> str:
    expiry = chain.expiries[chain.expiry[row]]
    return expiry.name if expiry.name in BY_NAME else f"SYN.{expiry.name}"


def _settlement_prices(market: Market, chain: Chain, rows: Ints) -> list[float | None]:
    """Return the marks at the last 08:00 UTC; None where an option was not listed then."""
    settled = market.now_ms - (market.now_ms - EPOCH_MS) % DAY_MS
    return _settled(market.world.options, chain.family.name, rows.tobytes(), settled)


@lru_cache(maxsize=64)
def _settled(tape: OptionTape, family: str, rows: bytes, settled_ms: int) -> list[float | None]:
    chain, numbers = tape.chain(family), np.frombuffer(rows, dtype=np.int64)
    was_listed = chain.creation_ms[numbers] <= settled_ms
    then = worth(tape, chain, numbers, settled_ms)
    return [
        round(value, 8) if listed else None
        for value, listed in zip(
            (then.value / then.unit).tolist(), was_listed.tolist(), strict=True
        )
    ]


def _band(shot: Snapshot, chain: Chain, delta: Floats) -> tuple[list[float], list[float]]:
    """Return the lowest and highest prices that an order may have."""
    unit = np.ones(len(shot.rows)) if chain.family.is_inverse else shot.quotes.forward
    depth = np.abs(delta) * unit
    low, high = shot.mark - 0.03 * depth, shot.mark + 0.015 * unit + 0.013 * depth
    ticks = shot.tick.tolist()
    return (
        [
            round(max(round(x / tick), 1) * tick, 4)
            for x, tick in zip(low.tolist(), ticks, strict=True)
        ],
        [
            round(max(round(x / tick), 1) * tick, 4)
            for x, tick in zip(high.tolist(), ticks, strict=True)
        ],
    )


def _levels(shot: Snapshot, chain: Chain, side: int) -> list[list[float]]:
    """Return one side of the book, the best first: [price, amount]."""
    best, amount = (shot.ask, shot.ask_amount) if side > 0 else (shot.bid, shot.bid_amount)
    if not best[0]:
        return []
    prices = best[0] + side * np.arange(_LEVELS) * shot.tick[0]
    amounts = amount[0] + np.arange(_LEVELS) * chain.family.lot
    levels = np.round(np.column_stack([prices, amounts]), 4)
    return levels[levels[:, 0] > 0].tolist()
