"""The commands that move the lake into the database, as a user runs them."""

import json
import tempfile
import time
from pathlib import Path

import pytest

from etl.config import Settings
from etl.database.connection import connect, fetch
from etl.database.server import down, up
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running

START, END = "2025-09-25", "2025-10-05"


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture
def product(database, exchange, tmp_path):
    dsn = (("DERIBIT_LAKE_DSN", database.dsn),)
    return InProcess(Product(tmp_path / "lake", exchange.url, dsn))


def backfilled(product, *more):
    words = ("backfill", "perpetuals", "--start", START, "--end", END, *more)
    ran = product.run(*words)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def test_a_backfill_with_load_ends_in_a_verified_database(product, database):
    ran = backfilled(product, "--load")
    checked = product.run("verify-db")
    with connect(database) as connection:
        counts = fetch(
            connection, "SELECT instrument, count(*) FROM perpetuals_ohlcv GROUP BY 1 ORDER BY 1"
        )

    start_ms, end_ms = 1_758_758_400_000, 1_759_622_400_000
    market = Market(7, end_ms)
    names = ("BTC-PERPETUAL", "ETH-PERPETUAL")
    assert "28,800 rows inserted" in ran.stdout
    assert counts == [(name, len(market.minutes(name, start_ms, end_ms))) for name in names]
    assert (checked.returncode, checked.stdout) == (0, "28,800 rows compared, 0 differences\n")


def test_a_backfill_of_futures_with_load_loads_those_it_fetched(product, database):
    words = ("backfill", "futures", "--currency", "BTC", "--settlement", "week", "--load")
    ran = product.run(*words, "--start", START, "--end", "2025-09-27")
    with connect(database) as connection:
        counts = dict(
            fetch(connection, "SELECT instrument, count(*) FROM futures_ohlcv GROUP BY 1")
        )

    market = Market(7, milliseconds("2025-10-18"))
    span = milliseconds(START), milliseconds("2025-09-27")
    assert ran.returncode == 0, ran.stderr
    assert counts == {name: len(market.minutes(name, *span)) for name in counts}
    assert "BTC-3OCT25" in counts


def test_load_says_what_it_did_and_a_second_one_that_there_was_nothing(product):
    backfilled(product)
    first, second = (json.loads(product.run("load", "--json").stdout) for _ in range(2))

    assert (first["inserted"], first["months_loaded"]) == (28_800, 4)
    assert (second["inserted"], second["months_unchanged"]) == (0, 4)


def test_reload_brings_all_rows_again(product):
    backfilled(product, "--load")
    ran = product.run("reload")

    assert (ran.returncode, "28,800 rows inserted" in ran.stdout) == (0, True)
    assert product.run("verify-db").returncode == 0


def test_verify_db_names_the_month_that_differs(product, database):
    backfilled(product, "--load")
    with connect(database) as connection:
        fetch(
            connection,
            "DELETE FROM perpetuals_ohlcv WHERE instrument = 'ETH-PERPETUAL'"
            " AND timestamp = '2025-10-02 03:04Z' RETURNING 1",
        )
        connection.commit()
    ran = product.run("verify-db")

    assert ran.returncode == 1
    assert ran.stdout.startswith("perpetuals_ohlcv ETH-PERPETUAL 2025-10: the lake has 5760 rows")
    assert ran.stdout.endswith("28,800 rows compared, 1 differences\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("load", "--dataset", "perpetuals_ohlcv_60"),
            "no table for dataset 'perpetuals_ohlcv_60'",
        ),
        (("load", "--start", "soon"), "--start 'soon' is not a date"),
        (
            ("backfill", "perpetuals", "--resolution", "60", "--load"),
            "no table for dataset 'perpetuals_ohlcv_60'",
        ),
    ],
)
def test_what_cannot_be_loaded_is_one_line_before_anything_is_done(product, words, message):
    ran = product.run(*words)

    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert message in ran.stderr
    assert not (product.lake / "raw").exists()


@pytest.fixture
def folder():
    """Return a folder a server's user can reach."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
        down(folder / "db")


def test_a_server_that_stops_in_mid_copy_is_one_line_and_the_next_load_completes(folder, exchange):
    settings = Settings(db_dir=folder / "db", dsn=up(folder / "db", durable=False).dsn)
    product = InProcess(
        Product(folder / "lake", exchange.url, (("DERIBIT_LAKE_DSN", settings.dsn),))
    )
    assert product.run("db", "init").returncode == 0
    year = ("backfill", "perpetuals", "--start", "2025-01-01", "--end", "2025-10-01")
    assert product.run(*year).returncode == 0
    process = product.product.start("load")
    while process.poll() is None and not loading(settings):
        time.sleep(0.01)
    down(folder / "db")
    assert process.wait() == 1
    up(folder / "db", durable=False)
    again = product.run("load")

    assert again.returncode == 0, again.stderr
    assert product.run("verify-db").returncode == 0


def loading(settings):
    with connect(settings, autocommit=True) as connection:
        return fetch(connection, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY %'")
