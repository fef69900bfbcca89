"""Provisional candles: what a bar looks like before the exchange has finished with it."""

from typing import Any

import numpy as np

from tests.exchange.chart import ChartQuery
from tests.exchange.faults import Faults
from tests.exchange.instruments import Instrument
from tests.exchange.trades import MINUTE_MS, Ints

WINDOW_MS = 2 * 3_600_000
"""Bars that closed this long before the present may be provisional."""

_KNOWN_SHARE = 0.6  # of a provisional bar's turnover


def provisional(
    faults: Faults, query: ChartQuery, result: dict[str, Any], *, now_ms: int
) -> dict[str, Any]:
    """Return a chart result in which bars served for the first time are provisional."""
    closes = result["ticks"] + query.span * MINUTE_MS
    recent = np.flatnonzero((closes <= now_ms) & (closes > now_ms - WINDOW_MS))
    recent = recent[result["volume"][recent] > 0.0]
    new = faults.first_served((query.instrument.name, query.span), result["ticks"][recent])
    return _unfinished(query.instrument, result, recent[new]) if len(new) else result


def _unfinished(instrument: Instrument, result: dict[str, Any], rows: Ints) -> dict[str, Any]:
    """Return the result with less volume, another close and a lower high in `rows`."""
    columns = {name: np.copy(result[name]) for name in ("close", "high", "volume", "cost")}
    mean = result["cost"][rows] / result["volume"][rows]
    if instrument.is_inverse:
        lot = instrument.contract_size
        cost = np.maximum(np.floor(result["cost"][rows] * _KNOWN_SHARE / lot) * lot, lot)
        volume = np.round(cost / mean, instrument.volume_decimals)
    else:
        volume = np.ceil(result["volume"][rows] * _KNOWN_SHARE / instrument.contract_size)
        volume = np.round(volume * instrument.contract_size, instrument.volume_decimals)
        cost = np.round(volume * mean, 4)
    columns["volume"][rows], columns["cost"][rows] = volume, cost
    columns["close"][rows] = result["low"][rows]
    tick = instrument.tick_units / instrument.price_denominator
    reached = np.ceil(mean / tick) * tick
    lowest = np.maximum(result["open"][rows], reached)
    columns["high"][rows] = np.minimum(lowest, result["high"][rows])
    return {**result, **columns}
