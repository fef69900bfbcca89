"""The database: what it says it is, and whether its tables are those of the schema."""

import re
from dataclasses import dataclass

from adbc_driver_manager.dbapi import Connection

from etl.database.connection import fetch
from etl.database.tables import SQL, Column, Models, Table, tables
from etl.errors import ExtensionError, SchemaError, ServerTooOldError

MINIMUM_POSTGRESQL = (14, 0)
MINIMUM_TIMESCALEDB = (2, 13)

_HYPERTABLES = (
    "SELECT hypertable_schema::text, hypertable_name::text FROM timescaledb_information.hypertables"
)
_COLUMNS = """
SELECT n.nspname::text, c.relname::text, a.attname::text,
       format_type(a.atttypid, a.atttypmod), NOT a.attnotnull
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'reference') AND c.relkind = 'r' AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY 1, 2, a.attnum
"""
_KEYS = """
SELECT n.nspname::text, c.relname::text, a.attname::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(k.conkey) WITH ORDINALITY AS part (attnum, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = part.attnum
WHERE k.contype = 'p' AND n.nspname IN ('public', 'reference')
ORDER BY 1, 2, part.place
"""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says it is; `schema_version` is None before `db init`."""

    server_version: str
    timescaledb_version: str | None
    edition: str | None
    schema_version: int | None


def server_facts(connection: Connection) -> ServerFacts:
    """Return versions, edition (``apache`` or ``timescale``) and schema version."""
    row = fetch(
        connection,
        "SELECT current_setting('server_version_num')::int,"
        " (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),"
        " current_setting('timescaledb.license', true),"
        " to_regclass('reference.schema_version') IS NOT NULL",
    )[0]
    number, extension, edition, has_version = row
    version = None
    if has_version:
        version = fetch(connection, "SELECT max(version) FROM reference.schema_version")[0][0]
    server = f"{number // 10_000}.{number % 10_000}"
    return ServerFacts(server, extension, edition if extension else None, version)


def latest_version() -> int:
    """Return the version of the schema this software works with: its newest migration."""
    return max(int(path.name[:4]) for path in (SQL / "migrations").glob("[0-9]*.sql"))


def check_server(
    facts: ServerFacts,
    *,
    postgresql: tuple[int, ...] = MINIMUM_POSTGRESQL,
    timescaledb: tuple[int, ...] = MINIMUM_TIMESCALEDB,
) -> None:
    """Accept a server that is new enough and has TimescaleDB.

    Raises
    ------
    ServerTooOldError
        If PostgreSQL or TimescaleDB is older than the minimum.
    ExtensionError
        If the database has no TimescaleDB.
    """
    _check_version("PostgreSQL", facts.server_version, postgresql)
    if facts.timescaledb_version is None:
        message = "the database has no extension timescaledb: run `deribit-lake db init`"
        raise ExtensionError(message)
    _check_version("TimescaleDB", facts.timescaledb_version, timescaledb)


def check_schema(connection: Connection, models: Models = None) -> None:
    """Accept a database whose tables are those the models of datasets state, in this version.

    Raises
    ------
    DatabaseError
        `ServerTooOldError`, `ExtensionError`, or a `SchemaError` that names the first table that
        is missing, is no hypertable, or has other columns or another key.
    """
    facts = server_facts(connection)
    check_server(facts)
    _check_schema_version(facts.schema_version)
    held = set(fetch(connection, _HYPERTABLES))
    columns = fetch(connection, _COLUMNS)
    keys = fetch(connection, _KEYS)
    expected = tables(models)
    for table in expected.values():
        place = (table.schema, table.name)
        found = tuple(Column(*row[2:]) for row in columns if row[:2] == place)
        _check_table(table, found, tuple(row[2] for row in keys if row[:2] == place))
    for table in expected.values():
        if table.is_hypertable and (table.schema, table.name) not in held:
            message = (
                f"table {table.name} is a plain table, expected a hypertable: see docs/database.md"
            )
            raise SchemaError(message)


def _check_version(what: str, found: str, minimum: tuple[int, ...]) -> None:
    if tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < minimum:
        message = f"the server has {what} {found}, expected {'.'.join(map(str, minimum))} or newer"
        raise ServerTooOldError(message)


def _check_schema_version(found: int | None) -> None:
    expected = latest_version()
    if found == expected:
        return
    todo = "upgrade deribit-lake" if (found or 0) > expected else "run `deribit-lake db migrate`"
    if found is None:
        message = (
            f"the database has no schema, expected version {expected}: run `deribit-lake db init`"
        )
    else:
        message = f"the database's schema is version {found}, expected {expected}: {todo}"
    raise SchemaError(message)


def _check_table(table: Table, columns: tuple[Column, ...], key: tuple[str, ...]) -> None:
    if not columns:
        message = f"table {table.schema}.{table.name} is missing: see docs/database.md"
        raise SchemaError(message)
    for found, expected in zip(columns, table.columns, strict=False):
        if found != expected:
            message = f"table {table.name} was altered: found column {found}, expected {expected}"
            raise SchemaError(message)
    if len(columns) != len(table.columns):
        names, expected_names = ([c.name for c in some] for some in (columns, table.columns))
        message = (
            f"table {table.name} was altered: found columns {names}, expected {expected_names}"
        )
        raise SchemaError(message)
    if key != table.key:
        message = f"table {table.name} was altered: found key {key}, expected {table.key}"
        raise SchemaError(message)
