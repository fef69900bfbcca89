"""Databases of a server made, renamed and dropped, from the server's own database.

Whoever does so holds a lock that dies with his connection: what another left behind under a name
of ours is then known to be nobody's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from adbc_driver_manager import dbapi
from adbc_driver_manager.dbapi import Connection

from etl.database.connection import connect_to, database_errors, execute_script, fetch
from etl.database.dsn import with_database
from etl.errors import DumpError, LoginError, UnreachableError

SERVERS_OWN = ("postgres", "template1")
LOCK = 0x72657374  # "rest"
TURNS, IN_USE = 10, "55006"
"""How often a database is renamed that somebody uses again and again."""
NAME_BYTES = 63  # PostgreSQL cuts longer ones


@contextmanager
def maintaining(dsn: str, name: str) -> Iterator[Connection]:
    """Yield a connection to the server's own database, alone in making databases of that name.

    Every statement is a transaction of its own.

    Raises
    ------
    DumpError
        If another process is at it.
    UnreachableError, LoginError
        If the server does not answer, or lets nobody in.
    """
    with database_errors(), _server(dsn) as connection:
        sql = f"SELECT pg_try_advisory_lock({LOCK}, hashtext({literal(name)}))"
        if fetch(connection, sql) != [(True,)]:
            message = f"another restore into database {name} is running: wait for it to end"
            raise DumpError(message)
        yield connection


def exists(connection: Connection, name: str) -> bool:
    """Whether a server has a database of that name."""
    sql = f"SELECT EXISTS (SELECT FROM pg_database WHERE datname = {literal(name)})"  # noqa: S608  quoted
    return bool(fetch(connection, sql)[0][0])


def named_like(connection: Connection, beginning: str) -> list[str]:
    """Return the databases whose names begin so."""
    where = f"starts_with(datname::text, {literal(beginning)})"
    sql = f"SELECT datname::text FROM pg_database WHERE {where}"  # noqa: S608  quoted
    return sorted(name for (name,) in fetch(connection, sql))


def check_may_create(connection: Connection) -> None:
    """Accept a user who may make databases.

    Raises
    ------
    DumpError
        If he may not.
    """
    sql = "SELECT rolname::text, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ((user, may),) = fetch(connection, sql)
    if not may:
        message = f"user {user} may not create databases: ALTER ROLE {identifier(user)} CREATEDB"
        raise DumpError(message)


def create(connection: Connection, name: str, encoding: str, comment: str) -> None:
    """Make an empty database, and say in its comment what it is."""
    quoted = identifier(name)
    execute_script(
        connection, f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING {literal(encoding)}"
    )
    execute_script(connection, f"COMMENT ON DATABASE {quoted} IS {literal(comment)}")


def drop(connection: Connection, name: str) -> None:
    """Drop a database, whoever is connected to it; one that is not there is no error."""
    execute_script(connection, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")


def put_in_place(connection: Connection, new: str, name: str, comment: str) -> None:
    """Give a database its name and its comment, in one transaction; who had that name is dropped.

    The one that had the name is there until the new one has it, and can be used: whoever is in it
    is sent away, and what is renamed lets nobody in meanwhile.
    """
    old = shortened(name, "_replaced")
    drop(connection, old)
    is_there = exists(connection, name)
    execute_script(connection, f"ALTER DATABASE {identifier(new)} ALLOW_CONNECTIONS false")
    steps = [f"ALTER DATABASE {identifier(name)} RENAME TO {identifier(old)}"] if is_there else []
    steps += [
        f"ALTER DATABASE {identifier(new)} RENAME TO {identifier(name)}",
        f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true",
        f"COMMENT ON DATABASE {identifier(name)} IS {literal(comment)}",
    ]
    for turn in range(TURNS):
        _send_away(connection, [new, name])
        try:
            execute_script(connection, f"BEGIN; {'; '.join(steps)}; COMMIT")
            break
        except dbapi.Error as error:  # somebody came back in between
            execute_script(connection, "ROLLBACK")
            if turn + 1 == TURNS or getattr(error, "sqlstate", None) != IN_USE:
                raise
    drop(connection, old)


def shortened(name: str, ending: str) -> str:
    """Return a name with an ending, cut so that PostgreSQL keeps the ending."""
    kept = name.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore")
    return f"{kept}{ending}"


def identifier(name: str) -> str:
    """Return a name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL quotes it."""
    return "'" + text.replace("'", "''") + "'"


def _server(dsn: str) -> Connection:
    """Return a connection to the server's own database, whichever of them lets us in."""
    for name in SERVERS_OWN[:-1]:
        try:
            return connect_to(with_database(dsn, name), autocommit=True)
        except (UnreachableError, LoginError) as error:
            if "does not exist" not in str(error):
                raise
    return connect_to(with_database(dsn, SERVERS_OWN[-1]), autocommit=True)


def _send_away(connection: Connection, names: Sequence[str]) -> None:
    """End the sessions in databases: what is used keeps its name."""
    for name in names:
        sessions = f"pg_stat_activity WHERE datname = {literal(name)} AND pid <> pg_backend_pid()"
        fetch(connection, f"SELECT count(pg_terminate_backend(pid, 5000)) FROM {sessions}")  # noqa: S608  quoted
