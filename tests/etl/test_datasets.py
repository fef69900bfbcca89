import msgspec
import polars as pl
import pytest

from etl.datasets import DATASETS, candles_dataset, find_dataset
from etl.errors import UsageError
from lake.ledger import Span
from validators.schemas import RESOLUTIONS


def test_there_is_funding_and_one_dataset_a_resolution():
    assert list(DATASETS) == [
        "funding_rates",
        "perpetuals_ohlcv",
        *(f"perpetuals_ohlcv_{name}" for name in RESOLUTIONS if name != "1"),
        "futures_ohlcv",
        *(f"futures_ohlcv_{name}" for name in RESOLUTIONS if name != "1"),
    ]


def test_perpetuals_and_dated_futures_live_apart():
    assert DATASETS["perpetuals_ohlcv"].holds("BTC_USDC-PERPETUAL")
    assert not DATASETS["perpetuals_ohlcv"].holds("BTC-27DEC24")
    assert DATASETS["futures_ohlcv"].holds("BTC-27DEC24")
    assert not DATASETS["futures_ohlcv_60"].holds("BTC-PERPETUAL")


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_page_without_rows_keeps_the_columns_of_its_contract(dataset):
    empty = dataset.transform(dataset.empty_page().lazy(), "BTC-PERPETUAL").collect()

    assert empty.columns == [*dataset.columns, "attempt"]
    assert empty.is_empty()
    assert empty.schema["attempt"] == pl.UInt32


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_an_empty_result_has_the_shape_that_is_checked(dataset):
    dataset.check(msgspec.json.decode(dataset.empty_body, type=dict[str, msgspec.Raw])["result"])


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_both_readings_of_an_exclusive_start_return_exactly_the_window(dataset):
    step = dataset.grid.step_ms
    params = dataset.params("BTC-PERPETUAL", Span(10 * step, 20 * step))
    start, end = params["start_timestamp"], params["end_timestamp"]

    exclusive = [n for n in range(30) if start < n * step <= end]
    inclusive = [n for n in range(30) if start <= n * step <= end]

    assert exclusive == inclusive == list(range(10, 20))


def test_a_resolution_has_its_own_dataset_and_asks_for_it():
    dataset = candles_dataset("perpetuals_ohlcv", "1D")

    assert dataset.name == "perpetuals_ohlcv_1D"
    assert dataset.params("X", Span(0, 1))["resolution"] == "1D"


@pytest.mark.parametrize("resolution", ["240", "", "1d", "2"])
def test_a_resolution_the_exchange_has_not_is_refused_naming_those_it_has(resolution):
    with pytest.raises(UsageError, match=f"no resolution '{resolution}'; Deribit has 1, 3, 5"):
        candles_dataset("perpetuals_ohlcv", resolution)


def test_an_unknown_dataset_is_refused_naming_the_known_ones():
    with pytest.raises(UsageError, match="no dataset 'candels'; choose from: funding_rates"):
        find_dataset("candels")
