import subprocess

import pyarrow as pa
import pytest

from etl.database import migrate
from etl.database.connection import connect, database_errors, execute_script, fetch, psql_call
from etl.database.schema import check_schema, latest_version
from etl.database.tables import SQL, hypertables, tables
from etl.errors import DatabaseError, SchemaError

CATALOG = {
    "columns": """
        SELECT table_schema::text, table_name::text, column_name::text, ordinal_position::int,
               data_type::text, is_nullable::text, collation_name::text, column_default::text
        FROM information_schema.columns WHERE table_schema IN ('public', 'reference')""",
    "indexes": """
        SELECT indexname::text, indexdef FROM pg_indexes
        WHERE schemaname IN ('public', 'reference')""",
    "constraints": """
        SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace::regnamespace::text IN ('public', 'reference')""",
    "comments": """
        SELECT c.relname::text, d.objsubid, d.description
        FROM pg_description d
        JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
        WHERE c.relnamespace::regnamespace::text IN ('public', 'reference')""",
    "schemas": "SELECT obj_description('reference'::regnamespace)",
    "hypertables": """
        SELECT hypertable_name::text, column_name::text, time_interval::text
        FROM timescaledb_information.dimensions""",
    "versions": "SELECT version, name FROM reference.schema_version",
}


def catalog(settings):
    with connect(settings) as connection:
        return {what: sorted(fetch(connection, sql), key=str) for what, sql in CATALOG.items()}


