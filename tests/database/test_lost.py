"""A lost connection names its cause, in every command that talks to the database."""

import subprocess
import threading
import time
from datetime import timedelta

import pyarrow as pa
import pytest

from etl.database.connection import (
    connect,
    database_errors,
    execute_script,
    fetch,
    transaction,
)
from etl.database.load import load
from etl.errors import DatabaseError, LoadError, UnreachableError
from etl.progress import LogProgress
from lake.paths import Lake
from tests.acceptance.command import ROOT, Product
from tests.database.test_load import START, candles, publish

TERMINATED = (
    "the connection to the database was lost: terminating connection due to administrator command"
)
BROKEN = "the connection to the database was lost: server closed the connection unexpectedly"
MANY = "SELECT i, repeat('x', 9000) FROM generate_series(1, 200000) AS i"
WAITING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND application_name = 'deribit-lake' AND pid <> pg_backend_pid()"""


@pytest.fixture
def lost(database, execute):
    """Return a function that ends the backend of a connection in mid-transaction."""

    def run(work, *, first=None):
        with database_errors(), connect(database) as connection, transaction(connection):
            pid = fetch(connection, "SELECT pg_backend_pid()")[0][0]
            end = f"SELECT pg_terminate_backend({pid})"
            if first is None:
                execute(end)
                work(connection)
            else:
                timer = threading.Timer(first, execute, (end,))
                timer.start()
                try:
                    work(connection)
                finally:
                    timer.join()

    return run


def ingest(connection):
    with connection.cursor() as cursor:
        cursor.adbc_ingest("staged", pa.table({"x": [1]}), mode="create", temporary=True)


@pytest.mark.parametrize(
    "work",
    [
        lambda connection: fetch(connection, "SELECT 1"),
        lambda connection: connection.cursor().execute("SELECT $1::int", (1,)),
        lambda connection: execute_script(connection, "SELECT 'connection'; SELECT 2"),
        ingest,
        lambda connection: connection.commit(),
        lambda connection: connection.rollback(),
        lambda _: None,
    ],
    ids=["query", "parameters", "script", "ingest", "commit", "rollback", "nothing"],
)
def test_a_backend_ended_between_two_statements_names_its_cause(lost, work):
    with pytest.raises(UnreachableError) as caught:
        lost(work)
    assert str(caught.value) == TERMINATED


@pytest.mark.parametrize(
    "work",
    [
        lambda connection: fetch(connection, "SELECT pg_sleep(60)"),
        lambda connection: execute_script(connection, "SELECT 1; SELECT pg_sleep(60)"),
    ],
    ids=["query", "script"],
)
def test_a_backend_ended_during_a_statement_names_its_cause(lost, work):
    with pytest.raises(UnreachableError) as caught:
        lost(work, first=0.5)
    assert str(caught.value) == TERMINATED


def send_much(connection):
    rows = pa.table({"x": pa.array(range(3_000_000), pa.int64())})
    with connection.cursor() as cursor:
        while True:
            cursor.adbc_ingest("staged", rows, mode="create_append", temporary=True)


@pytest.mark.parametrize(
    "work", [send_much, lambda connection: fetch(connection, MANY)], ids=["sent", "received"]
)
def test_a_backend_ended_while_rows_are_on_their_way_is_a_lost_connection(lost, work):
    with pytest.raises(UnreachableError) as caught:
        lost(work, first=0.5)
    assert str(caught.value) in {TERMINATED, BROKEN}


def test_an_answer_that_breaks_off_between_two_batches_is_a_lost_connection(database, execute):
    with connect(database) as connection, connection.cursor() as cursor:
        pid = fetch(connection, "SELECT pg_backend_pid()")[0][0]
        cursor.execute(MANY)
        batches = cursor.fetch_record_batch()
        next(batches)
        execute(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(UnreachableError) as caught, database_errors():
            list(batches)
    assert str(caught.value) in {TERMINATED, BROKEN}


def test_a_query_refused_in_the_middle_of_its_answer_says_why(database):
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 / (2500000 - i) FROM generate_series(1, 3000000) AS i")
        with pytest.raises(DatabaseError) as caught, database_errors():
            list(cursor.fetch_record_batch())
    assert str(caught.value) == "the database refused: division by zero"


def test_an_error_of_the_disk_is_left_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), database_errors():
        (tmp_path / "none").read_bytes()


def test_a_statement_that_was_cancelled_is_no_lost_connection(database):
    with (
        pytest.raises(DatabaseError) as caught,
        database_errors(),
        connect(database) as connection,
        transaction(connection),
    ):
        execute_script(connection, "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(60)")
    assert str(caught.value).startswith("the database refused: canceling statement due to")


def test_an_error_of_our_own_is_not_hidden_by_a_rollback_that_fails(lost):
    def refuse(_):
        message = "the first error"
        raise LoadError(message)

    with pytest.raises(LoadError, match="the first error") as caught:
        lost(refuse)
    assert "terminating connection" in caught.value.__notes__[0]


@pytest.fixture
def filled(database, tmp_path):
    """Return the command line on a lake with candles, of which the database has one instrument."""
    root, some_days = tmp_path / "lake", (START, START + timedelta(days=3))
    publish(root, candles(*some_days))
    load(database, Lake(root), LogProgress())
    publish(root, candles(*some_days, instrument="ETH-PERPETUAL"))
    return Product(root, "http://127.0.0.1:9", (("DERIBIT_LAKE_DSN", database.dsn),))


COMMANDS = {
    ("load",): "public.perpetuals_ohlcv",
    ("reload",): "public.perpetuals_ohlcv",
    ("verify-db",): "public.perpetuals_ohlcv",
    ("quality", "--from", "db"): "public.perpetuals_ohlcv",
    ("db", "init"): "reference.schema_version",
    ("db", "migrate"): "reference.schema_version",
    ("db", "status"): "reference.schema_version",
    ("backfill", "perpetuals", "--load"): "reference.schema_version",
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_whose_backend_is_ended_says_why_in_one_line(filled, database, words):
    with connect(database) as blocker:
        execute_script(blocker, f"LOCK TABLE {COMMANDS[words]} IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            filled.command(*words),
            cwd=ROOT,
            env=filled.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        end_waiting(database, process)
        blocker.rollback()
        told = process.communicate()[1].splitlines()
    assert (process.returncode, told[-1:]) == (1, [f"error: {TERMINATED}"])
    assert [line for line in told if "error" in line.lower()] == told[-1:]


def end_waiting(settings, process):
    """End the backend of a command as soon as it waits for a lock."""
    while process.poll() is None:
        with connect(settings, autocommit=True) as connection:
            if fetch(connection, WAITING):
                return
        time.sleep(0.02)
