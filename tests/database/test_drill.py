"""The drill with its database: dumped by a backup, restored on a real server, held against it."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from etl.backup.drill import PREFIX, drill
from etl.backup.room import check_room
from etl.backup.run import run
from etl.config import Backup
from etl.database.connection import connect, execute_script, fetch
from etl.database.dump import dump
from etl.database.maintenance import create, identifier, maintaining, named_like
from etl.errors import BackupError, DumpError
from etl.progress import LogProgress
from lake.errors import DiskFullError
from lake.paths import open_lake
from tests.acceptance.command import ROOT
from tests.database.test_load import BTC, bring, candles, publish
from tests.etl.backup.conftest import environment as environment  # noqa: PLC0414  a fixture
from tests.etl.backup.conftest import repository_at
from tests.etl.backup.conftest import restic as restic  # noqa: PLC0414  a fixture

TABLE = "public.perpetuals_ohlcv"


@pytest.fixture
def settings(database, environment, tmp_path):
    """Return settings of a lake that was loaded and backed up, with its database."""
    lake = open_lake(tmp_path / "lake", create=True)
    publish(lake.root, candles())
    kept = Backup(repository=str(tmp_path / "repository"))
    given = {"root": lake.root, "log_dir": tmp_path / "logs", "backup": kept}
    found = database.model_copy(update=given)
    bring(found)
    run(lake, repository_of(found, environment), lambda path: dump(found.dsn, path))
    return found


@pytest.fixture
def drilled(settings, environment):
    """Return a function that drills."""
    return lambda: drill(settings, repository_of(settings, environment), LogProgress())


def repository_of(settings, environment):
    return repository_at(settings.backup.repository, environment)


def alter(settings, sql):
    with connect(settings, autocommit=True) as connection:
        execute_script(connection, sql)


def left(settings):
    """Return the databases of drills that are there."""
    with maintaining(settings.dsn, "nothing") as server:
        return named_like(server, PREFIX)


def test_every_month_of_the_database_is_the_same(settings, drilled):
    found = drilled()

    assert (found.faults, found.newer, found.notes) == ((), (), ())
    # Minutes, hours and days of four months; the books are not counted.
    assert (found.months, found.database_rows) == (12, 66 * (1440 + 24 + 1))
    assert (found.partitions, found.rows) == (2, 66 * 1440)
    assert left(settings) == []


def test_what_was_loaded_since_is_newer(settings, drilled):
    rows = candles()
    publish(settings.root, rows.with_columns(rows["close"] + 0.25))
    publish(settings.root, candles(instrument="ETH-PERPETUAL"))
    bring(settings)
    found = drilled()

    assert found.faults == ()
    assert found.months == 0
    assert sum(one.startswith(f"{TABLE} 2024-12: loaded since, from 44,640") for one in found.newer)
    assert any("ETH-PERPETUAL 2025: came after the backup" in one for one in found.newer)


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE {TABLE} SET volume = 0.75 WHERE timestamp = '2024-12-24 12:00+00'",
        f"DELETE FROM {TABLE} WHERE timestamp = '2024-12-24 12:00+00'",
        f"INSERT INTO {TABLE} VALUES ('2024-12-24 12:00+00', 'X', 1, 1, 1, 1, 1, 1)",
    ],
)
def test_a_row_that_nobody_loaded_is_a_fault(settings, drilled, change):
    alter(settings, change)
    found = drilled()

    assert found.newer == ()
    (fault,) = found.faults
    assert fault.startswith(f"{TABLE} 2024-12: expected 44,640 rows, checksum ")
    assert fault.endswith("the books say nothing was loaded since")
    assert (found.exit_code, found.months) == (1, 11)


def test_a_table_and_a_view_that_are_lost_are_faults(settings, drilled):
    alter(
        settings, "DROP VIEW options_1h; DROP TABLE public.funding_rates; CREATE TABLE mine (a int)"
    )
    found = drilled()

    assert found.faults == (
        "table public.funding_rates: the database has lost it",
        "view public.options_1h: the database has lost it",
    )
    assert found.newer == ("table public.mine: made since",)


def test_a_table_of_somebody_else_s_that_changed_is_no_fault(settings, environment, drilled):
    alter(settings, "CREATE TABLE mine (a int)")
    lake = open_lake(settings.root)
    run(lake, repository_of(settings, environment), lambda path: dump(settings.dsn, path))
    alter(settings, "INSERT INTO mine VALUES (1)")
    assert drilled().faults == ()


def test_a_backup_without_the_database_is_an_error(settings, environment, drilled):
    run(open_lake(settings.root), repository_of(settings, environment))
    with pytest.raises(BackupError, match="holds no database: run `deribit-lake backup run`"):
        drilled()


def test_a_dump_that_cannot_be_restored_is_a_fault_and_the_lake_is_compared(
    settings, environment, drilled
):
    def bad(path):
        dump(settings.dsn, path)
        path.write_bytes(path.read_bytes()[:-1])

    run(open_lake(settings.root), repository_of(settings, environment), bad)
    found = drilled()

    assert found.partitions == 2
    assert found.months is None
    assert len(found.faults) == 1
    assert "is not the dump its manifest speaks of" in found.faults[0]
    assert left(settings) == []


def test_another_server_may_hold_the_drill_s_database(settings, environment):
    with maintaining(settings.dsn, "nothing") as server:
        create(server, f"{PREFIX}20010101000000", "UTF8", "left by a drill that was killed")
    kept = settings.backup.model_copy(update={"drill_dsn": settings.dsn})
    there = settings.model_copy(update={"backup": kept})
    found = drill(there, repository_of(settings, environment), LogProgress())

    assert (found.faults, found.months) == ((), 12)
    assert left(settings) == []


def test_two_drills_on_one_server_are_one_too_many(settings, drilled):
    with (
        maintaining(settings.dsn, PREFIX),
        pytest.raises(DumpError, match="another restore into database deribit_lake_drill_"),
    ):
        drilled()


def test_room_is_wanted_for_the_database_too(settings):
    with connect(settings) as connection:
        ((size,),) = fetch(connection, "SELECT pg_database_size(current_database())")
        ((name,),) = fetch(connection, "SELECT current_database()::text")
    assert identifier(name)
    check_room(settings, settings.root, 1000, has_database=True)
    free = os.statvfs(settings.root).f_bavail * os.statvfs(settings.root).f_frsize
    with pytest.raises(DiskFullError):
        check_room(settings, settings.root, free - size // 2, has_database=True)


def start(settings, environment):
    given = environment | {
        "DERIBIT_LAKE_ROOT": str(settings.root),
        "DERIBIT_LAKE_DSN": settings.dsn,
        "DERIBIT_LAKE_LOG_DIR": str(settings.log_dir),
        "DERIBIT_LAKE_BACKUP__REPOSITORY": settings.backup.repository,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "backup", "verify"],
        cwd=ROOT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_database(settings, process):
    while process.poll() is None and not left(settings):
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_drill_ended_at_any_moment_leaves_what_lives_and_the_next_cleans_up(
    settings, environment, number
):
    moments = random.Random(8)  # noqa: S311  (moments, not secrets)
    folder = settings.root / "backup" / "drill"
    cleaned = 0
    for _ in range(4):
        process = start(settings, environment)
        wait_for_database(settings, process)
        time.sleep(moments.uniform(0, 2.5))
        process.send_signal(number)
        _, error = process.communicate()
        assert "Traceback" not in error
        cleaned += not folder.exists() and not left(settings)
    process = start(settings, environment)
    told, error = process.communicate()

    assert process.returncode == 0, told + error
    assert f"database: 12 months with {66 * 1465:,} rows are the same" in told
    assert not folder.exists()
    assert left(settings) == []
    if number == signal.SIGTERM:
        assert cleaned >= 3
    with connect(settings) as connection:
        sql = f"SELECT count(*) FROM {TABLE} WHERE instrument = '{BTC}'"
        assert fetch(connection, sql) == [(66 * 1440,)]
