"""Every update of every bar of an exchange day: each trade changes one, and a silent one is filled.

An update says what get_tradingview_chart_data would have said of the forming bar at that
millisecond; so the last one of a bar equals what REST serves for good.
"""

from dataclasses import dataclass

import numpy as np

from tests.exchange.path import EPOCH_MINUTE
from tests.exchange.tape import reduce_bars
from tests.exchange.trades import MINUTE_MS, Bars, Day, Flags, Ints, amounts, bars_of, join

_HIGHEST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates in order of time; `ms` [Unix ms] and the columns of `bars` have shape (n,)."""

    ms: Ints
    bars: Bars


def updates_of(day: Day, span: int) -> Updates:
    """Return the updates of bars of `span` minutes on an exchange day.

    That of a bar nobody traded in comes as the bar ends.
    """
    trades = day.trades
    is_listed = day.minute < day.instrument.end_minute
    taken = trades.taken & is_listed
    minutes = bars_of(day, trades)
    minutes = minutes[minutes.minute < day.instrument.end_minute]
    before = _before(day.minute, minutes, span)
    coin, cost = amounts(day.instrument, trades)
    inside_high = np.maximum.accumulate(np.where(taken, trades.price, -1))
    inside_low = np.minimum.accumulate(np.where(taken, trades.price, _HIGHEST))
    first = trades.price[taken.argmax(axis=0), np.arange(len(day.minute))]
    opens = day.minute - (day.minute - EPOCH_MINUTE) % span
    columns = (
        np.broadcast_to(opens, taken.shape),
        np.broadcast_to(np.where(before.open < 0, first, before.open), taken.shape),
        np.maximum(inside_high, before.high),
        np.minimum(inside_low, before.low),
        trades.price,
        coin.cumsum(axis=0) + before.volume,
        cost.cumsum(axis=0) + before.cost,
    )
    traded = Bars(*(column.T[taken.T] for column in columns))
    ms = (day.minute * MINUTE_MS + trades.offset_ms).T[taken.T]
    fillers = _fillers(minutes, opens[taken.any(axis=0)], span)
    ends = (fillers.minute + span) * MINUTE_MS
    all_ms = np.concatenate([ends, ms])  # a filler comes before a trade of the same millisecond
    order = np.argsort(all_ms, kind="stable")
    return Updates(all_ms[order], join([fillers, traded])[order])


def _before(minute: Ints, minutes: Bars, span: int) -> Bars:
    """Return what of each minute's bar was there before that minute, an open of -1 for nothing."""
    at = minutes.minute - minute[0]
    dense = {}
    for name, nothing in (("high", -1), ("low", _HIGHEST), ("volume", 0), ("cost", 0)):
        dense[name] = np.full(len(minute), nothing)
        dense[name][at] = getattr(minutes, name)
    return Bars(
        minute,
        _opened(minute, minutes, span),
        _exclusive(np.maximum, dense["high"], span, -1),
        _exclusive(np.minimum, dense["low"], span, _HIGHEST),
        np.zeros(0, dtype=np.int64),
        _exclusive(np.add, dense["volume"], span, 0),
        _exclusive(np.add, dense["cost"], span, 0),
    )


def _opened(minute: Ints, minutes: Bars, span: int) -> Ints:
    """Return the open of the bar each minute belongs to, -1 where the minute is its first."""
    bars = reduce_bars(minutes, span)
    begins = minutes.minute[np.searchsorted(minutes.minute, bars.minute)]
    number = np.searchsorted(bars.minute, minute, side="right") - 1
    found = np.full(len(minute), -1)
    if len(bars.minute):
        is_later = (number >= 0) & (minute > begins[number]) & (minute < bars.minute[number] + span)
        found[is_later] = bars.open[number[is_later]]
    return found


def _exclusive(function: np.ufunc, values: Ints, span: int, nothing: int) -> Ints:
    """Return what `function` makes of the earlier minutes of each bar."""
    rows = values.reshape(-1, span)
    start = np.full((len(rows), 1), nothing)
    return np.asarray(function.accumulate(np.hstack([start, rows[:, :-1]]), axis=1)).ravel()


def _fillers(minutes: Bars, traded: Ints, span: int) -> Bars:
    bars = reduce_bars(minutes, span)
    is_silent: Flags = ~np.isin(bars.minute, traded)
    return bars[is_silent]
