import traceback

import pytest

from etl.database.connection import (
    connect,
    database_errors,
    execute_script,
    fetch,
    psql_call,
    target,
)
from etl.database.dsn import with_database
from etl.errors import DatabaseError, LoginError, UnreachableError

SECRET = "geheim@Zx9/Q:%'"
QUOTED = "geheim%40Zx9%2FQ%3A%25%27"
ESCAPED = "geheim@Zx9/Q:%\\'"


@pytest.fixture
def address(server):
    """Return host, port and name of a database of the server."""
    with connect(server) as connection:
        return fetch(
            connection,
            "SELECT host(inet_server_addr()), inet_server_port(), current_database()::text",
        )[0]


@pytest.fixture(params=["url", "query", "keywords"])
def wrong(request, address, server):
    """Return settings whose DSN holds a wrong password, in each way to write one."""
    host, port, name = address
    forms = {
        "url": f"postgresql://deribit:{QUOTED}@{host}:{port}/{name}",
        "query": f"postgresql://deribit@{host}:{port}/{name}?password={QUOTED}",
        "keywords": f"host={host} port={port} dbname={name} user=deribit password='{ESCAPED}'",
    }
    return server.model_copy(update={"dsn": forms[request.param]})


def test_a_wrong_password_is_one_line_without_the_password(wrong):
    with pytest.raises(LoginError) as caught:
        connect(wrong)

    error = caught.value
    told = "".join(traceback.format_exception(error))
    assert "password authentication failed" in str(error)
    assert "\n" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert [secret for secret in (SECRET, QUOTED, ESCAPED) if secret in told] == []


def test_psql_gets_the_password_by_its_environment(wrong):
    _, words, environment = psql_call(wrong)

    assert environment["PGPASSWORD"] == SECRET
    assert [word for word in words if "geheim" in word] == []


def test_a_user_unknown_to_the_server_is_refused(server, address):
    host, port, name = address
    stranger = server.model_copy(update={"dsn": f"postgresql://nobody@{host}:{port}/{name}"})
    with pytest.raises(LoginError):
        connect(stranger)


def test_a_database_that_does_not_exist_is_named(server):
    missing = server.model_copy(update={"dsn": with_database(server.dsn, "no_such_database")})
    with pytest.raises(DatabaseError, match='database "no_such_database" does not exist'):
        connect(missing)


def test_libpq_environment_and_passfile_lead_to_the_server(server, address, monkeypatch):
    host, port, name = address
    passfile = target(server).partition("passfile=")[2]
    variables = {"HOST": host, "PORT": port, "DATABASE": name, "USER": "deribit"}
    for variable, value in (variables | {"PASSFILE": passfile}).items():
        monkeypatch.setenv(f"PG{variable}", str(value))

    with connect(server.model_copy(update={"dsn": None})) as connection:
        assert fetch(connection, "SELECT current_database()::text") == [(name,)]


def test_the_time_zone_is_utc_also_after_a_rollback(database):
    with connect(database) as connection:
        connection.rollback()
        assert fetch(connection, "SELECT current_setting('timezone')") == [("UTC",)]


def test_what_is_not_committed_is_gone(database):
    with connect(database) as connection:
        execute_script(connection, "CREATE TABLE left_behind (x int); SELECT 1")
    with connect(database) as connection:
        assert fetch(connection, "SELECT to_regclass('left_behind')::text") == [(None,)]


def test_a_lost_connection_is_told_from_a_refused_statement(database, execute):
    with connect(database) as connection:
        pid = fetch(connection, "SELECT pg_backend_pid()")[0][0]
        execute(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(UnreachableError, match="was lost"), database_errors():
            fetch(connection, "SELECT 1")


def test_a_refused_statement_is_one_line_with_its_state(database):
    with pytest.raises(DatabaseError) as caught, database_errors(), connect(database) as connection:
        fetch(connection, "SELECT nothing FROM nowhere")
    assert str(caught.value) == (
        'the database refused: relation "nowhere" does not exist (SQLSTATE 42P01)'
    )
