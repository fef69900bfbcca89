"""Candles of perpetuals and of dated futures, in every resolution the exchange has."""

from functools import partial
from typing import Any

import msgspec
import polars as pl

from etl.dataset import Fetched
from etl.deribit.numbers import decoder
from etl.instruments import selection
from etl.instruments.names import Kind
from etl.proof.grid import Grid
from etl.proof.grid_proof import GridProof
from etl.sources.stamps import timestamp
from lake.span import Span
from validators.resolutions import MINUTE_MS, RESOLUTIONS, grid
from validators.schemas.candles import (
    Candles,
    FuturesOhlcv,
    OptionsChart,
    PerpetualsOhlcv,
    candles_model,
)

PRICES = ("open", "high", "low", "close")
PAGE_ROWS = 5_000


class ChartPage(msgspec.Struct):
    """Result of public/get_tradingview_chart_data: columns of equal length."""

    status: str = "ok"
    ticks: list[int] = []
    open: list[float | None] = []
    high: list[float | None] = []
    low: list[float | None] = []
    close: list[float | None] = []
    volume: list[float | None] = []
    cost: list[float | None] = []


class _Envelope(msgspec.Struct):
    result: ChartPage


_decode, _decode_page = decoder(_Envelope), decoder(ChartPage)
_COLUMNS = ChartPage.__struct_fields__[1:]
_SCHEMA = {name: pl.Float64() for name in _COLUMNS} | {"ticks": pl.Int64()}


def check(result: msgspec.Raw) -> None:
    """Raise where a result is not a page of candles.

    Raises
    ------
    msgspec.ValidationError
        If a member has the wrong type, or the columns differ in length.
    """
    page = _decode_page(result)
    lengths = {name: len(getattr(page, name)) for name in _COLUMNS}
    if len(set(lengths.values())) > 1:
        message = f"columns of different length: {lengths}"
        raise msgspec.ValidationError(message)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page of candles, as sent: `timestamp_ms` and six float columns."""
    page = _decode(body).result
    columns = {name: getattr(page, name) for name in _COLUMNS}
    return pl.DataFrame(columns, schema=_SCHEMA).rename({"ticks": "timestamp_ms"})


def transform(raw: pl.LazyFrame, instrument: str) -> pl.LazyFrame:
    """Return candles [quote, base coin, quote] keyed by their open time."""
    return raw.select(
        timestamp(),
        pl.lit(instrument).alias("instrument"),
        pl.col(*PRICES, "volume", "cost"),
        pl.col("attempt"),
    )


def _params(resolution: str, instrument: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # From one millisecond before the first bar: whether the start is exclusive is not documented,
    # and either reading of it then returns the bar. Both ends lie off the grid on purpose.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
        "resolution": resolution,
    }


def _candles(
    base: str, minutes_of: type[Candles], kind: Kind, select: selection.Select, resolution: str
) -> Fetched:
    minutes, starts = grid(resolution)
    is_base = resolution == "1" and base.endswith("_ohlcv")
    step = minutes * MINUTE_MS
    phases = tuple(sorted(start * MINUTE_MS for start in starts))
    return Fetched(
        name=base if resolution == "1" else f"{base}_{resolution}",
        aliases=(base.removesuffix("_ohlcv"),) if is_base else (),
        model=candles_model(resolution, minutes_of if resolution == "1" else Candles),
        method="public/get_tradingview_chart_data",
        proof=GridProof(Grid(step, phases, closes_after_ms=step), PAGE_ROWS),
        kind=kind,
        select=select,
        params=partial(_params, resolution),
        check=check,
        decode=decode,
        transform=transform,
        empty_body=b'{"result":{"status":"no_data"}}',
        resolution=resolution,
    )


OPTIONS_CHART = _candles("options_chart", OptionsChart, "option", selection.options, "1")
PERPETUALS_OHLCV = [
    _candles("perpetuals_ohlcv", PerpetualsOhlcv, "perpetual", selection.perpetuals, resolution)
    for resolution in RESOLUTIONS
]
FUTURES_OHLCV = [
    _candles("futures_ohlcv", FuturesOhlcv, "future", selection.futures, resolution)
    for resolution in RESOLUTIONS
]
