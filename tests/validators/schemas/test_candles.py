import pytest

from validators.schemas.candles import Candles, OptionsOhlcv, PerpetualsOhlcv, candles_model
from validators.table import facts_of


def test_a_candle_has_the_columns_everybody_expects_in_their_order():
    expected = ["timestamp", "instrument", "open", "high", "low", "close", "volume", "cost"]

    assert list(Candles.to_schema().columns) == expected
    assert list(OptionsOhlcv.to_schema().columns)[: len(expected)] == expected
    assert facts_of(OptionsOhlcv).columns == tuple(expected)


def test_a_resolution_has_one_model():
    assert candles_model("60") is candles_model("60")


def test_a_resolution_deribit_has_not_has_no_model():
    with pytest.raises(KeyError):
        candles_model("240")


def test_candles_on_a_grid_keep_the_table_of_what_they_are():
    minutes = candles_model("1", PerpetualsOhlcv)

    assert minutes.__name__ == "PerpetualsOhlcv_1"
    assert facts_of(minutes).name == "perpetuals_ohlcv"
    assert facts_of(candles_model("60")) is None


def test_prices_of_options_are_in_a_unit_of_their_own_and_the_rules_are_the_same():
    columns, others = OptionsOhlcv.to_schema().columns, PerpetualsOhlcv.to_schema().columns

    assert columns["low"].metadata == {"unit": "price unit of the option"}
    assert columns["low"].checks == others["low"].checks
