"""Candles of options are loaded, revised and verified by settlement currency and month."""

from datetime import UTC, datetime

import polars as pl
import pytest

from etl.catalog import find
from etl.compute.run import Ask, compute
from etl.database.connection import connect, execute_script, fetch
from etl.database.load import load
from etl.database.verify import verify_database
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum
from lake.views import open_views, select
from lake.write import publish_table
from tests.option_trades import made_up_trades
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

OPTIONS = find("options_ohlcv")
LINES = "SELECT instrument, month::text, rows FROM reference.load_ledger ORDER BY 1, 2"


def publish(lake, trades, part, month):
    partition, table = Partition("option_trades", part, month), arrow(trades)
    publish_table(table, lake.clean(partition), **layout_of(OptionTrades))
    write_record(lake, partition, Record(rows=len(trades), checksum=checksum(table)))
    compute(lake, OPTIONS, Listing(0, {}), LogProgress(), Ask())


@pytest.fixture
def lake(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    for month in (5, 6):
        trades = made_up_trades(4_000, options=300, month=datetime(2024, month, 1, tzinfo=UTC))
        publish(lake, trades, "BTC", f"2024-0{month}")
        linear = pl.col("instrument").str.replace("BTC-", "ETH_USDC-")
        publish(lake, trades.with_columns(linear), "USDC", f"2024-0{month}")
    return lake


def ask(settings, sql):
    with connect(settings) as connection:
        return fetch(connection, sql)


def minutes_of(lake):
    return sum(len(pl.read_parquet(path)) for path in lake.files("options_ohlcv"))


def test_candles_are_loaded_with_a_line_a_currency_and_month_and_verify(database, lake):
    done = load(database, lake, LogProgress(), datasets=[OPTIONS])
    again = load(database, lake, LogProgress(), datasets=[OPTIONS])

    lines = ask(database, LINES)
    assert [line[:2] for line in lines] == [
        (part, f"2024-0{month}-01") for part in ("BTC", "USDC") for month in (5, 6)
    ]
    assert done.inserted == sum(rows for *_, rows in lines) == minutes_of(lake)
    assert (again.inserted, again.months_unchanged) == (0, 4)
    assert verify_database(database, lake, [OPTIONS]) == (done.inserted, [])


def test_what_was_altered_is_found_and_put_right(database, lake):
    load(database, lake, LogProgress(), datasets=[OPTIONS])
    with connect(database, autocommit=True) as connection:
        execute_script(
            connection,
            "UPDATE options_ohlcv SET close = close + 1 WHERE timestamp >= '2024-06-01Z' "
            "AND instrument LIKE 'ETH_USDC-%'",
        )
    _, differences = verify_database(database, lake, [OPTIONS])
    done = load(database, lake, LogProgress(), datasets=[OPTIONS], full=True)

    assert [(one.instrument, one.month) for one in differences] == [("USDC", "2024-06")]
    assert (done.inserted, done.deleted) == (0, 0)
    assert done.updated > 0
    assert verify_database(database, lake, [OPTIONS])[1] == []


def test_a_revised_month_sends_the_rows_that_differ(database, lake):
    load(database, lake, LogProgress(), datasets=[OPTIONS])
    trades = made_up_trades(4_000, options=300, month=datetime(2024, 6, 1, tzinfo=UTC))
    publish(lake, trades.head(-100), "BTC", "2024-06")
    done = load(database, lake, LogProgress(), datasets=[OPTIONS])

    assert done.inserted == 0
    assert 0 < done.deleted <= 100
    assert verify_database(database, lake, [OPTIONS])[1] == []


@pytest.mark.parametrize("view", ["options_1h", "options_1d"])
def test_the_views_of_the_database_are_those_of_the_lake(database, lake, view):
    load(database, lake, LogProgress(), datasets=[OPTIONS])
    columns = "instrument, timestamp, open, high, low, close, minutes"
    sql = f"SELECT {columns} FROM {view} ORDER BY instrument, timestamp"

    assert ask(database, sql) == select(open_views(lake), sql).pl().rows()
