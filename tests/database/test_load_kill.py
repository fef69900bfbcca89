"""kill -9 of the loader, or of the server's process that serves it, never leaves half a month.

On a server of our own its process is killed too; on that of DERIBIT_LAKE_TEST_DSN it is ended by
``pg_terminate_backend``. There, DERIBIT_LAKE_TEST_MOMENTS says how often, for a longer run.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from etl.database.connection import connect, fetch
from etl.database.schema import check_schema
from etl.database.verify import verify_database
from etl.errors import UnreachableError
from lake.paths import Lake
from tests.acceptance.command import ROOT
from tests.database.test_load import BTC, END, START, candles, publish

MOMENTS = int(os.environ.get("DERIBIT_LAKE_TEST_MOMENTS", "10"))
LOADERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1684370025"
pytestmark = pytest.mark.slow


@pytest.fixture
def filled(database, tmp_path):
    for instrument in (BTC, "ETH-PERPETUAL", "SOL-PERPETUAL", "XRP-PERPETUAL"):
        publish(tmp_path / "lake", candles(instrument=instrument))
    return database.model_copy(update={"root": tmp_path / "lake", "log_dir": tmp_path / "logs"})


def start(settings, command="load"):
    given = {"ROOT": settings.root, "DSN": settings.dsn, "LOG_DIR": settings.log_dir}
    environment = {f"DERIBIT_LAKE_{name}": str(value) for name, value in given.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_loader(settings, process):
    """Return the server process that serves the loader, None if the loader has ended."""
    while process.poll() is None:
        with connect(settings, autocommit=True) as connection:
            if found := fetch(connection, LOADERS):
                return found[0][0]
        time.sleep(0.005)
    return None


def assert_whole_months_only(settings):
    """Every month is as the ledger says, has its bars, and lies in a table with its key."""
    with connect(settings, autocommit=True) as connection:
        check_schema(connection)
        months, days = (
            fetch(
                connection,
                f"SELECT instrument, date_trunc('month', timestamp)::date, {count}"
                f" FROM {table} GROUP BY 1, 2 ORDER BY 1, 2",
            )
            for table, count in [
                ("perpetuals_ohlcv", "count(*)"),
                ("perpetuals_1d", "sum(minutes)::bigint"),
            ]
        )
        told = fetch(
            connection,
            "SELECT instrument, month, rows FROM reference.load_ledger"
            " WHERE dataset = 'perpetuals_ohlcv' ORDER BY 1, 2",
        )
    assert months == told == days


def revise(settings, turn):
    """Change the lake, so that every turn has something to load."""
    for instrument in (BTC, "ETH-PERPETUAL", "SOL-PERPETUAL", "XRP-PERPETUAL"):
        rows = candles(START, END, instrument)
        publish(settings.root, rows.with_columns(rows["close"] + 0.001 * turn))


@pytest.mark.parametrize("command", ["load", "reload"])
def test_a_loader_killed_at_any_moment_leaves_whole_months_and_the_next_completes(filled, command):
    moments = random.Random(4)  # noqa: S311  (moments, not secrets)
    for turn in range(MOMENTS):
        revise(filled, turn)
        process = start(filled, command)
        wait_for_loader(filled, process)
        time.sleep(moments.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert_whole_months_only(filled)

    assert finished(filled) == 0
    assert verify_database(filled, Lake(filled.root))[1] == []


@pytest.mark.parametrize("command", ["load", "reload"])
def test_a_server_process_killed_at_any_moment_leaves_whole_months(filled, command):
    moments = random.Random(5)  # noqa: S311  (moments, not secrets)
    lost = 0
    for turn in range(MOMENTS):
        revise(filled, turn)
        process = start(filled, command)
        backend = wait_for_loader(filled, process)
        time.sleep(moments.uniform(0, 0.8))
        if backend is not None and process.poll() is None:
            end(filled, backend)
        _, error = process.communicate()
        lost += process.returncode == 1
        assert "Traceback" not in error
        assert "Failed to" not in error
        wait_for_server(filled)
        assert_whole_months_only(filled)

    assert lost > MOMENTS / 2
    assert finished(filled) == 0
    assert verify_database(filled, Lake(filled.root))[1] == []


def end(settings, backend):
    """Kill a process of our own server; ask somebody else's to end it."""
    if not os.environ.get("DERIBIT_LAKE_TEST_DSN"):
        os.kill(backend, signal.SIGKILL)
        return
    with connect(settings, autocommit=True) as connection:
        fetch(connection, f"SELECT pg_terminate_backend({backend})")


def finished(settings):
    process = start(settings)
    process.communicate()
    return process.returncode


def wait_for_server(settings):
    """Wait until the server has recovered from the crash of one of its processes."""
    for _ in range(200):
        try:
            with connect(settings):
                return
        except UnreachableError:
            time.sleep(0.05)
    pytest.fail("the server did not come back")