def psql(settings, *options):
    program, words, environment = psql_call(settings)
    command = [program, *words[1:], "-q", "-v", "ON_ERROR_STOP=1", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.fixture
def later(tmp_path):
    """Return a folder of migrations with one more than there is, and a way to write it."""

    def write(sql):
        for path in migrate.MIGRATIONS.glob("*.sql"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        number = latest_version() + 1
        (tmp_path / f"{number:04}_later.sql").write_text(sql)
        return tmp_path

    return write


@pytest.fixture
def member(database):
    """Return a function that opens a connection with the rights of one of our groups."""

    def connected(group):
        connection = connect(database)
        execute_script(connection, f"SET ROLE {group}")
        return connection

    return connected


def candle(instrument="BTC-PERPETUAL"):
    price = pa.array([60_000.0])
    time = pa.array([1_704_067_200_000_000], pa.timestamp("us", "UTC"))
    names = ["timestamp", "instrument", "open", "high", "low", "close", "volume", "cost"]
    return pa.table([time, pa.array([instrument]), *[price] * 6], names=names)


def test_schema_sql_is_the_sum_of_the_migrations(empty_database, database):
    for name in ("schema.sql", "resampled.sql", "policies.sql", "roles.sql"):
        psql(empty_database, "-1", "-f", SQL / name)
    assert catalog(empty_database) == catalog(database)


def test_schema_sql_by_psql_passes_the_check_and_changes_nothing_the_second_time(empty_database):
    psql(empty_database, "-f", SQL / "schema.sql")
    first = catalog(empty_database)
    psql(empty_database, "-f", SQL / "schema.sql")

    assert catalog(empty_database) == first
    with connect(empty_database) as connection:
        check_schema(connection)


def test_schema_sql_is_refused_by_a_database_of_another_version(database, execute):
    execute("UPDATE reference.schema_version SET version = version + 5", database)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        psql(database, "-f", SQL / "schema.sql")
    assert "the schema is at version 9, this file is version 4" in caught.value.stderr


def test_a_second_init_changes_nothing(empty_database):
    with connect(empty_database) as connection:
        assert migrate.init(connection) == [
            "applied 0001_schema.sql",
            "applied 0002_reference_series.sql",
            "applied 0003_bars.sql",
            "applied 0004_option_volatility.sql",
            "applied resampled.sql, policies.sql, roles.sql",
        ]
        first = catalog(empty_database)
        assert migrate.init(connection) == []
    assert catalog(empty_database) == first


def test_init_leaves_rows_as_they_are(database):
    with connect(database) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("perpetuals_ohlcv", candle(), mode="append")
        connection.commit()
        migrate.init(connection)
        assert fetch(connection, "SELECT count(*) FROM perpetuals_ohlcv") == [(1,)]


def test_a_migration_is_applied_once(database, later):
    folder = later("ALTER TABLE funding_rates ADD COLUMN note text; SELECT 1;")
    with connect(database) as connection:
        assert migrate.migrate(connection, folder) == ["applied 0005_later.sql"]
        assert migrate.migrate(connection, folder) == []
        versions = fetch(connection, "SELECT version, name FROM reference.schema_version")
    assert versions[-1] == (5, "0005_later.sql")


def test_a_database_of_version_1_keeps_its_rows_and_gets_the_new_tables(
    empty_database, database, tmp_path
):
    (tmp_path / "0001_schema.sql").write_bytes(
        (migrate.MIGRATIONS / "0001_schema.sql").read_bytes()
    )
    with connect(empty_database) as connection:
        execute_script(connection, (tmp_path / "0001_schema.sql").read_text())
        fetch(
            connection,
            "INSERT INTO reference.schema_version VALUES (1, '0001_schema.sql') RETURNING 1",
        )
        with connection.cursor() as cursor:
            cursor.adbc_ingest("perpetuals_ohlcv", candle(), mode="append")
        connection.commit()
        with pytest.raises(SchemaError, match=r"is version 1, expected 4: run .*db migrate"):
            check_schema(connection)
        assert migrate.migrate(connection)[0] == "applied 0002_reference_series.sql"
        check_schema(connection)
        assert fetch(connection, "SELECT count(*) FROM perpetuals_ohlcv") == [(1,)]
    assert catalog(empty_database) == catalog(database)


def test_rows_that_are_not_ours_are_kept_and_what_is_advised_goes_on(empty_database, tmp_path):
    """Before version 4 nothing filled options_greeks: what is in it somebody else wrote."""
    for path in migrate.MIGRATIONS.glob("000[123]_*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with connect(empty_database) as connection:
        execute_script(connection, "CREATE EXTENSION IF NOT EXISTS timescaledb")
        for number, path in enumerate(sorted(tmp_path.glob("*.sql")), start=1):
            execute_script(connection, path.read_text())
            version = "INSERT INTO reference.schema_version VALUES"
            execute_script(connection, f"{version} ({number}, '{path.name}')")
        columns, values = "(timestamp, instrument, underlying, status)", "(now(), 'X', 'X', 'ok')"
        execute_script(connection, f"INSERT INTO public.options_greeks {columns} VALUES {values}")
        connection.commit()
        advice = "has rows that deribit-lake did not write: rename it"
        with pytest.raises(DatabaseError, match=advice), database_errors():
            migrate.migrate(connection)
        connection.rollback()
        execute_script(connection, "ALTER TABLE public.options_greeks RENAME TO their_greeks")
        assert migrate.migrate(connection)[0] == "applied 0004_option_volatility.sql"
        check_schema(connection)
        assert fetch(connection, "SELECT instrument FROM public.their_greeks") == [("X",)]


def test_a_new_table_is_readable_by_the_readers_after_a_migration(database, later):
    folder = later("CREATE TABLE reference.rates (x double precision)")
    with connect(database) as connection:
        assert migrate.migrate(connection, folder) == [
            "applied 0005_later.sql",
            "applied resampled.sql, policies.sql, roles.sql",
        ]
        right = "SELECT has_table_privilege('deribit_reader', 'reference.rates', 'SELECT')"
        assert fetch(connection, right) == [(True,)]


def test_a_migration_that_fails_leaves_nothing_behind(database, later):
    before = catalog(database)
    folder = later("ALTER TABLE funding_rates ADD COLUMN note text; SELECT 1 / 0;")
    with (
        pytest.raises(DatabaseError, match="division by zero"),
        database_errors(),
        connect(database) as connection,
    ):
        migrate.migrate(connection, folder)
    assert catalog(database) == before


def test_a_migration_that_others_build_on_says_who(database, later, execute):
    execute("CREATE VIEW mine AS SELECT * FROM perpetuals_1d", database)
    folder = later("DROP VIEW perpetuals_1d; SELECT 1;")
    with (
        connect(database) as connection,
        pytest.raises(DatabaseError, match="view mine depends on view perpetuals_1d"),
        database_errors(),
    ):
        migrate.migrate(connection, folder)


def test_migrate_needs_a_schema_to_start_from(empty_database):
    with connect(empty_database) as connection, pytest.raises(SchemaError, match=r"run .*db init"):
        migrate.migrate(connection)


def test_there_is_no_way_back(database, execute):
    execute("UPDATE reference.schema_version SET version = version + 5", database)
    with connect(database) as connection:
        with pytest.raises(SchemaError, match="is version 9, expected 4 or older"):
            migrate.migrate(connection)
        with pytest.raises(SchemaError, match=r"is version 9: run .*db migrate"):
            migrate.init(connection)


def test_tables_that_are_there_without_a_version_are_not_touched(empty_database, execute):
    execute("CREATE TABLE perpetuals_ohlcv (x int)", empty_database)
    with (
        pytest.raises(DatabaseError, match='"perpetuals_ohlcv" already exists'),
        database_errors(),
        connect(empty_database) as connection,
    ):
        migrate.init(connection)


def test_what_the_edition_allows_is_said(database):
    with connect(database) as connection:
        told = migrate.policies_in_force(connection)
        edition = fetch(connection, "SELECT current_setting('timescaledb.license')")[0][0]
    assert told.startswith(f"{edition} edition: ")


def test_a_loader_loads_deletes_truncates_and_stages(member):
    with member("deribit_loader") as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("perpetuals_ohlcv", candle(), mode="append")
        cursor.adbc_ingest("staged", candle(), mode="create", temporary=True)
        execute_script(connection, "UPDATE perpetuals_ohlcv SET cost = 1")
        execute_script(connection, "DELETE FROM perpetuals_ohlcv; TRUNCATE perpetuals_ohlcv")
        assert fetch(connection, "SELECT count(*) FROM staged") == [(1,)]


@pytest.mark.parametrize("table", [tables()[name].path for name in hypertables()])
def test_a_reader_reads_and_cannot_write(member, table):
    with member("deribit_reader") as connection:
        assert fetch(connection, f"SELECT count(*) FROM {table}") == [(0,)]
        with pytest.raises(DatabaseError, match="permission denied"), database_errors():
            execute_script(connection, f"DELETE FROM {table}")


def test_a_loader_cannot_change_the_schema(member):
    with (
        pytest.raises(DatabaseError, match="must be owner"),
        database_errors(),
        member("deribit_loader") as connection,
    ):
        execute_script(connection, "DROP TABLE perpetuals_ohlcv")
