"""Bring a database to the schema: numbered SQL files, forward only, each in one transaction."""

from dataclasses import replace
from pathlib import Path

from adbc_driver_manager.dbapi import Connection

from etl.database.connection import execute_script, fetch
from etl.database.schema import ServerFacts, check_server, latest_version, server_facts
from etl.database.tables import SQL
from etl.errors import ExtensionError, SchemaError

MIGRATIONS = SQL / "migrations"
AGAIN = ("resampled.sql", "policies.sql", "roles.sql")  # after every migration
LOCK = 0x6D696772  # "migr": one migration at a time per database


def init(connection: Connection) -> list[str]:
    """Bring an empty database to the newest schema, with policies and roles.

    A database that has the schema keeps it as it is; a second run changes nothing.

    Returns
    -------
    list of str
        What was done, one line each; empty when there was nothing to do.

    Raises
    ------
    ExtensionError
        If the server has no TimescaleDB to offer.
    SchemaError
        If the database has the schema in another version.
    """
    facts = server_facts(connection)
    check_server(replace(facts, timescaledb_version=_offered_version(connection, facts)))
    version = facts.schema_version
    if version not in {None, latest_version()}:
        message = f"the database's schema is version {version}: run `deribit-lake db migrate`"
        raise SchemaError(message)
    return _bring_up(connection, MIGRATIONS)


def migrate(connection: Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Apply the migrations a database lacks, and policies and roles again.

    Returns
    -------
    list of str
        What was done, one line each; empty when there was nothing to do.

    Raises
    ------
    SchemaError
        If the database has no schema yet, or one newer than the newest migration.
    """
    version = server_facts(connection).schema_version
    if version is None:
        message = "the database has no schema: run `deribit-lake db init`"
        raise SchemaError(message)
    newest = max(_numbered(folder))
    if version > newest:
        message = f"the database's schema is version {version}, expected {newest} or older"
        raise SchemaError(message)
    return _bring_up(connection, folder)


def policies_in_force(connection: Connection) -> str:
    """Return one line on compression: what the edition of the server allows."""
    edition = server_facts(connection).edition
    if edition == "timescale":
        return "timescale edition: chunks older than 60 days are compressed; nothing is dropped"
    return f"{edition} edition: no compression; nothing is dropped"


def _bring_up(connection: Connection, folder: Path) -> list[str]:
    done = [f"applied {name}" for name in _apply(connection, folder)]
    fetch(connection, f"SELECT pg_advisory_xact_lock({LOCK})")
    before = _catalog(connection)
    for name in AGAIN:
        execute_script(connection, (SQL / name).read_text(encoding="utf-8"))
    connection.commit()
    if _catalog(connection) != before:
        done += [f"applied {', '.join(AGAIN)}"]
    connection.rollback()
    return done


def _apply(connection: Connection, folder: Path) -> list[str]:
    applied = []
    for number, path in sorted(_numbered(folder).items()):
        fetch(connection, f"SELECT pg_advisory_xact_lock({LOCK})")
        if number > (server_facts(connection).schema_version or 0):
            execute_script(connection, path.read_text(encoding="utf-8"))
            with connection.cursor() as cursor:
                record = "INSERT INTO reference.schema_version (version, name) VALUES ($1, $2)"
                cursor.execute(record, (number, path.name))
            applied.append(path.name)
        connection.commit()
    return applied


def _numbered(folder: Path) -> dict[int, Path]:
    return {int(path.name[:4]): path for path in folder.glob("[0-9][0-9][0-9][0-9]_*.sql")}


def _offered_version(connection: Connection, facts: ServerFacts) -> str:
    """Return the version of TimescaleDB the database has, or would get."""
    if facts.timescaledb_version is not None:
        return facts.timescaledb_version
    query = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    offered = fetch(connection, query)
    if not offered:
        message = "the server has no TimescaleDB: install its package, or use another --dsn"
        raise ExtensionError(message)
    return str(offered[0][0])


def _catalog(connection: Connection) -> list[tuple[object, ...]]:
    """Return what policies and roles leave behind: relations, their rights, jobs."""
    relations = (
        "SELECT c.relname::text, c.relkind::text, c.relacl::text FROM pg_class c "
        "WHERE c.relnamespace::regnamespace::text IN ('public', 'reference') ORDER BY 1, 2, 3"
    )
    jobs = (
        "SELECT application_name::text, hypertable_name::text, config::text "
        "FROM timescaledb_information.jobs ORDER BY 1, 2"
    )
    return [*fetch(connection, relations), *fetch(connection, jobs)]
