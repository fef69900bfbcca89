import json
import os
import subprocess
import sys

import pytest

from etl.config import Settings
from etl.database.connection import connect, fetch
from etl.database.migrate import MIGRATIONS
from etl.database.schema import latest_version

SECRET = "geheim-Zx9Q"


@pytest.fixture
def invoke(tmp_path):
    """Return a function that runs a command in a process of its own, on a database."""

    def run(settings, *words):
        own = {"DERIBIT_LAKE_DSN": settings.dsn, "DERIBIT_LAKE_LOG_DIR": str(tmp_path / "logs")}
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_init_says_what_it_did_and_then_that_there_is_nothing_to_do(invoke, empty_database):
    first, second = (invoke(empty_database, "db", "init").stdout.splitlines() for _ in range(2))

    assert first[:5] == [
        *(f"applied {path.name}" for path in sorted(MIGRATIONS.glob("*.sql"))),
        "applied resampled.sql, policies.sql, roles.sql",
    ]
    assert second[0] == "nothing to do"
    assert first[-1] == second[-1]
    assert "edition: " in second[-1]


def test_status_gives_a_dsn_that_connects_without_a_password_in_it(invoke, database):
    told = json.loads(invoke(database, "db", "status", "--json").stdout)

    assert told["schema_version"] == told["latest_schema_version"] == latest_version()
    assert told["edition"] in {"apache", "timescale"}
    assert told["timescaledb_version"] >= "2.13"
    with connect(Settings(dsn=told["dsn"])) as connection:
        assert len(fetch(connection, "SELECT * FROM reference.schema_version")) == latest_version()


def test_status_of_an_empty_database_says_so(invoke, empty_database):
    told = invoke(empty_database, "db", "status").stdout
    assert told.endswith("TimescaleDB not installed (no edition), no schema of 4\n")


def test_migrate_has_nothing_to_do_at_the_newest_version(invoke, database):
    assert invoke(database, "db", "migrate").stdout == "nothing to do\n"


def test_psql_answers(invoke, database):
    assert invoke(database, "db", "psql", "-tAc", "SELECT 6 * 7").stdout == "42\n"


@pytest.mark.parametrize("words", [("status",), ("init",), ("migrate",)])
def test_a_wrong_password_ends_in_one_line_without_it(invoke, server, words):
    told = invoke(
        Settings(dsn=server.dsn.partition("?")[0].replace("@", f":{SECRET}@")), "db", *words
    )
    assert told.returncode == 1
    assert told.stderr.startswith("error: postgresql://deribit@127.0.0.1:")
    assert len(told.stderr.splitlines()) == 1
    assert SECRET not in told.stdout + told.stderr
