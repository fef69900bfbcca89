"""Table of contents: what each dataset is fetched with, made by, and promises."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import polars as pl

from etl import transform, transform_reference
from etl.errors import UsageError
from etl.proof.grid import Grid
from lake.ledger import Span
from validators.reference import DeliveryPrices, volatility_index_model
from validators.schemas import MINUTE_MS, RESOLUTIONS, FundingRates, candles_model
from validators.schemas import grid as candle_grid

if TYPE_CHECKING:
    import pandera.polars as pa

Of = Literal["perpetual", "future", "index"]

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DELIVERY_MS = 8 * HOUR_MS
DELIVERIES_AROUND, MOST_DELIVERIES = 300, 1_000
VOLATILITY_INDEX_SINCE_MS = 1_616_544_000_000  # 2021-03-24, the first day of it on record
VOLATILITY_INDEX_RESOLUTIONS = ("60", "3600", "43200", "1D")
"""In seconds, as Deribit names them. Its bars of one second are left out: 31 million a year."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset, from the method that serves it to the contract it keeps."""

    name: str
    method: str
    resolution: str
    grid: Grid
    page_rows: int
    model: "type[pa.DataFrameModel]"
    params: Callable[[str, Span, int], dict[str, Any]]  # instrument, window, exchange's clock
    check: Callable[[msgspec.Raw], object]
    decode: Callable[[bytes], pl.DataFrame]
    transform: Callable[[pl.LazyFrame, str], pl.LazyFrame]
    empty_body: bytes
    of: Of = "perpetual"
    since_ms: int = 0  # before this the exchange has none
    is_wide: bool = False  # a page may hold rows far outside what was asked

    def holds(self, instrument: str) -> bool:
        """Whether an instrument's rows belong here: perpetuals and dated futures live apart."""
        if instrument.endswith("-PERPETUAL"):
            return self.of == "perpetual"
        return self.of == ("future" if "-" in instrument else "index")

    @property
    def columns(self) -> list[str]:
        """Names of the published columns, in order."""
        return list(self.model.to_schema().columns)

    def empty_page(self) -> pl.DataFrame:
        """Return the rows of a page without rows, with the number of their attempt."""
        return self.decode(self.empty_body).with_columns(attempt=pl.lit(0, dtype=pl.UInt32))


def _chart_params(resolution: str, instrument: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # From one millisecond before the first bar: whether the start is exclusive is not documented,
    # and either reading of it then returns the bar. Both ends lie off the grid on purpose.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
        "resolution": resolution,
    }


def _funding_params(instrument: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # The start is exclusive (measured) and the end inclusive.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
    }


