"""Connections to the database: where to, with what password, and what goes wrong."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
from adbc_driver_manager import AdbcStatement, dbapi

from etl.config import Settings
from etl.database.dsn import check_dsn, password, redacted, with_defaults, without_secrets
from etl.database.failures import explained, one_line
from etl.database.packages import PROGRAMS, default_cache, is_unpacked
from etl.database.server import server_dsn
from etl.errors import DatabaseError, LoginError, UnreachableError, UsageError

CONNECT_SECONDS = 10

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")
_LOGIN = re.compile(r"password|authentication|role .* does not exist|pg_hba\.conf", re.IGNORECASE)
# What libpq says before it talks to a server may repeat pieces of the DSN.
_NETWORK = re.compile(r"^(connection to server|could not translate host name)")
# The extension may lie in a schema of its own: what it brings is then found all the same.
_SESSION = """
SET TIME ZONE 'UTC';
SET client_min_messages = 'warning';
SELECT set_config(
    'search_path',
    concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident(n.nspname)),
    false
)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'timescaledb' AND n.nspname <> ALL (current_schemas(false))
"""


def connect(
    settings: Settings, *, autocommit: bool = False, parameters: Mapping[str, str] | None = None
) -> dbapi.Connection:
    """Return a connection whose time zone is UTC; closing it without a commit rolls back.

    Where to: `settings.dsn`, else libpq's own environment (``PGHOST``, …), else the server of
    ``db up``. libpq reads passwords from ``PGPASSWORD`` or a passfile where the DSN has none.
    Parameters of libpq are those the DSN does not state itself.

    Raises
    ------
    UsageError
        If there is nothing to connect to, or the DSN cannot be read.
    UnreachableError, LoginError
        If the server does not answer, or refuses the user or password.
    """
    return connect_to(target(settings), autocommit=autocommit, parameters=parameters)


def connect_to(
    dsn: str, *, autocommit: bool = False, parameters: Mapping[str, str] | None = None
) -> dbapi.Connection:
    """Return a connection as `connect`, to the database a connection string names.

    Raises
    ------
    UsageError
        If it cannot be read.
    UnreachableError, LoginError
        If the server does not answer, or refuses the user or password.
    """
    check_dsn(dsn)
    failure = None
    try:
        driver = adbc_driver_postgresql.dbapi
        connection: dbapi.Connection = driver.connect(
            _complete(dsn, parameters or {}), autocommit=autocommit
        )
    except dbapi.Error as error:
        failure = _refusal(dsn, error)
    if failure is not None:  # raised out here, so that it does not carry libpq's own text along
        raise failure
    try:
        with database_errors():
            execute_script(connection, _SESSION)
            if not autocommit:
                connection.commit()
    except BaseException:
        connection.close()
        raise
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


def psql_call(settings: Settings) -> tuple[Path, list[str], dict[str, str]]:
    """Return psql's program, words and environment for the database of a run.

    A password of the DSN goes into the environment: a command line can be read by everybody.

    Raises
    ------
    UsageError
        If there is no psql on this machine.
    """
    dsn = target(settings)
    found = shutil.which("psql")
    program = default_cache() / PROGRAMS / "psql" if is_unpacked() else Path(found or "")
    if not program.is_file():
        message = "no psql on this machine: install postgresql-client"
        raise UsageError(message)
    return program, [str(program), "-X", redacted(dsn)], os.environ | secrets_of(dsn)


def secrets_of(dsn: str) -> dict[str, str]:
    """Return the environment that gives PostgreSQL's programs the password of a DSN."""
    held = password(dsn)
    return {} if held is None else {"PGPASSWORD": held}


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
    except OSError as error:  # so pyarrow has it, where an answer breaks off
        if not str(error).startswith("[libpq]"):
            raise
        raise explained(error) from error


@contextmanager
def transaction(connection: dbapi.Connection) -> Iterator[dbapi.Connection]:
    """Commit what is done inside, or nothing of it."""
    try:
        yield connection
    except BaseException as error:
        try:
            connection.rollback()
        except dbapi.Error as second:  # lost: the server rolls back by itself
            error.add_note(f"then: {one_line(str(second))}")
        raise
    connection.commit()


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


def _complete(dsn: str, parameters: Mapping[str, str]) -> str:
    extra = {"fallback_application_name": "deribit-lake", "connect_timeout": str(CONNECT_SECONDS)}
    extra |= parameters
    if "PGCONNECT_TIMEOUT" in os.environ:
        del extra["connect_timeout"]
    return with_defaults(dsn, **extra)


def _refusal(dsn: str, error: dbapi.Error) -> DatabaseError:
    text = one_line(without_secrets(str(error), dsn).partition("Failed to connect: ")[2])
    where = redacted(dsn)
    if _LOGIN.search(text):
        return LoginError(f"{where} refuses the login: {text}")
    if _NETWORK.search(text):
        return UnreachableError(f"no database at {where}: {text}")
    return UnreachableError(f"no connection to {where}: libpq cannot use one of its parameters")
