from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from etl.database import migrate
from etl.database.connection import (
    connect,
    database_errors,
    execute_script,
    fetch,
    transaction,
)
from etl.database.load import load
from etl.database.schema import check_schema, server_facts
from etl.database.tables import hypertables, listed
from etl.database.verify import verify_database
from etl.errors import DatabaseError
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.paths import Lake
from tests.database.test_load import candles, changed, publish
from validators.table import facts_of

TABLE = "public.perpetuals_ohlcv"
POLICIES = """
    SELECT hypertable_name::text, config->>'compress_after' FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_compression' ORDER BY 1"""
STARTS = """
    SELECT count(DISTINCT initial_start), count(*) FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_compression'"""
SETTINGS = """
    SELECT c.relname::text, segmentby, replace(orderby, '"', '')
    FROM timescaledb_information.hypertable_compression_settings
    JOIN pg_class c ON c.oid = hypertable
    WHERE c.relnamespace::regnamespace::text IN ('public', 'reference') ORDER BY 1"""
AGGREGATE = """
    CREATE MATERIALIZED VIEW public.perpetuals_1h
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(INTERVAL '1 hour', timestamp) AS timestamp, instrument,
        first(open, timestamp) AS open, max(high) AS high, min(low) AS low,
        last(close, timestamp) AS close, sum(volume) AS volume, sum(cost) AS cost,
        count(*) AS minutes
    FROM public.perpetuals_ohlcv GROUP BY 1, 2 WITH NO DATA"""
OPTIONS_BY_INSTRUMENT = """
    ALTER TABLE public.{} SET (timescaledb.compress,
        timescaledb.compress_segmentby = 'instrument',
        timescaledb.compress_orderby = 'timestamp')"""
COMPRESSED = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed"
START, DAY, END = (datetime(2024, 12, day, tzinfo=UTC) for day in (5, 6, 8))


def on_chunks(settings, function, table=TABLE):
    """Compress all chunks of a hypertable, as the policy does, or decompress them."""
    return ask(settings, f"SELECT count({function}(chunk)) FROM show_chunks('{table}') AS chunk")


def ask(settings, sql):
    with database_errors(), connect(settings) as connection, transaction(connection):
        return fetch(connection, sql)


def append(settings, rows):
    with database_errors(), connect(settings) as connection, transaction(connection):
        cursor = connection.cursor()
        cursor.adbc_ingest("perpetuals_ohlcv", arrow(rows), mode="append")


def held(settings):
    return ask(settings, f"SELECT * FROM {TABLE} ORDER BY instrument, timestamp")


@pytest.fixture
def loaded(community, tmp_path):
    """Return settings of a lake and a database that holds it, its chunks compressed."""
    settings = community.model_copy(update={"root": tmp_path / "lake"})
    bring(settings, candles(START, END))
    on_chunks(settings, "compress_chunk")
    return settings


def as_user(settings, name):
    """Return the settings of one of our groups: its rights, no password."""
    return settings.model_copy(update={"dsn": settings.dsn.replace("postgres@", f"{name}@")})


def bring(settings, rows):
    publish(settings.root, rows)
    return load(settings, Lake(settings.root), LogProgress())


def is_as_the_lake(settings):
    rows, differences = verify_database(settings, Lake(settings.root))
    return rows > 0 and differences == []


def test_the_server_has_the_community_code(empty_community):
    with connect(empty_community) as connection:
        migrate.init(connection)
        assert server_facts(connection).edition == "timescale"
        check_schema(connection)


def test_a_second_init_changes_nothing(community):
    with connect(community) as connection:
        assert migrate.init(connection) == []


def test_every_hypertable_has_one_policy_with_a_time_of_its_own(community):
    assert ask(community, POLICIES) == [(name, "60 days") for name in sorted(hypertables())]
    assert ask(community, STARTS) == [(len(hypertables()), len(hypertables()))]


def test_every_hypertable_is_compressed_as_its_model_says(community):
    facts = [facts_of(model) for model in listed() if facts_of(model).chunk]
    assert ask(community, SETTINGS) == sorted(
        (one.name, one.segmentby, ",".join(one.orderby)) for one in facts
    )


