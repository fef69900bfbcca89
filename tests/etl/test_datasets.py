import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.datasets import DATASETS, candles_dataset, find_dataset
from etl.errors import UsageError
from lake.ledger import Span
from validators.schemas import RESOLUTIONS


def test_there_is_funding_and_one_dataset_a_resolution():
    assert list(DATASETS) == [
        "funding_rates",
        "delivery_prices",
        "volatility_index",
        *(f"volatility_index_{name}" for name in ("3600", "43200", "1D")),
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


WITH_WINDOW = {name: one for name, one in DATASETS.items() if name != "delivery_prices"}


@given(
    first=st.integers(0, 3_000), days=st.integers(1, 366), age=st.integers(0, 3_000),
    lost=st.integers(-200, 200),
)  # fmt: skip
def test_a_page_of_deliveries_has_its_window_though_days_are_lost_or_doubled(
    first, days, age, lost
):
    eight, day = 28_800_000, 86_400_000
    window = Span(first * day, (first + days) * day)
    newest = first + days - 1 + age
    params = DATASETS["delivery_prices"].params("btc_usd", window, newest * day + eight)
    number_of_last, number_of_first = (newest - each + lost for each in (first + days - 1, first))

    assert params["count"] <= 1_000
    assert params["offset"] <= max(0, number_of_last)
    assert number_of_first < params["offset"] + params["count"]


@pytest.mark.parametrize("dataset", WITH_WINDOW.values(), ids=WITH_WINDOW)
def test_both_readings_of_an_exclusive_start_return_exactly_the_window(dataset):
    step = dataset.grid.step_ms
    params = dataset.params("BTC-PERPETUAL", Span(10 * step, 20 * step), 0)
    start, end = params["start_timestamp"], params["end_timestamp"]

    exclusive = [n for n in range(30) if start < n * step <= end]
    inclusive = [n for n in range(30) if start <= n * step <= end]

    assert exclusive == inclusive == list(range(10, 20))


def test_a_resolution_has_its_own_dataset_and_asks_for_it():
    dataset = candles_dataset("perpetuals_ohlcv", "1D")

    assert dataset.name == "perpetuals_ohlcv_1D"
    assert dataset.params("X", Span(0, 1), 0)["resolution"] == "1D"


@pytest.mark.parametrize("resolution", ["240", "", "1d", "2"])
def test_a_resolution_the_exchange_has_not_is_refused_naming_those_it_has(resolution):
    with pytest.raises(UsageError, match=f"no resolution '{resolution}'; Deribit has 1, 3, 5"):
        candles_dataset("perpetuals_ohlcv", resolution)


def test_an_unknown_dataset_is_refused_naming_the_known_ones():
    with pytest.raises(UsageError, match="no dataset 'candels'; choose from: funding_rates"):
        find_dataset("candels")
