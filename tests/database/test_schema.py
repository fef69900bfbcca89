import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.database.connection import connect, execute_script, fetch
from etl.database.schema import check_schema, check_server, server_facts
from etl.database.tables import hypertables, tables
from etl.errors import ExtensionError, SchemaError, ServerTooOldError
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

ARROW_TYPES = {
    pa.timestamp("us", "UTC"): "timestamp with time zone",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.float64(): "double precision",
}


@pytest.fixture
def refusal(database):
    """Return a function that alters the database and gives the message of the check after it."""

    def refused(script):
        with connect(database) as connection:
            execute_script(connection, script)
            with pytest.raises(SchemaError) as caught:
                check_schema(connection)
        return str(caught.value)

    return refused


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a lake the pipeline has written a day into."""
    with running(limits=False) as exchange:
        product = InProcess(Product(tmp_path_factory.mktemp("published") / "lake", exchange.url))
        window = ("--start", "2025-10-01", "--end", "2025-10-02")
        for what in ("perpetuals", "funding"):
            assert product.run("backfill", what, *window).returncode == 0
    return product.lake


@pytest.mark.parametrize("table", ["perpetuals_ohlcv", "funding_rates"])
def test_columns_order_and_types_are_those_of_published_files(published, table):
    file = next((published / "clean" / table).rglob("*.parquet"))
    expected = [(field.name, ARROW_TYPES[field.type]) for field in pq.read_schema(file)]
    assert [(column.name, column.type) for column in tables()[table].columns] == expected


def test_exactly_the_six_are_hypertables_in_public_and_others_are_beside_them(database):
    with connect(database) as connection:
        found = fetch(
            connection,
            "SELECT hypertable_schema::text, hypertable_name::text"
            " FROM timescaledb_information.hypertables",
        )
    assert sorted(name for _, name in found) == sorted(hypertables())
    assert len([name for schema, name in found if schema == "public"]) == 6


def test_every_column_of_every_table_has_a_comment(database):
    silent = """
        SELECT relname::text, attname::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace::regnamespace::text IN ('public', 'reference') AND relkind = 'r'
          AND attnum > 0 AND col_description(c.oid, attnum) IS NULL"""
    with connect(database) as connection:
        assert fetch(connection, silent) == []


def test_comments_of_numbers_state_a_unit(database):
    comments = """
        SELECT attname::text, col_description(c.oid, attnum)
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace::regnamespace::text IN ('public', 'reference') AND relkind = 'r'
          AND attnum > 0 AND atttypid IN ('float8'::regtype, 'timestamptz'::regtype)
          AND relname NOT IN ('schema_version', 'load_ledger')"""
    with connect(database) as connection:
        found = fetch(connection, comments)
    assert [name for name, comment in found if not re.search(r"\[.+\]", comment)] == []
    assert len(found) == 161


def test_hypertables_have_their_key_as_only_index(database):
    with connect(database) as connection:
        found = fetch(
            connection, "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public'"
        )
    six = [name for name in hypertables() if tables()[name].schema == "public"]
    assert sorted(name for (name,) in found) == sorted(f"{name}_pkey" for name in six)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP COLUMN cost", r"was altered: found columns \[.*\], expected \[.*'cost'\]"),
        ("ADD COLUMN extra int", r"was altered: found columns \[.*'extra'\], expected"),
        (
            "ALTER COLUMN cost TYPE real",
            "found column cost real NOT NULL, expected cost double precision NOT NULL",
        ),
        ("ALTER COLUMN open DROP NOT NULL", "found column open double precision, expected open"),
        ("RENAME COLUMN high TO low2", "found column low2 .*, expected high"),
        ("DROP CONSTRAINT futures_ohlcv_pkey", r"found key \(\), expected \('instrument'"),
    ],
)
def test_a_table_altered_by_hand_is_refused_by_what_was_altered(refusal, change, message):
    assert re.search(message, refusal(f"ALTER TABLE futures_ohlcv {change}"))


def test_a_plain_table_in_place_of_a_hypertable_is_refused(refusal):
    told = refusal("""
        CREATE TABLE copy (LIKE funding_rates INCLUDING ALL);
        DROP TABLE funding_rates;
        ALTER TABLE copy RENAME TO funding_rates""")
    assert told.startswith("table funding_rates is a plain table, expected a hypertable")


def test_a_missing_table_is_refused(refusal):
    assert refusal("DROP TABLE reference.load_ledger").startswith(
        "table reference.load_ledger is missing"
    )


@pytest.mark.parametrize(
    ("version", "message"),
    [(99, "is version 99, expected 4: upgrade deribit-lake"), (0, "is version 0, expected 4: run")],
)
def test_a_schema_at_another_version_is_refused(refusal, version, message):
    only_one = "DELETE FROM reference.schema_version WHERE version > 1"
    change = f"UPDATE reference.schema_version SET version = {version}"
    assert message in refusal(f"{only_one}; {change}")


def test_a_database_without_a_schema_is_refused(empty_database):
    with connect(empty_database) as connection:
        execute_script(connection, "CREATE EXTENSION timescaledb")
        with pytest.raises(SchemaError, match=r"has no schema, expected version 4: run .*db init"):
            check_schema(connection)


def test_a_database_without_timescaledb_is_refused(empty_database):
    with connect(empty_database) as connection, pytest.raises(ExtensionError, match="db init"):
        check_schema(connection)


def test_this_server_is_too_old_for_a_later_minimum(database):
    with connect(database) as connection:
        facts = server_facts(connection)
    check_server(facts)
    with pytest.raises(ServerTooOldError, match=f"PostgreSQL {facts.server_version}, expected 99"):
        check_server(facts, postgresql=(99, 0))
    with pytest.raises(ServerTooOldError, match=r"expected 9\.9 or newer"):
        check_server(facts, timescaledb=(9, 9))
