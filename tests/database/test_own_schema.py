"""The extension may lie in a schema of its own, which nobody's search_path names."""

import pytest

from etl.catalog import find
from etl.check.quality import REPORTS
from etl.check.quality_database import check_database
from etl.database import migrate
from etl.database.connection import connect, fetch
from etl.database.load import load
from etl.database.verify import verify_database
from etl.progress import LogProgress
from lake.paths import Lake
from tests.database.test_load import MINUTES, candles, publish

PATH = "SELECT current_setting('search_path')"


@pytest.fixture
def apart(empty_database, execute):
    """Return a database whose TimescaleDB lies in the schema `Time Series`."""
    execute('CREATE SCHEMA "Time Series"', empty_database)
    execute('CREATE EXTENSION timescaledb SCHEMA "Time Series"', empty_database)
    return empty_database


@pytest.fixture
def loaded(apart, tmp_path):
    """Return that database after init and load of one instrument, and its lake."""
    publish(tmp_path / "lake", candles())
    with connect(apart) as connection:
        migrate.init(connection)
    load(apart, Lake(tmp_path / "lake"), LogProgress())
    return apart, Lake(tmp_path / "lake")


def search_path(settings, **options):
    with connect(settings, **options) as connection:
        connection.adbc_connection.set_autocommit(True)
        return fetch(connection, PATH)[0][0]


@pytest.mark.parametrize("autocommit", [False, True])
def test_the_schema_of_the_extension_comes_last_in_the_search_path(apart, autocommit):
    assert search_path(apart, autocommit=autocommit) == '"$user", public, "Time Series"'


def test_a_search_path_of_the_users_own_is_kept_in_front(apart, execute):
    for own, expected in (("", '"Time Series"'), ("app", 'app, "Time Series"')):
        name = f"ALTER ROLE CURRENT_USER IN DATABASE {database_of(apart)}"
        execute(f"{name} SET search_path TO {own or chr(39) * 2}", apart)
        assert search_path(apart).removeprefix('"", ') == expected


def test_a_schema_that_is_searched_already_is_not_named_again(database, empty_database):
    assert search_path(database) == '"$user", public'
    assert search_path(empty_database) == '"$user", public'


def database_of(settings):
    with connect(settings) as connection:
        return fetch(connection, "SELECT current_database()::text")[0][0]


def test_what_was_loaded_verifies(loaded):
    assert verify_database(*loaded) == (MINUTES, [])


def test_a_second_init_and_a_migration_change_nothing(loaded):
    with connect(loaded[0]) as connection:
        assert migrate.init(connection) == []
        assert migrate.migrate(connection) == []


def test_the_views_answer(loaded):
    with connect(loaded[0]) as connection:
        for name in ("1h", "1d", "1d_0800"):
            sql = f"SELECT sum(minutes)::bigint FROM perpetuals_{name}"
            assert fetch(connection, sql) == [(MINUTES,)]


def test_quality_checks_it(loaded, tmp_path):
    database, lake = loaded
    dataset = find("perpetuals_ohlcv")
    found = check_database(database, lake, dataset, (), out_dir=tmp_path / "reports")
    assert found.table == "perpetuals_ohlcv"
    assert len(found.files) == len(REPORTS)


def test_a_loader_of_no_other_rights_loads_and_verifies(loaded, execute):
    database, lake = loaded
    publish(lake.root, candles(instrument="ETH-PERPETUAL"))
    name = f"ALTER ROLE CURRENT_USER IN DATABASE {database_of(database)}"
    execute(f"{name} SET role TO deribit_loader", database)
    assert load(database, lake, LogProgress()).inserted == MINUTES
    assert verify_database(database, lake) == (2 * MINUTES, [])


def test_a_revision_of_what_is_loaded_arrives(loaded):
    database, lake = loaded
    rows = candles()
    publish(lake.root, rows.with_columns(rows["close"] + 0.25))
    assert load(database, lake, LogProgress()).updated == MINUTES
    assert verify_database(database, lake) == (MINUTES, [])
