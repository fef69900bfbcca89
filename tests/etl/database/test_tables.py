import pandera.polars as pa
import polars as pl
import pytest

from etl.database.tables import Column, hypertables, table_of, tables
from validators.schemas.candles import Candles, PerpetualsOhlcv, candles_model
from validators.schemas.instruments import Instruments
from validators.table import TableFacts, declared

PLAIN = declared(table=TableFacts(name="toys", about="Toys", key=("name",)))


class Toys(pa.DataFrameModel):
    name: str
    count: int
    weight: pl.Float32 = pa.Field(nullable=True, metadata={"sql": "real"})

    class Config:
        metadata = PLAIN


class Heavy(pa.DataFrameModel):
    name: str
    weight: pl.Float32

    class Config:
        metadata = PLAIN


def test_the_tables_are_in_the_order_of_the_schema():
    assert list(tables()) == [
        "schema_version",
        "perpetuals_ohlcv",
        "futures_ohlcv",
        "funding_rates",
        "index_prices",
        "volatility_index",
        "delivery_prices",
        "options_ohlcv",
        "instruments",
        "futures_basis",
        "futures_curve",
        "forward_curve",
        "option_iv",
        "options_greeks",
        "vol_slices",
        "vol_grid",
        "constant_maturity_vol",
        "variance_swap",
        "perpetuals_1h",
        "perpetuals_1d",
        "load_ledger",
    ]


def test_types_follow_from_the_columns_unless_they_are_stated():
    assert table_of(Toys).columns == (
        Column("name", "text", is_nullable=False),
        Column("count", "bigint", is_nullable=False),
        Column("weight", "real", is_nullable=True),
    )


def test_a_table_may_have_some_of_the_columns_in_an_order_of_its_own():
    expected = ["instrument_id", "valid_from", "valid_to", "instrument", "kind", "record"]
    assert [column.name for column in table_of(Instruments).columns] == expected


def test_a_grid_makes_no_other_table():
    assert table_of(candles_model("1", PerpetualsOhlcv)) == table_of(PerpetualsOhlcv)


def test_a_type_without_a_name_has_to_be_stated():
    with pytest.raises(ValueError, match="column weight is Float32: state its SQL type"):
        table_of(Heavy)


def test_a_dataset_without_a_table_is_passed_over_and_has_none_to_give():
    assert list(tables([Candles, Toys])) == ["schema_version", "toys", "load_ledger"]
    with pytest.raises(ValueError, match="Candles has no table"):
        table_of(Candles)


def test_tables_are_those_of_the_datasets_handed_over():
    assert "toys" not in tables()
    assert hypertables([Toys, PerpetualsOhlcv]) == ["perpetuals_ohlcv"]
