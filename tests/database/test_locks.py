"""Loads beside others who hold a chunk, as a compression does, or are about to commit."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl
import pytest

from etl.catalog import find
from etl.database.connection import connect, execute_script, fetch, transaction
from etl.database.locks import take_empty
from tests.database.test_load import bring, candles, changed, publish, run

CANDLES = find("perpetuals_ohlcv")
CHUNK = "SELECT chunk::text FROM show_chunks('perpetuals_ohlcv') AS chunk ORDER BY 1 DESC LIMIT 1"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
ROW = """INSERT INTO perpetuals_ohlcv
    VALUES ('2025-01-01Z', 'XRP-PERPETUAL', 1, 2, 1, 2, 0, 0) RETURNING 1"""


@pytest.fixture
def settings(database, tmp_path):
    publish(tmp_path / "lake", candles())
    return database.model_copy(update={"root": tmp_path / "lake"})


def wait_for_a_waiter(settings):
    for _ in range(400):
        if run(settings, WAITING) != [(0,)]:
            return
        time.sleep(0.01)
    pytest.fail("nobody waits for a lock")


@pytest.mark.parametrize(
    "rows",
    [
        changed(candles(), date(2025, 1, 15), close=pl.col("close") + 0.25),
        candles(instrument="ETH-PERPETUAL"),
    ],
    ids=["revised", "appended"],
)
def test_a_load_waits_for_a_compression_and_not_that_for_the_load(settings, rows):
    bring(settings)
    publish(settings.root, rows)
    ((chunk,),) = run(settings, CHUNK)
    with connect(settings) as other, ThreadPoolExecutor(1) as pool:
        execute_script(other, f"SET lock_timeout = '5s'; LOCK TABLE {chunk} IN EXCLUSIVE MODE")
        loading = pool.submit(bring, settings)
        wait_for_a_waiter(settings)
        execute_script(other, f"LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE")
        other.commit()
        done = loading.result()

    assert done.inserted + done.updated > 0


def test_rows_others_are_about_to_commit_are_not_swept_away(settings):
    with connect(settings) as other, connect(settings) as ours, ThreadPoolExecutor(1) as pool:
        fetch(other, ROW)
        with transaction(ours):
            taking = pool.submit(take_empty, ours, CANDLES)
            wait_for_a_waiter(settings)
            other.commit()
            assert not taking.result()

    assert run(settings, "SELECT count(*) FROM perpetuals_ohlcv") == [(1,)]


def test_an_empty_table_is_taken(settings):
    with connect(settings) as ours, transaction(ours):
        assert take_empty(ours, CANDLES)
