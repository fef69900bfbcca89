"""Candles of options, as get_tradingview_chart_data sends them.

They are made of what trades on the book: block trades and the legs of combos are left out, which
is assumed. Prices are in the option's own unit, `volume` in coin, `cost` in the unit of the price
times coin. From the first trade on, bars without a trade repeat the close before them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.exchange import incidents
from tests.exchange.errors import ApiError
from tests.exchange.market import Columns, Market
from tests.exchange.option_market.sessions import PLAIN
from tests.exchange.option_market.tape import OptionTape
from tests.exchange.option_market.trades import OptionTrades
from tests.exchange.option_market.underlying import DAY_MS, MINUTE_MS
from tests.exchange.params import Params
from tests.exchange.path import EPOCH_MINUTE, EPOCH_MS
from tests.exchange.tape import RESOLUTIONS
from tests.exchange.trades import Ints

MOST_BARS = 5_001


def chart(market: Market, params: Params) -> dict[str, Any]:
    """Return the bars that open in a window, both ends included; the newest 5,001 of too many."""
    span = RESOLUTIONS[params.one_of("resolution", RESOLUTIONS)]
    start, end = params.window()
    columns = candles(market, params.text("instrument_name"), start, end + 1, span)
    newest = {name: column[-MOST_BARS:] for name, column in columns.items()}
    return {"status": "ok" if len(newest["ticks"]) else "no_data", **newest}


def candles(market: Market, name: str, start_ms: int, end_ms: int, span: int) -> Columns:
    """Return the candles of `span` minutes that open in a half-open window, by Deribit's names."""
    tape = market.world.options
    chain = tape.chain(name.partition("-")[0])
    if name not in chain.rows:
        raise ApiError(-32602, "instrument not found", "instrument_name")
    length = span * MINUTE_MS
    stop = min(end_ms, market.now_ms, int(chain.expiration_ms[chain.rows[name]]))
    start_ms = max(start_ms, stop - (MOST_BARS + incidents.LONGEST_MINUTES) * length)
    ms, price, amount = _of_book(tape, name, start_ms, stop, span)
    ms, price, amount = (column[ms < stop] for column in (ms, price, amount))
    if len(ms) == 0:
        return _columns(*(np.zeros(0) for _ in range(7)))
    opens = _opens(ms // MINUTE_MS, span)
    first = max(_opens(np.array([-(-start_ms // MINUTE_MS) + span - 1]), span)[0], opens[0])
    bars = np.arange(first, -(-stop // MINUTE_MS), span)
    return _filled(bars[~_is_missing(bars, span)], opens, price, amount)


def _filled(bars: Ints, opens: Ints, price: "np.ndarray", amount: "np.ndarray") -> Columns:
    """Return bars of trades that open at `opens`, flat ones where there is none."""
    starts = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    ends = np.append(starts[1:], len(opens)) - 1
    last = np.searchsorted(opens[starts], bars, side="right") - 1
    close = price[ends][last]
    traded = opens[starts][last] == bars
    made = [
        price[starts],
        np.maximum.reduceat(price, starts),
        np.minimum.reduceat(price, starts),
    ]
    shown = [np.where(traded, column[last], close) for column in made]
    volume, cost = (
        np.where(traded, np.round(np.add.reduceat(column, starts), 8)[last], 0.0)
        for column in (amount, price * amount)
    )
    return _columns(bars * MINUTE_MS, shown[0], shown[1], shown[2], close, volume, cost)


def _columns(*columns: "np.ndarray") -> Columns:
    names = ("ticks", "open", "high", "low", "close", "volume", "cost")
    return dict(zip(names, columns, strict=True)) | {"ticks": columns[0].astype(np.int64)}


def _opens(minutes: Ints, span: int) -> Ints:
    """Return when the bars that hold some minutes open; all are aligned with 08:00 UTC."""
    return np.asarray(minutes - (minutes - EPOCH_MINUTE) % span)


def _is_missing(bars: Ints, span: int) -> "np.ndarray":
    minutes = bars[:, None] + np.arange(min(span, incidents.LONGEST_MINUTES))
    return incidents.is_missing(minutes).all(axis=1)


def _of_book(tape: OptionTape, name: str, start_ms: int, end_ms: int, span: int) -> tuple[Any, ...]:
    """Return time, price and amount of the trades of a window, and of some before it."""
    whole = (start_ms - span * MINUTE_MS - EPOCH_MS) // DAY_MS
    found: list[tuple[Any, ...]] = []
    for day, trades in _days_back(tape, name, (end_ms - 1 - EPOCH_MS) // DAY_MS):
        plain = trades.kind == PLAIN
        found.append((trades.ms[plain], trades.price[plain], trades.amount[plain]))
        if day < whole and plain.any():
            break
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    return tuple(np.concatenate(columns) for columns in zip(*found[::-1], strict=True))


def _days_back(tape: OptionTape, name: str, day: int) -> Iterator[tuple[int, OptionTrades]]:
    """Yield the trades of an option on the days it traded, the latest first, from `day` back."""
    for each in reversed(tape.days_of_option(name)):
        if each <= day:
            yield each, tape.trades_of_option(name, each)
