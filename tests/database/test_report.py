"""The page of a lake says whether the database has what the lake has."""

import time

import pytest

from etl.check.report.database import Behind, database_behind
from etl.check.report.page import report_page
from etl.database.connection import connect, execute_script
from etl.database.load import load
from etl.progress import LogProgress
from lake.ledger import records
from lake.paths import Lake
from tests.database.test_load import candles, publish


@pytest.fixture
def settings(database, tmp_path):
    publish(tmp_path / "lake", candles())
    return database.model_copy(update={"root": tmp_path / "lake"})


def behind(settings):
    return database_behind(settings, dict(records(Lake(settings.root))))


def test_a_database_is_behind_until_the_lake_is_loaded(settings):
    before = behind(settings)
    load(settings, Lake(settings.root), LogProgress())

    assert (before.partitions, before.due["perpetuals_ohlcv"], before.error) == (2, 2, "")
    assert (behind(settings).partitions, sum(behind(settings).due.values())) == (2, 0)


def test_it_is_behind_again_where_the_lake_has_other_rows(settings):
    load(settings, Lake(settings.root), LogProgress())
    publish(settings.root, candles().tail(-5))

    assert behind(settings).due["perpetuals_ohlcv"] == 1


def test_the_page_says_so_and_how_to_load(settings):
    page = report_page(Lake(settings.root), settings, settings.root / "reports")

    assert "2 of 2 partitions are not as the lake has them" in page
    assert "<code>deribit-lake load</code>" in page
    load(settings, Lake(settings.root), LogProgress())
    page = report_page(Lake(settings.root), settings, settings.root / "reports")
    assert "It has all 2 partitions as the lake has them." in page


def test_a_database_without_our_tables_is_an_error_and_no_surprise(empty_database, tmp_path):
    publish(tmp_path / "lake", candles())

    found = behind(empty_database.model_copy(update={"root": tmp_path / "lake"}))

    assert "load_ledger" in found.error


def test_a_database_that_is_locked_has_seconds_to_answer(settings):
    with connect(settings) as connection:
        execute_script(connection, "LOCK reference.load_ledger IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        found = behind(settings)

    assert isinstance(found, Behind)
    assert "timeout" in found.error
    assert time.monotonic() - started < 10


def test_without_a_dsn_no_database_is_asked(settings):
    assert behind(settings.model_copy(update={"dsn": None})) is None
