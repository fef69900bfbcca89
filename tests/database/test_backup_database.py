"""The database in a backup: dumped, dropped, and back with identical rows, by the commands."""

import json
import shutil

import pytest

from etl.database.connection import connect, fetch
from etl.database.dsn import database_of, with_database
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.database.test_load import BTC, candles, publish
from tests.etl.backup.lakes import digests

PASSWORD = "correct-horse-battery"
ROWS = "SELECT md5(string_agg(t::text, ',' ORDER BY instrument, timestamp)) FROM perpetuals_ohlcv t"


@pytest.fixture
def command(database, tmp_path):
    if shutil.which("restic") is None:
        pytest.skip("no restic on this machine: Debian's package would do")
    publish(tmp_path / "lake", candles(instrument=BTC))
    (tmp_path / "lake" / "lake.json").write_text('{"format": 4}\n')
    settings = {
        "DERIBIT_LAKE_DSN": database.dsn,
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(tmp_path / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }
    ran = InProcess(Product(tmp_path / "lake", "http://127.0.0.1:9", tuple(settings.items())))
    assert ran.run("load").returncode == 0
    return ran


def rows(settings, name=None):
    dsn = settings.dsn if name is None else with_database(settings.dsn, name)
    with connect(settings.model_copy(update={"dsn": dsn})) as connection:
        return fetch(connection, ROWS)


def test_a_database_and_a_lake_that_are_gone_come_back_as_they_were(
    command, database, execute, tmp_path
):
    before, files = rows(database), digests(tmp_path / "lake")
    assert before != [(None,)]
    ran = command.run("backup", "run", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["database_bytes"] > 0

    name = database_of(database.dsn)
    execute(f"DROP DATABASE {name} WITH (FORCE)")
    shutil.rmtree(tmp_path / "lake")
    back = command.run("backup", "restore")

    assert back.returncode == 0, back.stderr
    assert "the database is back" in back.stdout
    assert rows(database) == before
    assert digests(tmp_path / "lake") == files


def test_a_database_that_is_there_is_refused_unless_told(command, database):
    assert command.run("backup", "run").returncode == 0

    refused = command.run("backup", "restore", "--only", "database")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "give --force" in refused.stderr

    before = rows(database)
    forced = command.run("backup", "restore", "--only", "database", "--force")
    assert forced.returncode == 0, forced.stderr
    assert rows(database) == before


def test_it_comes_back_under_another_name_beside_what_lives(command, database, execute, tmp_path):
    assert command.run("backup", "run").returncode == 0
    other = f"{database_of(database.dsn)}_back"
    try:
        ran = command.run("backup", "restore", "--to", tmp_path / "back", "--database", other)
        assert ran.returncode == 0, ran.stderr
        assert rows(database, other) == rows(database)
    finally:
        execute(f"DROP DATABASE IF EXISTS {other} WITH (FORCE)")


def test_no_database_is_touched_by_a_restore_elsewhere(command, tmp_path):
    assert command.run("backup", "run").returncode == 0
    ran = command.run("backup", "restore", "--to", tmp_path / "back")
    assert ran.returncode == 0, ran.stderr
    assert "the database is back" not in ran.stdout


def test_a_database_that_has_tables_is_refused_before_the_lake_is_fetched(command, tmp_path):
    assert command.run("backup", "run").returncode == 0
    shutil.rmtree(tmp_path / "lake")

    refused = command.run("backup", "restore")

    assert refused.returncode == 1
    assert "choose another name, or give --force to replace it" in refused.stderr
    assert not (tmp_path / "lake").exists()


def test_a_server_that_does_not_answer_leaves_the_lake_backed_up(command, database):
    told = dict(command.product.settings) | {
        "DERIBIT_LAKE_DSN": "postgresql://nobody@127.0.0.1:9/x"
    }
    product = Product(command.lake, command.product.host, tuple(told.items()))
    ran = InProcess(product).run("backup", "run")

    assert ran.returncode == 1
    assert "the database is missing: " in ran.stdout
    assert database.dsn
