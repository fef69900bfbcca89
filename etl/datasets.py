"""Table of contents: what each dataset is fetched with, made by, and promises."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from etl import transform
from etl.errors import UsageError
from etl.plan import Grid
from lake.ledger import Span
from validators.schemas import MINUTE_MS, RESOLUTIONS, FundingRates, candles_model
from validators.schemas import grid as candle_grid

if TYPE_CHECKING:
    import pandera.polars as pa

HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset, from the method that serves it to the contract it keeps."""

    name: str
    method: str
    resolution: str
    grid: Grid
    page_rows: int
    model: "type[pa.DataFrameModel]"
    params: Callable[[str, Span], dict[str, Any]]
    check: Callable[[msgspec.Raw], object]
    decode: Callable[[bytes], pl.DataFrame]
    transform: Callable[[pl.LazyFrame, str], pl.LazyFrame]
    empty_body: bytes
    of_perpetuals: bool = True

    def holds(self, instrument: str) -> bool:
        """Whether an instrument's rows belong here: perpetuals and dated futures live apart."""
        return instrument.endswith("-PERPETUAL") == self.of_perpetuals

    @property
    def columns(self) -> list[str]:
        """Names of the published columns, in order."""
        return list(self.model.to_schema().columns)

    def empty_page(self) -> pl.DataFrame:
        """Return the rows of a page without rows, with the number of their attempt."""
        return self.decode(self.empty_body).with_columns(attempt=pl.lit(0, dtype=pl.UInt32))


def _chart_params(resolution: str, instrument: str, window: Span) -> dict[str, Any]:
    # From one millisecond before the first bar: whether the start is exclusive is not documented,
    # and either reading of it then returns the bar. Both ends lie off the grid on purpose.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
        "resolution": resolution,
    }


def _funding_params(instrument: str, window: Span) -> dict[str, Any]:
    # The start is exclusive (measured) and the end inclusive.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
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
        of_perpetuals=base == "perpetuals_ohlcv",
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
_ALL = [
    FUNDING,
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
