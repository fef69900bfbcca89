"""Restore a dump into a database of its own, and hold what came back against the manifest.

Everything happens in a database of another name; it gets the wanted one when all of it is there
and compared, in one transaction. Whatever ends a restore before leaves what was there as it was.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adbc_driver_manager import dbapi
from adbc_driver_manager.dbapi import Connection

from etl.database.connection import connect_to, database_errors, execute_script, fetch
from etl.database.content import content_of, differences, tables_of
from etl.database.dsn import with_database
from etl.database.maintenance import (
    check_may_create,
    create,
    drop,
    exists,
    identifier,
    literal,
    maintaining,
    put_in_place,
    shortened,
)
from etl.database.manifest import Dump, read_dump
from etl.database.packages import run
from etl.database.programs import failure_of, find_program, open_program
from etl.errors import (
    DifferenceError,
    DumpError,
    ExtensionError,
    LocalServerError,
    ServerTooOldError,
)

logger = logging.getLogger(__name__)

RESTORING = "_restoring"
NOT_WHOLE = "deribit-lake: being restored, not whole"
GROUPS = ("deribit_loader", "deribit_reader")
_START = "SELECT _timescaledb_functions.start_background_workers()"
# Jobs of the database would begin at once: retention would drop what is not compared yet.
_AFTER = """
SELECT public_schema.timescaledb_post_restore();
SELECT _timescaledb_functions.stop_background_workers()
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that holds what the dump held, compared by table and month."""

    database: str
    rows: int
    months: int
    seconds: float
    notes: tuple[str, ...]


def restore(dsn: str, dump: Path, *, database: str, force: bool = False) -> Restored:
    """Make a database out of a dump, compare it with the dump's manifest, and say what it holds.

    Parameters
    ----------
    dsn
        The server, by any database of it.
    database
        Its name. One that is there and holds no table is replaced.
    force
        Replace one with tables, too, once all of the dump is there; who is connected is sent away.

    Raises
    ------
    DumpError
        If the dump is not whole, the database has tables, the user may not create databases, or
        pg_restore fails.
    DifferenceError
        If what came back is not what was dumped; it stays under a name that ends in `_restoring`.
    ServerTooOldError, ExtensionError
        If the server is older than the dump's, or lacks its version of TimescaleDB.
    DatabaseFullError
        If the server has no space left; what was made is dropped.
    """
    started, told = time.monotonic(), read_dump(dump)
    with maintaining(dsn, database) as server:
        _check_place(server, dsn, database, force=force)
        _check_server(server, told)
        notes = _make_roles(server, told)
        scratch = shortened(database, RESTORING)
        drop(server, scratch)  # what a killed restore left
        create(server, scratch, told.encoding, NOT_WHOLE)
        try:
            months = _fill(with_database(dsn, scratch), dump, told)
        except DifferenceError:
            raise
        except BaseException as error:
            _take_away(server, scratch, error)
            raise
        put_in_place(server, scratch, database, f"restored from a dump of {told.database}")
    _settle(with_database(dsn, database), database, told)
    seconds = time.monotonic() - started
    logger.info("restored %s into %s: %d rows, %.1f s", dump, database, told.rows, seconds)
    return Restored(database, told.rows, months, seconds, tuple(notes))


def check_place(dsn: str, database: str, *, force: bool) -> None:
    """Accept a database that may be made, before a dump of it is fetched.

    Raises
    ------
    DumpError
        If it has tables and `force` is false, or the user may not create databases.
    DatabaseError
        If no server answers.
    """
    with maintaining(dsn, database) as server:
        _check_place(server, dsn, database, force=force)


def _check_place(server: Connection, dsn: str, database: str, *, force: bool) -> None:
    check_may_create(server)
    if exists(server, database) and not force:
        _check_empty(dsn, database)


def _take_away(server: Connection, scratch: str, error: BaseException) -> None:
    """Drop what a failure leaves half made; where that fails, too, the first failure counts."""
    try:
        drop(server, scratch)
    except dbapi.Error as second:
        error.add_note(f"then database {scratch} could not be dropped: {second}")


def _check_server(server: Connection, told: Dump) -> None:
    """Accept a server that can hold a dump: no older, and with the very extension."""
    ((number,),) = fetch(server, "SELECT current_setting('server_version_num')::int / 10000")
    if number < told.major:
        message = f"the server has PostgreSQL {number}, expected {told.major} or newer: the dump's"
        raise ServerTooOldError(message)
    offered = fetch(
        server,
        "SELECT version::text FROM pg_available_extension_versions WHERE name = 'timescaledb'",
    )
    versions = sorted(version for (version,) in offered)
    if told.timescaledb_version not in versions:
        held = f"it has {', '.join(versions[-3:])}" if versions else "it has none"
        message = (
            f"the server lacks TimescaleDB {told.timescaledb_version}, the dump's: {held}; "
            "install that version, restore, then ALTER EXTENSION timescaledb UPDATE"
        )
        raise ExtensionError(message)


def _check_empty(dsn: str, database: str) -> None:
    with connect_to(with_database(dsn, database)) as connection:
        held = tables_of(connection)
    if held:
        message = (
            f"database {database} is there and has tables ({held[0]} and {len(held) - 1} more): "
            "choose another name, or give --force to replace it"
        )
        raise DumpError(message)


def _make_roles(server: Connection, told: Dump) -> list[str]:
    """Make the groups and users that have rights in a dump and that the server has not.

    Raises
    ------
    DumpError
        If the user may make none.
    """
    held = {name for (name,) in fetch(server, "SELECT rolname::text FROM pg_roles")}
    missing = [name for name in told.roles if name not in held]
    sql = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
    if missing and fetch(server, sql) != [(True,)]:
        message = (
            f"the dump gives rights to {', '.join(missing)}, which the server has not and this "
            "user may not make: CREATE ROLE them first"
        )
        raise DumpError(message)
    for name in missing:
        execute_script(server, f"CREATE ROLE {identifier(name)} NOLOGIN")
    strangers = [name for name in missing if name not in GROUPS]
    return [f"made role {name} without a login: no dump holds passwords" for name in strangers]


def _fill(dsn: str, dump: Path, told: Dump) -> int:
    """Restore into an empty database and compare; return how many months are the same."""
    schema = identifier(told.timescaledb_schema)
    with connect_to(dsn, autocommit=True) as connection:
        if told.timescaledb_schema != "public":
            execute_script(connection, f"CREATE SCHEMA IF NOT EXISTS {schema}")
        version = literal(told.timescaledb_version)
        execute_script(
            connection, f"CREATE EXTENSION timescaledb SCHEMA {schema} VERSION {version}"
        )
    with connect_to(dsn, autocommit=True) as connection:
        execute_script(connection, f"SELECT {schema}.timescaledb_pre_restore()")
    _run(dsn, dump, told)
    with connect_to(dsn, autocommit=True) as connection:
        execute_script(connection, _AFTER.replace("public_schema", schema))
        _apply_settings(connection, told.settings)
    with connect_to(dsn) as connection:
        found = content_of(connection)
        connection.commit()
        if differing := differences(told.content, found):
            (name,) = fetch(connection, "SELECT current_database()::text")[0]
            raise DifferenceError(name, list(differing.values()))
    with connect_to(dsn, autocommit=True) as connection:
        execute_script(connection, "ANALYZE")
    return len(told.content.by_month())


def _run(dsn: str, dump: Path, told: Dump) -> None:
    """Run pg_restore, by one connection: chunks and the catalog of hypertables need their order."""
    with connect_to(dsn) as connection:
        ((major,),) = fetch(connection, "SELECT current_setting('server_version_num')::int / 10000")
    program, _ = find_program("pg_restore", major, at_least=told.program)
    with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8") as listed:
        listed.write(_listed(program, dump, told.timescaledb_schema))
        listed.flush()
        words = ["--no-owner", "--exit-on-error", f"--use-list={listed.name}", str(dump)]
        with open_program(program, words, dsn) as process:
            try:
                _, said = process.communicate()
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        raise failure_of(program, process.returncode, said, dsn)


def _listed(program: Path, dump: Path, schema: str) -> str:
    """Return what pg_restore is to do: all but the schema the extension lies in already."""
    try:
        lines = run([program, "--list", dump]).splitlines(keepends=True)
    except LocalServerError as error:
        raise DumpError(str(error)) from error
    return "".join(line for line in lines if f" SCHEMA - {schema} " not in line)


def _apply_settings(connection: Connection, settings: Sequence[str]) -> None:
    """Set what ALTER DATABASE had set: a search path says where the extension lies."""
    (name,) = fetch(connection, "SELECT current_database()::text")[0]
    for one in settings:
        key, _, value = one.partition("=")
        # A list is kept as SQL writes it: quoted as a whole it would be one name.
        text = value if key in {"search_path", "temp_tablespaces"} else literal(value)
        execute_script(
            connection, f"ALTER DATABASE {identifier(name)} SET {identifier(key)} TO {text}"
        )


def _settle(dsn: str, database: str, told: Dump) -> None:
    """Give back the right to temporary tables, which belongs to the name, and let jobs begin."""
    with database_errors(), connect_to(dsn, autocommit=True) as connection:
        execute_script(connection, _START)
        if GROUPS[0] in told.roles:
            quoted = identifier(database)
            execute_script(connection, f"GRANT TEMPORARY ON DATABASE {quoted} TO {GROUPS[0]}")