def test_settings_a_user_has_chosen_stay(community):
    with connect(community) as connection:
        execute_script(connection, OPTIONS_BY_INSTRUMENT.format("options_greeks"))
        connection.commit()
        assert migrate.migrate(connection) == []
    assert ("options_greeks", "instrument", "timestamp") in ask(community, SETTINGS)


def test_continuous_aggregates_of_version_2_give_way_to_tables(empty_community, tmp_path):
    settings = empty_community.model_copy(update={"root": tmp_path / "lake"})
    with connect(settings) as connection:
        for name in ("0001_schema.sql", "0002_reference_series.sql"):
            execute_script(connection, (migrate.MIGRATIONS / name).read_text())
            version = "INSERT INTO reference.schema_version VALUES ({}, '{}') RETURNING 1"
            fetch(connection, version.format(int(name[:4]), name))
        for name in ("options_ohlcv", "options_greeks"):
            execute_script(connection, OPTIONS_BY_INSTRUMENT.format(name))
        execute_script(connection, AGGREGATE)
        connection.commit()
    append(settings, candles(START, END))
    with connect(settings) as connection:
        migrate.migrate(connection)
    bring(settings, candles(START, END))

    assert ask(settings, "SELECT count(*) FROM perpetuals_1h") == [(3 * 24,)]
    assert is_as_the_lake(settings)
    assert ("options_greeks", "underlying", "instrument,timestamp") in ask(settings, SETTINGS)


def test_rows_come_back_from_a_compressed_chunk_as_they_were(loaded):
    compressed = held(loaded)
    assert ask(loaded, COMPRESSED) == [(1,)]
    on_chunks(loaded, "decompress_chunk")
    assert ask(loaded, COMPRESSED) == [(0,)]
    assert held(loaded) == compressed


def test_the_key_holds_in_a_compressed_chunk(loaded):
    with pytest.raises(DatabaseError, match="duplicate key"):
        append(loaded, candles(START, END).tail(1))


def test_a_load_that_changes_nothing_leaves_chunks_compressed(loaded):
    assert bring(loaded, candles(START, END)).months_loaded == 0
    assert ask(loaded, COMPRESSED) == [(1,)]


def test_a_revision_reaches_rows_of_a_compressed_chunk(loaded):
    done = bring(loaded, changed(candles(START, END), DAY.date(), close=60_000.5))
    assert (done.inserted, done.updated, done.deleted) == (0, 1440, 0)
    assert is_as_the_lake(loaded)


def test_rows_that_are_gone_leave_a_compressed_chunk(loaded):
    done = bring(loaded, candles(START, END).filter(pl.col("timestamp") >= DAY))
    assert (done.inserted, done.updated, done.deleted) == (0, 0, 1440)
    assert is_as_the_lake(loaded)


def test_rows_that_were_missing_reach_a_compressed_chunk(loaded):
    done = bring(loaded, candles(START, END + timedelta(hours=1)))
    assert (done.inserted, done.updated, done.deleted) == (60, 0, 0)
    assert is_as_the_lake(loaded)


def test_another_instrument_is_appended_to_a_compressed_chunk(loaded):
    done = bring(loaded, candles(START, END, "ETH-PERPETUAL"))
    assert (done.inserted, done.updated, done.deleted) == (4320, 0, 0)
    assert is_as_the_lake(loaded)


def test_a_loader_has_the_rights_to_revise_a_compressed_chunk(loaded):
    loader = as_user(loaded, "deribit_loader")
    done = bring(loader, changed(candles(START, END), DAY.date(), close=60_000.5))
    assert done.updated == 1440
    assert is_as_the_lake(as_user(loaded, "deribit_reader"))


def test_a_reader_does_not_write(loaded):
    with pytest.raises(DatabaseError, match="permission denied"):
        ask(as_user(loaded, "deribit_reader"), f"DELETE FROM {TABLE} RETURNING 1")
