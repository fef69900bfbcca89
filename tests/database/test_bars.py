"""Hourly and daily candles of the database: right whenever anybody can look, and the lake's."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from etl.database import migrate
from etl.database.connection import connect, execute_script, fetch
from etl.database.verify import verify_database
from lake.paths import Lake
from lake.views import open_views
from tests.database.test_load import BTC, END, MINUTES, START, bring, candles, changed, publish, run

ETH = "ETH-PERPETUAL"
VIEWS = ("perpetuals_1h", "perpetuals_1d")
HALF = datetime(2025, 2, 3, 13, 30, tzinfo=UTC)


def uneven(start=START, end=END, instrument=BTC):
    """Return minutes whose sums differ with the order they are added in."""
    rows = candles(start, end, instrument)
    number = pl.int_range(pl.len())
    volume = (number * 7919 % 100_003).cast(pl.Float64) / 1e4 + 0.1
    return rows.with_columns(volume=volume, cost=volume * 60_000.3)


@pytest.fixture
def settings(database, tmp_path):
    publish(tmp_path / "lake", uneven())
    return database.model_copy(update={"root": tmp_path / "lake"})


def of_lake(settings, view):
    sql = f"SELECT * FROM {view} ORDER BY instrument, timestamp"
    return open_views(Lake(settings.root)).sql(sql).pl()


def of_database(settings, view):
    with connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view} ORDER BY instrument, timestamp")
        return pl.DataFrame(cursor.fetch_arrow_table())


def assert_bars_are_the_lake_s(settings):
    for view in VIEWS:
        assert of_database(settings, view).equals(of_lake(settings, view))
    theirs, ours = (read(settings, "perpetuals_1d_0800") for read in (of_lake, of_database))
    sums = ["volume", "cost"]
    assert ours.drop(sums).equals(theirs.drop(sums))
    for name in sums:
        assert (ours[name] / theirs[name] - 1).abs().max() < 1e-14


def test_bars_are_the_lake_s_after_a_load_a_second_instrument_and_a_revised_day(settings):
    bring(settings)
    assert_bars_are_the_lake_s(settings)

    publish(settings.root, uneven(instrument=ETH))
    bring(settings)
    assert_bars_are_the_lake_s(settings)

    publish(settings.root, changed(uneven(), date(2025, 1, 15), high=pl.col("high") + 7))
    done = bring(settings)
    assert (done.updated, done.bars) == (1440, 25)
    assert_bars_are_the_lake_s(settings)


def test_a_day_that_was_half_loaded_becomes_whole(settings):
    publish(settings.root, uneven(end=HALF))
    bring(settings)
    assert_bars_are_the_lake_s(settings)
    assert run(settings, "SELECT minutes FROM perpetuals_1d ORDER BY timestamp DESC LIMIT 1") == [
        (810,)
    ]
    publish(settings.root, uneven(end=HALF + timedelta(hours=12)))
    bring(settings)
    assert_bars_are_the_lake_s(settings)


def test_bars_are_the_lake_s_after_a_reload_and_go_with_what_the_lake_lost(settings):
    bring(settings)
    bring(settings, anew=True)
    assert_bars_are_the_lake_s(settings)

    publish(settings.root, uneven().filter(pl.col("timestamp").dt.month() != 1))
    bring(settings)
    assert_bars_are_the_lake_s(settings)
    assert verify_database(settings, Lake(settings.root))[1] == []


def test_a_bar_altered_by_hand_is_found_and_a_full_load_mends_it(settings):
    bring(settings)
    run(
        settings,
        "UPDATE reference.perpetuals_1d SET close = close + 1"
        " WHERE timestamp = '2025-01-15Z' RETURNING 1",
    )
    run(settings, "DELETE FROM reference.perpetuals_1h WHERE timestamp < '2024-12-01Z' RETURNING 1")
    differences = verify_database(settings, Lake(settings.root))[1]
    assert sorted((one.dataset, one.month) for one in differences) == [
        ("perpetuals_1d", "2025-01"),
        ("perpetuals_1h", "2024-11"),
    ]
    done = bring(settings, full=True)

    assert (done.inserted, done.updated, done.deleted, done.bars) == (0, 0, 0, 1 + 48)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-0"])
def test_a_value_of_any_kind_put_in_by_hand_is_found_and_mended(settings, value):
    publish(settings.root, uneven().with_columns(volume=0.0))
    bring(settings)
    for table in ("perpetuals_ohlcv", "reference.perpetuals_1d"):
        by_hand = f"UPDATE {table} SET volume = '{value}' WHERE timestamp = '2025-01-15Z'"
        run(settings, f"{by_hand} RETURNING 1")
    differences = verify_database(settings, Lake(settings.root))[1]
    assert [one.dataset for one in differences] == ["perpetuals_1d", "perpetuals_ohlcv"]

    done = bring(settings, full=True)
    assert (done.updated, done.bars) == (1, 1)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_bars_of_an_instrument_the_lake_does_not_know_are_found(settings):
    bring(settings)
    run(
        settings,
        "INSERT INTO reference.perpetuals_1d SELECT timestamp, 'XRP-PERPETUAL', open, high, low,"
        " close, volume, cost, minutes FROM perpetuals_1d LIMIT 3 RETURNING 1",
    )
    (difference,) = verify_database(settings, Lake(settings.root))[1]
    assert (difference.dataset, difference.instrument, difference.database) == (
        "perpetuals_1d", "XRP-PERPETUAL", "3 rows",
    )  # fmt: skip


def test_a_view_that_was_dropped_or_changed_comes_back_with_the_next_migration(settings, execute):
    bring(settings)
    execute("DROP VIEW perpetuals_1d_0800, perpetuals_1d", settings)
    execute(
        "CREATE OR REPLACE VIEW perpetuals_1h AS SELECT timestamp, instrument, open, high, low,"
        " close, 2 * volume AS volume, cost, minutes FROM reference.perpetuals_1h",
        settings,
    )
    differences = verify_database(settings, Lake(settings.root))[1]
    assert {one.instrument: one.database for one in differences} == {
        "public.perpetuals_1d": "no view",
        "public.perpetuals_1h": f"{66 * 24} rows not shown, {66 * 24} others shown",
    }
    with connect(settings) as connection:
        migrate.migrate(connection)
    assert_bars_are_the_lake_s(settings)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_minutes_loaded_by_an_older_version_get_their_bars_and_are_not_sent_again(settings):
    bring(settings)
    with connect(settings) as connection:
        execute_script(connection, "TRUNCATE reference.perpetuals_1h, reference.perpetuals_1d")
        gone = "DELETE FROM reference.load_ledger WHERE dataset <> 'perpetuals_ohlcv' RETURNING 1"
        fetch(connection, gone)
        connection.commit()
    done = bring(settings)

    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)
    assert (done.bars, done.months_loaded, done.months_unchanged) == (66 * 25, 0, 4)
    assert_bars_are_the_lake_s(settings)
    assert bring(settings).bars == 0
