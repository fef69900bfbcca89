"""The database: is it there and ours, does it do its work, and does it hold what the lake does."""

from collections.abc import Iterator
from dataclasses import replace

from adbc_driver_postgresql.dbapi import Connection

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.database.connection import connect, database_errors, fetch, target
from etl.database.dsn import redacted
from etl.database.file import File
from etl.database.ledger import held_by_file
from etl.database.parts import batches, loadable
from etl.database.schema import (
    ServerFacts,
    check_schema,
    check_server,
    latest_version,
    server_facts,
)
from etl.database.status import examine
from etl.database.tables import tables
from etl.errors import (
    DatabaseError,
    ExtensionError,
    LocalServerError,
    LoginError,
    SchemaError,
    ServerTooOldError,
    UnreachableError,
    UsageError,
)
from lake.errors import LakeError
from lake.paths import LEDGER as THE_LEDGER

CONNECT_SECONDS = 4
LEDGER = "reference.load_ledger"
_RIGHTS = """
SELECT name FROM unnest(ARRAY[{names}]) AS name
WHERE NOT (has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'DELETE'))
ORDER BY name
"""


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the server, its schema, rights, upkeep, and at what it was loaded with."""
    settings = situation.settings
    try:
        where = redacted(target(settings))
    except LocalServerError as error:
        yield found("database.unreachable", str(error))
        return
    except UsageError as error:
        yield _without(settings.dsn, error)
        return
    try:
        parameters = {"connect_timeout": str(CONNECT_SECONDS)}
        with database_errors(), connect(settings, parameters=parameters) as connection:
            yield from _of_server(situation, connection, where)
    except DatabaseError as error:
        yield _of_error(error, where)


def _without(dsn: str | None, error: UsageError) -> Finding:
    if dsn is None:
        return unseen("database", "none is set up", "`deribit-lake db up` starts one of your own")
    return found("database.dsn", str(error))


def _of_error(error: DatabaseError, where: str) -> Finding:
    codes = {
        UnreachableError: "database.unreachable",
        LoginError: "database.login",
        ExtensionError: "database.extension",
        ServerTooOldError: "database.old",
        SchemaError: "database.altered",
    }
    code = codes.get(type(error), "database.refuses")
    told = str(error)
    return found(code, told if where in told else f"{where}: {told}")


def _of_server(situation: Situation, connection: Connection, where: str) -> Iterator[Finding]:
    facts = server_facts(connection)
    if facts.timescaledb_version is None:
        check_server(replace(facts, timescaledb_version="2.99"))  # PostgreSQL may be too old, too
        yield found("database.extension", f"{where} has no extension timescaledb")
        return
    check_server(facts)
    yield well("database", f"{where}: {_told(facts)}")
    if (finding := _of_schema(facts, where)) is not None:
        yield finding
        return
    *_, wrong = examine(connection, facts)
    for fault in wrong:
        what = ": ".join(filter(None, (fault.table, fault.what)))
        yield found("database.upkeep", what, todo=fault.todo)
    if (altered := _altered(connection)) is not None:
        names = [fault.table.rpartition(".")[2] for fault in wrong if fault.table]
        if not any(f"table {name} " in str(altered) for name in names):  # it is told already
            yield _of_error(altered, where)
        return
    yield from _rights(connection)
    yield from _behind(situation, connection)


def _altered(connection: Connection) -> SchemaError | None:
    """Return how the tables differ from those of this version, None where they do not."""
    try:
        check_schema(connection)
    except SchemaError as error:
        return error
    return None


def _told(facts: ServerFacts) -> str:
    return (
        f"PostgreSQL {facts.server_version}, TimescaleDB {facts.timescaledb_version} "
        f"({facts.edition} edition), schema {facts.schema_version} of {latest_version()}"
    )


def _of_schema(facts: ServerFacts, where: str) -> Finding | None:
    held, newest = facts.schema_version, latest_version()
    if held is None:
        return found("database.schema", f"{where} has no schema yet", command="init")
    if held < newest:
        what = f"{where} has schema {held}, and this version works with {newest}"
        return found("database.schema", what, command="migrate")
    return None


def _rights(connection: Connection) -> Iterator[Finding]:
    names = ", ".join(f"'{one}'" for one in [*(one.path for one in tables().values()), LEDGER])
    closed = [str(name) for (name,) in fetch(connection, _RIGHTS.format(names=names))]
    if closed:
        ((who,),) = fetch(connection, "SELECT current_user::text")
        what = f"{who} may not write {len(closed)} tables, as {closed[0]}"
        yield found("database.rights", what, user=who)


def _behind(situation: Situation, connection: Connection) -> Iterator[Finding]:
    """Hold the database's ledger against the lake's, as `load` does before it reads anything."""
    if situation.silence:
        yield unseen("loaded", situation.silence)
        return
    held = held_by_file(connection)
    try:
        lake = situation.lake.listed(THE_LEDGER)
        there = [batch for one in loadable() for batch in batches(lake, one)]
    except LakeError as error:
        yield unseen("loaded", str(error))
        return
    files = [File(connection, one, held.get(one.partition, {}), None, full=False) for one in there]
    due = [file.batch.partition for file in files if file.is_due]
    if due:
        names = sorted({one.dataset for one in due})
        what = f"{len(due)} of {len(files)} files of the lake, of {', '.join(names)}"
        yield found("database.behind", what)
    elif files:
        yield well("loaded", f"all {len(files)} files of the lake are in the database")
