"""Micro-batches beside loads, other writers and migrations, and on a server that fails."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from etl.config import Settings
from etl.database import migrate
from etl.database.connection import connect, execute_script, fetch, transaction
from etl.database.live import LiveWriter, Sent
from etl.database.locks import take_turn
from etl.database.server import down, up
from etl.database.verify import Comparison, compare
from etl.errors import DatabaseError, SchemaError, UnreachableError
from lake.arrow import arrow
from lake.paths import Lake
from tests.database.conftest import GIVEN
from tests.database.test_bars import uneven
from tests.database.test_live import BTC, CANDLES, ETH, assert_same, bars_of_minutes, dump
from tests.database.test_load import bring, publish, run
from tests.database.test_locks import wait_for_a_waiter
from tests.database.test_server import folder_of_a_server

START, END = datetime(2025, 1, 31, 20, tzinfo=UTC), datetime(2025, 2, 1, 4, tzinfo=UTC)
MINUTE, BOTH = timedelta(minutes=1), (BTC, ETH)
SEEDS = int(os.environ.get("DERIBIT_LAKE_TEST_MOMENTS", "3"))
COUNT = "SELECT count(*) FROM perpetuals_ohlcv"
WRITTEN = f"{COUNT} UNION ALL SELECT count(*) FROM reference.load_ledger"
ASLEEP = """
CREATE FUNCTION asleep() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(30); RETURN new; END';
CREATE TRIGGER asleep BEFORE INSERT ON perpetuals_ohlcv FOR EACH ROW EXECUTE FUNCTION asleep()
"""


@pytest.fixture
def settings(database, tmp_path):
    return database.model_copy(update={"root": tmp_path / "lake"})


@pytest.fixture
def writer(settings):
    with LiveWriter(settings) as made:
        yield made


def minutes(first, count, names=BOTH):
    """Return candles of some minutes after the start, the same whenever they are asked for."""
    wanted = pl.col("timestamp").is_between(
        START + first * MINUTE, START + (first + count) * MINUTE, closed="left"
    )
    return arrow(pl.concat(uneven(START, END, name).filter(wanted) for name in names))


def until_sent(writer, rows):
    """Send rows again for as long as others are in the way."""
    while (done := writer.send(CANDLES, rows)).is_busy:
        pass
    return done


@pytest.mark.parametrize("lock", ["turn", "migration"])
def test_a_batch_that_cannot_have_its_turn_is_busy_and_goes_in_afterwards(settings, writer, lock):
    with connect(settings) as other:
        with transaction(other):
            if lock == "turn":
                take_turn(other)
            else:
                fetch(other, f"SELECT pg_advisory_xact_lock({migrate.LOCK})")
            started = time.monotonic()
            assert writer.send(CANDLES, minutes(0, 5)) == Sent(is_busy=True)
            assert time.monotonic() - started < 3
        assert run(settings, COUNT) == [(0,)]
        assert writer.send(CANDLES, minutes(0, 5)).inserted == 10


def test_a_batch_waits_for_nobody_who_keeps_writers_of_its_table_out(settings, writer):
    with connect(settings) as other:
        execute_script(other, "LOCK TABLE reference.perpetuals_1d IN EXCLUSIVE MODE")
        assert writer.send(CANDLES, minutes(0, 5)) == Sent(is_busy=True)
    assert writer.send(CANDLES, minutes(0, 5)).inserted == 10


def test_two_writers_of_the_same_rows_end_with_each_of_them_once(settings, tmp_path):
    def work(seed):
        moments = random.Random(seed)  # noqa: S311  (moments, not secrets)
        firsts = list(range(0, 120, 10))
        moments.shuffle(firsts)
        with LiveWriter(settings) as writer:
            return sum(until_sent(writer, minutes(first, 10)).inserted for first in firsts)

    with ThreadPoolExecutor(2) as pool:
        inserted = sum(pool.map(work, [1, 2]))

    assert (inserted, run(settings, COUNT)) == (240, [(240,)])
    bars_of_minutes(settings, tmp_path)


def test_loads_beside_a_writer_lose_no_row_and_neither_waits_for_the_other_for_ever(
    settings, tmp_path
):
    publish(settings.root, uneven(START, START + 30 * MINUTE))

    def write():
        with LiveWriter(settings) as writer:
            for first in range(0, 360, 4):
                until_sent(writer, minutes(first, 4))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        for turn in range(1, 200):
            if writing.done():
                break
            publish(settings.root, uneven(START, START + (30 + turn) * MINUTE))
            bring(settings)
        writing.result()
    bring(settings)

    assert turn > 3
    assert run(settings, COUNT) == [(2 * 360,)]
    assert compare(settings, Lake(settings.root)).differences == []
    bars_of_minutes(settings, tmp_path)


def test_what_is_compared_while_a_writer_writes_is_of_one_moment(settings):
    publish(settings.root, uneven(START, START + 30 * MINUTE, BTC))
    bring(settings)
    counts = []

    def write():
        with LiveWriter(settings) as writer:
            for first in range(30, 480, 6):
                until_sent(writer, minutes(first, 6, [BTC]))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            found = compare(settings, Lake(settings.root), [CANDLES])
            assert found.differences == []
            counts.append(found.live.get("perpetuals_ohlcv", 0))
        writing.result()
    assert counts == sorted(counts)
    assert len(set(counts)) > 3


def test_a_server_process_that_ends_in_mid_batch_leaves_nothing_and_the_next_batch_is_whole(
    settings, writer
):
    writer.send(CANDLES, minutes(0, 5))
    ((rows,), (lines,)) = run(settings, WRITTEN)
    with connect(settings) as other, ThreadPoolExecutor(1) as pool:
        execute_script(other, "LOCK TABLE reference.load_ledger IN EXCLUSIVE MODE")
        sending = pool.submit(writer.send, CANDLES, minutes(5, 5))
        wait_for_a_waiter(settings)
        fetch(other, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        with pytest.raises(UnreachableError):
            sending.result()
    assert run(settings, WRITTEN) == [(rows,), (lines,)]

    assert writer.send(CANDLES, minutes(5, 5)).inserted == 10


@pytest.mark.skipif(GIVEN in os.environ, reason="stops a server: needs one of its own")
def test_a_server_that_stops_is_an_error_and_the_writer_finds_it_when_it_is_back(programs):  # noqa: ARG001
    with folder_of_a_server() as folder:
        settings = Settings(dsn=up(folder, durable=False).dsn)
        with connect(settings) as connection:
            migrate.init(connection)
        with LiveWriter(settings) as writer:
            writer.send(CANDLES, minutes(0, 5))
            down(folder)
            for _ in range(2):
                started = time.monotonic()
                with pytest.raises(UnreachableError):
                    writer.send(CANDLES, minutes(5, 5))
                assert time.monotonic() - started < 4
            up(folder, durable=False)
            assert writer.send(CANDLES, minutes(0, 10)).inserted == 10


def test_a_read_only_database_refuses_and_takes_rows_when_it_no_longer_is(settings, execute):
    name = run(settings, "SELECT current_database()::text")[0][0]
    execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with LiveWriter(settings) as writer:
        with pytest.raises(DatabaseError, match="in a read-only transaction"):
            writer.send(CANDLES, minutes(0, 5))
        execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert writer.send(CANDLES, minutes(0, 5)).inserted == 10


def test_a_database_that_is_migrated_under_a_writer_is_refused(settings, writer, execute):
    writer.send(CANDLES, minutes(0, 5))
    execute("INSERT INTO reference.schema_version VALUES (9999, 'later')", settings)
    for _ in range(2):
        with pytest.raises(SchemaError, match="schema is version 9999"):
            writer.send(CANDLES, minutes(5, 5))
    assert run(settings, COUNT) == [(10,)]

    execute("DELETE FROM reference.schema_version WHERE version = 9999", settings)
    assert writer.send(CANDLES, minutes(5, 5)).inserted == 10


def test_a_statement_that_takes_too_long_is_an_error_and_nothing_of_it_stays(settings, execute):
    execute(ASLEEP, settings)
    with LiveWriter(settings, seconds=1) as writer:
        with pytest.raises(DatabaseError, match="statement timeout"):
            writer.send(CANDLES, minutes(0, 5))
        execute("DROP TRIGGER asleep ON perpetuals_ohlcv", settings)
        assert run(settings, WRITTEN) == [(0,), (0,)]
        assert writer.send(CANDLES, minutes(0, 5)).inserted == 10


def test_a_migration_waits_for_a_batch_and_both_go_through(settings, writer):
    with connect(settings) as other, ThreadPoolExecutor(2) as pool:
        execute_script(other, "LOCK TABLE reference.load_ledger IN EXCLUSIVE MODE")
        sending = pool.submit(until_sent, writer, minutes(0, 5))
        wait_for_a_waiter(settings)

        def bring_up():
            with connect(settings) as connection:
                return migrate.migrate(connection)

        migrating = pool.submit(bring_up)
        other.rollback()
        assert sending.result().inserted == 10
        assert migrating.result() == []


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_was_sent_and_loaded_the_last_load_ends_as_one_into_an_empty_database(
    settings, writer, tmp_path, seed
):
    chance = random.Random(seed)  # noqa: S311  (moments, not secrets)
    reached = dict.fromkeys(BOTH, 0)
    for turn in range(12):
        name, word = chance.choice(BOTH), chance.choice(["send", "send", "load", "full", "reload"])
        if word == "send":
            first = chance.randrange(reached[name], 470)
            rows = pl.DataFrame(minutes(first, chance.choice([1, 10]), [name]))
            shift = chance.choice([0.0, 0.0, 0.25])
            writer.send(CANDLES, arrow(rows.with_columns(pl.col("close") + shift)))
        else:
            reached[name] = chance.randrange(reached[name], 470)
            publish(settings.root, uneven(START, START + reached[name] * MINUTE, name))
            bring(settings, full=word == "full", anew=word == "reload")
            assert compare(settings, Lake(settings.root)).differences == []
        if run(settings, COUNT) != [(0,)]:
            bars_of_minutes(settings, tmp_path / str(turn))
    for name in BOTH:
        publish(settings.root, uneven(START, END, name))
    bring(settings)
    after = dump(settings)
    bring(settings, anew=True)

    assert_same(after, dump(settings))
    assert compare(settings, Lake(settings.root)) == Comparison(2 * 480, [], {})