def _volatility_params(resolution: str, index: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # No window is wider than a page, so that `continuation` has nothing to add; if it ever has,
    # what it stands for is a hole, and asked for as one.
    return {
        "currency": index.partition("_")[0].upper(),
        "start_timestamp": window.start_ms - 1,  # exclusive or not, as for candles
        "end_timestamp": window.end_ms - 1,
        "resolution": resolution,
    }


def _delivery_params(index: str, window: Span, now_ms: int) -> dict[str, Any]:
    # The list goes back from the newest delivery by number, not by date: as many more are asked
    # for on both sides as days may be missing from it, or stand in it twice.
    newest, last, first = (
        (ms - DELIVERY_MS) // DAY_MS for ms in (now_ms, window.end_ms - 1, window.start_ms)
    )
    offset = max(0, newest - last - DELIVERIES_AROUND)
    return {
        "index_name": index,
        "offset": offset,
        "count": min(MOST_DELIVERIES, newest - first + 1 + DELIVERIES_AROUND - offset),
    }


def _candles(base: str, resolution: str) -> Dataset:
    minutes, starts = candle_grid(resolution)
    step = minutes * MINUTE_MS
    return Dataset(
        name=base if resolution == "1" else f"{base}_{resolution}",
        method="public/get_tradingview_chart_data",
        resolution=resolution,
        grid=Grid(step, tuple(sorted(start * MINUTE_MS for start in starts)), closes_after_ms=step),
        page_rows=5_000,
        model=candles_model(resolution),
        params=partial(_chart_params, resolution),
        check=transform.check_chart,
        decode=transform.decode_chart,
        transform=transform.transform_candles,
        empty_body=b'{"result":{"status":"no_data"}}',
        of="perpetual" if base == "perpetuals_ohlcv" else "future",
    )


FUNDING = Dataset(
    name="funding_rates",
    method="public/get_funding_rate_history",
    resolution="60",
    grid=Grid(HOUR_MS, (0,), closes_after_ms=0),
    page_rows=744,
    model=FundingRates,
    params=_funding_params,
    check=transform.check_funding,
    decode=transform.decode_funding,
    transform=transform.transform_funding,
    empty_body=b'{"result":[]}',
)
DELIVERIES = Dataset(
    name="delivery_prices",
    method="public/get_delivery_prices",
    resolution="1D",
    grid=Grid(DAY_MS, (DELIVERY_MS,), closes_after_ms=0),
    page_rows=366,
    model=DeliveryPrices,
    params=_delivery_params,
    check=transform_reference.check_deliveries,
    decode=transform_reference.decode_deliveries,
    transform=transform_reference.transform_deliveries,
    empty_body=b'{"result":{"data":[]}}',
    of="index",
    is_wide=True,
)


def _volatility_index(resolution: str) -> Dataset:
    step = DAY_MS if resolution == "1D" else int(resolution) * 1_000
    return Dataset(
        name="volatility_index" if resolution == "60" else f"volatility_index_{resolution}",
        method="public/get_volatility_index_data",
        resolution=resolution,
        grid=Grid(step, tuple(sorted({0, DELIVERY_MS % step})), closes_after_ms=step),
        page_rows=1_000,
        model=volatility_index_model(step),
        params=partial(_volatility_params, resolution),
        check=transform_reference.check_volatility_index,
        decode=transform_reference.decode_volatility_index,
        transform=transform_reference.transform_volatility_index,
        empty_body=b'{"result":{"data":[]}}',
        of="index",
        since_ms=VOLATILITY_INDEX_SINCE_MS,
    )


_ALL = [
    FUNDING,
    DELIVERIES,
    *(_volatility_index(resolution) for resolution in VOLATILITY_INDEX_RESOLUTIONS),
    *(
        _candles(base, resolution)
        for base in ("perpetuals_ohlcv", "futures_ohlcv")
        for resolution in RESOLUTIONS
    ),
]
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}


def candles_dataset(base: str, resolution: str) -> Dataset:
    """Return the dataset of candles of one resolution.

    Raises
    ------
    UsageError
        If the exchange has no such resolution.
    """
    if resolution not in RESOLUTIONS:
        message = f"no resolution {resolution!r}; Deribit has {', '.join(RESOLUTIONS)} (minutes)"
        raise UsageError(message)
    return DATASETS[base if resolution == "1" else f"{base}_{resolution}"]


def volatility_dataset(resolution: str) -> Dataset:
    """Return the dataset of the volatility index of one resolution.

    Raises
    ------
    UsageError
        If it is not kept in that resolution.
    """
    if resolution not in VOLATILITY_INDEX_RESOLUTIONS:
        there = ", ".join(VOLATILITY_INDEX_RESOLUTIONS)
        message = (
            f"no resolution {resolution!r} of the volatility index; there are {there} (seconds)"
        )
        raise UsageError(message)
    return DATASETS["volatility_index" if resolution == "60" else f"volatility_index_{resolution}"]


def find_dataset(name: str) -> Dataset:
    """Return a dataset by its name.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    try:
        return DATASETS[name]
    except KeyError:
        message = f"no dataset {name!r}; choose from: {', '.join(DATASETS)}"
        raise UsageError(message) from None
