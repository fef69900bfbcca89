"""`sync` with a database: what is kept is loaded and compared; one that is away stops little."""

import json
import threading
from datetime import timedelta

import pytest

from etl.catalog import find_fetched
from etl.database.connection import connect
from etl.database.load import LOCK
from etl.errors import LoadError
from etl.progress import LogProgress
from etl.sync.database import Database
from etl.sync.stages import Stage
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.write import publish_table
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.database.test_load import BTC, START, candles, publish
from tests.exchange.running import running


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as healthy:
        yield healthy


def at(folder, exchange, dsn, **keep):
    said = {"SINCE": "2025-10-10", "DATABASE": "true", "INSTRUMENTS": '["BTC-PERPETUAL"]', **keep}
    settings = [(f"DERIBIT_LAKE_KEEP__{name}", text) for name, text in said.items()]
    return InProcess(Product(folder / "lake", exchange.url, (*settings, ("DERIBIT_LAKE_DSN", dsn))))


def stages(done):
    return {one["stage"]: one for one in json.loads(done.stdout)["stages"]}


def test_what_is_kept_is_loaded_and_compared(tmp_path, exchange, database):
    product = at(tmp_path, exchange, database.dsn)
    first, second = product.run("sync", "--json"), product.run("sync", "--json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    rows = sum(one["rows"] for one in json.loads(first.stdout)["datasets"])
    assert stages(first)["load"]["rows"] == stages(first)["verify-db"]["rows"] == rows > 8 * 1440
    assert stages(second)["load"]["rows"] == 0
    assert list(stages(first))[-4:] == ["load", "verify", "verify-db", "status"]


def test_rows_somebody_changed_there_are_found(tmp_path, exchange, database, execute):
    product = at(tmp_path, exchange, database.dsn)
    product.run("sync")
    execute("UPDATE funding_rates SET index_price = index_price + 1", database)
    done = product.run("sync", "--json")

    assert done.returncode == 1
    assert stages(done)["verify-db"]["state"] == "failed"
    assert "1 months differ; the first: funding_rates BTC-PERPETUAL 2025-10" in done.stderr


@pytest.fixture
def lake(tmp_path):
    """Two days of candles."""
    publish(tmp_path / "lake", candles(end=START + timedelta(days=2)))
    return Lake(tmp_path / "lake")


def stages_of(lake, database):
    settings = database.model_copy(update={"root": lake.root})
    return Database(settings, lake, [find_fetched("perpetuals_ohlcv")], LogProgress(), 60.0)


def test_what_another_published_since_the_load_is_loaded_before_it_is_compared(lake, database):
    own, loaded, compared = stages_of(lake, database), Stage("load"), Stage("verify-db")
    own.load(loaded)
    publish(lake.root, candles(end=START + timedelta(days=3)))
    own.compare(compared)

    assert (loaded.rows, compared.rows) == (2 * 1440, 3 * 1440)


def test_whoever_is_between_rows_and_their_line_keeps_no_load_from_ending_well(lake, database):
    rows = arrow(candles(end=START + timedelta(days=3)))
    one, stage = Partition("perpetuals_ohlcv", BTC, "2024"), Stage("load")
    publish_table(rows, lake.clean(one))
    line = Record(rows=rows.num_rows, checksum=checksum(rows))
    other = threading.Timer(0.5, write_record, [lake, one, line])
    other.start()
    stages_of(lake, database).load(stage)
    other.join()

    assert stage.rows == 3 * 1440


def test_a_file_that_stays_other_than_its_line_is_not_loaded(lake, database):
    rows = arrow(candles(end=START + timedelta(days=3)))
    publish_table(rows, lake.clean(Partition("perpetuals_ohlcv", BTC, "2024")))

    with pytest.raises(LoadError, match="is not what its ledger says"):
        stages_of(lake, database).load(Stage("load"))


def test_a_database_that_is_away_stops_no_more_than_what_needs_it(tmp_path, exchange):
    done = at(tmp_path, exchange, "postgresql://nobody@127.0.0.1:9/none").run("sync", "--json")

    found = {name: one["state"] for name, one in stages(done).items()}
    assert (found["load"], found["verify-db"]) == ("failed", "skipped")
    assert found["backfill perpetuals_ohlcv"] == found["verify"] == "done"
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: load: ")


def test_a_load_of_another_process_is_waited_for_as_long_as_is_said(tmp_path, exchange, database):
    product = at(tmp_path, exchange, database.dsn, BUSY_MINUTES="0.01")
    with connect(database) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock($1)", (LOCK,))
        cursor.fetchone()
        done = product.run("sync", "--json")

    assert stages(done)["load"]["why"].startswith("another load is running")
    assert stages(done)["load"]["seconds"] >= 0.6
    assert product.run("sync").returncode == 0
