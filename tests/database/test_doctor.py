"""What doctor says of databases that are not what they should be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.database.connection import connect, execute_script, fetch
from etl.database.dsn import with_database
from tests.acceptance.command import Product
from tests.acceptance.doctored import Installation, copied
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    start = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    with running(now=None, limits=False) as exchange:
        product = Product(folder / "lake", exchange.url, (("TMPDIR", str(folder)),))
        done = InProcess(product).run("backfill", "funding", "--start", start)
        assert done.returncode == 0, done.stderr
        yield Installation(product)


@pytest.fixture
def loaded(original, tmp_path, database):
    """Return an installation whose database holds what the lake does."""
    told = copied(original, tmp_path).told(DERIBIT_LAKE_DSN=database.dsn)
    done = InProcess(told.product).run("load")
    assert done.returncode == 0, done.stderr
    return told


def changed(database, sql):
    with connect(database, autocommit=True) as connection:
        execute_script(connection, sql)


def test_a_database_that_is_well(loaded):
    told = loaded.doctor()
    assert told.troubles == {}
    assert "(apache edition), schema 4 of 4" in told.all_of("database")[0]
    assert told.all_of("loaded") == ["all 4 files of the lake are in the database"]


def test_a_database_without_the_extension(loaded, empty_database):
    changed(empty_database, "DROP EXTENSION IF EXISTS timescaledb")
    found = loaded.told(DERIBIT_LAKE_DSN=empty_database.dsn).doctor().only("database.extension")
    assert found["todo"].endswith("`deribit-lake db init`")


def test_a_database_without_a_schema(loaded, empty_database):
    changed(empty_database, "CREATE EXTENSION IF NOT EXISTS timescaledb")
    found = loaded.told(DERIBIT_LAKE_DSN=empty_database.dsn).doctor().only("database.schema")
    assert found["todo"] == "`deribit-lake db init`"


def test_a_schema_of_an_older_version(loaded, database):
    changed(database, "DELETE FROM reference.schema_version WHERE version = 4")
    found = loaded.doctor().only("database.schema")
    assert found["what"].endswith("has schema 3, and this version works with 4")
    assert found["todo"] == "`deribit-lake db migrate`"


def test_a_schema_of_a_newer_version(loaded, database):
    changed(database, "INSERT INTO reference.schema_version (version, name) VALUES (99, 'later')")
    assert "upgrade deribit-lake" in loaded.doctor().only("database.altered")["what"]


def test_a_table_that_somebody_altered(loaded, database):
    changed(database, "ALTER TABLE funding_rates DROP COLUMN interest_8h CASCADE")
    assert "funding_rates was altered" in loaded.doctor().only("database.altered")["what"]


def test_a_database_the_lake_is_ahead_of(loaded, database):
    changed(database, "DELETE FROM reference.load_ledger WHERE dataset = 'funding_rates'")
    found = loaded.doctor().only("database.behind")
    assert found["what"] == "2 of 4 files of the lake, of funding_rates"
    assert found["todo"] == "`deribit-lake load`"


def test_a_user_who_may_not_write(loaded, database):
    with connect(database) as connection:
        ((owner,),) = fetch(connection, "SELECT current_user::text")
    try:
        changed(database, "CREATE ROLE doctored LOGIN PASSWORD 's3cr3t' IN ROLE deribit_reader")
        dsn = database.dsn.replace(f"//{owner}@", "//doctored:s3cr3t@").partition("?")[0]
        told = loaded.told(DERIBIT_LAKE_DSN=dsn).doctor()
    finally:
        changed(database, "DROP ROLE doctored")
    found = told.only("database.rights")
    assert found["what"].startswith("doctored may not write ")
    assert found["what"].endswith(" tables, as public.funding_rates")
    assert found["todo"] == "as their owner: GRANT deribit_loader TO doctored"


def test_a_wrong_password(loaded, database):
    dsn = "postgresql://nobody:s3cr3t@" + database.dsn.partition("@")[2].partition("?")[0]
    found = loaded.told(DERIBIT_LAKE_DSN=dsn).doctor().only("database.login")
    assert "s3cr3t" not in str(found)


def test_a_database_nobody_made(loaded, database):
    dsn = with_database(database.dsn, "nobody_made")
    told = loaded.told(DERIBIT_LAKE_DSN=dsn).doctor()
    assert told.code == 1
    assert set(told.troubles) <= {"database.unreachable", "database.refuses"}
    assert "nobody_made" in str(told.troubles)


def test_a_key_that_is_missing_is_told_with_the_statement_that_mends_it(loaded, database):
    changed(database, "ALTER TABLE reference.variance_swap DROP CONSTRAINT variance_swap_pkey")
    found = loaded.doctor().only("database.upkeep")
    assert found["what"] == "reference.variance_swap: the primary key is missing"
    assert found["todo"].startswith("ALTER TABLE reference.variance_swap ADD PRIMARY KEY")


def test_a_server_of_our_own_that_does_not_run(loaded):
    folder = Path(loaded.folder) / "db"
    (folder / "cluster").mkdir(parents=True)
    environment = {"DERIBIT_LAKE_DB_DIR": str(folder), "DERIBIT_LAKE_DSN": ""}
    settings = tuple((k, v) for k, v in loaded.product.settings if k != "DERIBIT_LAKE_DSN")
    own = Installation(Product(loaded.lake, loaded.product.host, settings))
    del environment["DERIBIT_LAKE_DSN"]
    found = own.told(**environment).doctor().only("database.unreachable")
    assert "deribit-lake db up" in found["what"]
