"""The database: connect to it, say what it is, and hold its tables against the schema."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbc_driver_postgresql.dbapi
from adbc_driver_manager import AdbcStatement, dbapi

from etl.config import Settings
from etl.dsn import check_dsn, redacted, with_defaults, without_secrets
from etl.errors import (
    DatabaseError,
    DatabaseFullError,
    ExtensionError,
    LoginError,
    SchemaError,
    ServerTooOldError,
    UnreachableError,
    UsageError,
)
from etl.server import server_dsn
from etl.tables import SQL, Column, Table, hypertables, tables

__all__ = ["redacted"]

MINIMUM_POSTGRESQL = (14, 0)
MINIMUM_TIMESCALEDB = (2, 13)
CONNECT_SECONDS = 10

_PRIMARY = "PG_DIAG_MESSAGE_PRIMARY"
_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")
_LOST = ("connection", "SSL SYSCALL error", "no connection to the server")
_LOGIN = re.compile(r"password|authentication|role .* does not exist|pg_hba\.conf", re.IGNORECASE)
# What libpq says before it talks to a server may repeat pieces of the DSN.
_NETWORK = re.compile(r"^(connection to server|could not translate host name)")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says it is; `schema_version` is None before `db init`."""

    server_version: str
    timescaledb_version: str | None
    edition: str | None
    schema_version: int | None


def connect(settings: Settings, *, autocommit: bool = False) -> dbapi.Connection:
    """Return a connection whose time zone is UTC; closing it without a commit rolls back.

    Where to: `settings.dsn`, else libpq's own environment (``PGHOST``, …), else the server of
    ``db up``. libpq reads passwords from ``PGPASSWORD`` or a passfile where the DSN has none.

    Raises
    ------
    UsageError
        If there is nothing to connect to, or the DSN cannot be read.
    UnreachableError, LoginError
        If the server does not answer, or refuses the user or password.
    """
    dsn = target(settings)
    failure = None
    try:
        connection: dbapi.Connection = adbc_driver_postgresql.dbapi.connect(
            _complete(dsn), autocommit=autocommit
        )
        execute_script(connection, "SET TIME ZONE 'UTC'; SET client_min_messages = 'warning'")
        if not autocommit:
            connection.commit()
    except dbapi.Error as error:
        failure = _refusal(dsn, error)
    if failure is not None:  # raised out here, so that it does not carry libpq's own text along
        raise failure
    return connection


def target(settings: Settings) -> str:
    """Return the connection string a run uses.

    Raises
    ------
    UsageError
        If there is none, or it cannot be read.
    """
    if settings.dsn is not None:
        check_dsn(settings.dsn)
        return settings.dsn
    if any(name in os.environ for name in _LIBPQ):
        return "postgresql://"
    local = server_dsn(settings.db_dir)
    if local is None:
        message = (
            "no database: give --dsn or set DERIBIT_LAKE_DSN or PGHOST; "
            "or start one with `deribit-lake db up`"
        )
        raise UsageError(message)
    return local


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what the driver raises into errors of the tree, one line each.

    Raises
    ------
    DatabaseError
        Its children tell a lost connection and a full disk from the rest.
    """
    try:
        yield
    except dbapi.Error as error:
        raise explained(error) from error


def explained(error: dbapi.Error) -> DatabaseError:
    """Return the error of the tree that says what the driver's error says."""
    primary = {_text(key): value for key, value in error.details or []}.get(_PRIMARY)
    text = _one_line(_text(primary) if primary else str(error))
    state = error.sqlstate or ""
    if state == "53100":
        return DatabaseFullError(f"no space left on the database server: {text}")
    if state[:2] in {"08", "57"} or (not state and any(word in text for word in _LOST)):
        return UnreachableError(f"the connection to the database was lost: {text}")
    return DatabaseError(f"the database refused: {text}{f' (SQLSTATE {state})' if state else ''}")


def server_facts(connection: dbapi.Connection) -> ServerFacts:
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


def check_schema(connection: dbapi.Connection) -> None:
    """Accept a database whose tables are those of ``sql/schema.sql``, in this version.

    Raises
    ------
    DatabaseError
        `ServerTooOldError`, `ExtensionError`, or a `SchemaError` that names the first table that
        is missing, is no hypertable, or has other columns or another key.
    """
    facts = server_facts(connection)
    check_server(facts)
    _check_schema_version(facts.schema_version)
    held = {row[0] for row in fetch(connection, _HYPERTABLES)}
    columns = fetch(connection, _COLUMNS)
    keys = fetch(connection, _KEYS)
    for table in tables().values():
        place = (table.schema, table.name)
        found = tuple(Column(*row[2:]) for row in columns if row[:2] == place)
        _check_table(table, found, tuple(row[2] for row in keys if row[:2] == place))
    for name in hypertables():
        if name not in held:
            message = f"table {name} is a plain table, expected a hypertable: see docs/database.md"
            raise SchemaError(message)


def fetch(connection: dbapi.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return all rows of one query."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def execute_script(connection: dbapi.Connection, sql: str) -> None:
    """Run all statements of a text in the open transaction."""
    # The cursor's own executescript commits what came before.
    with AdbcStatement(connection.adbc_connection) as statement:
        statement.set_sql_query(sql)
        statement.execute_update()


_HYPERTABLES = (
    "SELECT hypertable_name::text FROM timescaledb_information.hypertables"
    " WHERE hypertable_schema = 'public'"
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


def _complete(dsn: str) -> str:
    extra = {"fallback_application_name": "deribit-lake"}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        extra["connect_timeout"] = str(CONNECT_SECONDS)
    return with_defaults(dsn, **extra)


def _refusal(dsn: str, error: dbapi.Error) -> DatabaseError:
    text = _one_line(without_secrets(str(error), dsn).partition("Failed to connect: ")[2])
    where = redacted(dsn)
    if _LOGIN.search(text):
        return LoginError(f"{where} refuses the login: {text}")
    if _NETWORK.search(text):
        return UnreachableError(f"no database at {where}: {text}")
    return UnreachableError(f"no connection to {where}: libpq cannot use one of its parameters")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _one_line(text: str) -> str:
    text = text.partition("\n\nQuery was:")[0]
    return " ".join(text.split()).removeprefix("IO: ").removeprefix("[libpq] ")


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
