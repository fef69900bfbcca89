"""A TimescaleDB for the tests: our own server in a temporary folder, a database for each test."""

import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

import pytest

from etl.config import Settings
from etl.database import migrate, packages
from etl.database.connection import connect, database_errors, execute_script
from etl.database.dsn import with_database
from etl.database.server import down, up

TEMPLATE = "deribit_template"
HERE = Path(__file__).parent
NUMBERS = count()
GIVEN = "DERIBIT_LAKE_TEST_DSN"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def programs():
    """Skip where PostgreSQL's programs cannot be had; a continuous integration has to have them."""
    reason = None if packages.is_unpacked() else packages.obtainable()
    if reason is not None:
        told = f"no TimescaleDB ({reason}): name a throw-away one by DERIBIT_LAKE_TEST_DSN"
        if os.environ.get("CI") and GIVEN not in os.environ:
            pytest.fail(told)
        pytest.skip(told)


@pytest.fixture(scope="session")
def server(request):
    """Return settings whose DSN is a server's: our own, or that of DERIBIT_LAKE_TEST_DSN."""
    if GIVEN in os.environ:
        yield Settings(dsn=os.environ[GIVEN])
        return
    request.getfixturevalue("programs")
    folder = Path(tempfile.mkdtemp(prefix="deribit-lake-database-"))
    folder.chmod(0o711)  # the server's user passes through
    try:
        yield Settings(dsn=up(folder / "db", durable=False).dsn)
    finally:
        down(folder / "db")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def execute(server):
    """Return a function that runs one statement outside of a transaction, on the server."""

    def run(statement, settings=server):
        with database_errors(), connect(settings, autocommit=True) as connection:
            execute_script(connection, statement)

    return run


@pytest.fixture(scope="session")
def template(server, execute):
    """Return the name of a database with the schema, to copy."""
    name = f"{TEMPLATE}_{os.getpid()}"
    execute(f"CREATE DATABASE {name}")
    with connect(named(server, name)) as connection:
        migrate.init(connection)
    # A database somebody is connected to cannot be copied, and TimescaleDB's scheduler would be.
    execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    sessions = f"pg_stat_activity WHERE datname = '{name}'"
    execute(f"SELECT pg_terminate_backend(pid) FROM {sessions}")
    yield name
    execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database(server, execute):
    """Return settings whose DSN is a new database without anything."""
    yield from made(server, execute, "template0")


@pytest.fixture
def database(server, execute, template):
    """Return settings whose DSN is a new database with the schema applied."""
    yield from made(server, execute, template)


def made(server, execute, template):
    name = f"deribit_test_{os.getpid()}_{next(NUMBERS)}"
    execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield named(server, name)
    execute(f"DROP DATABASE {name} WITH (FORCE)")


def named(settings, name):
    return settings.model_copy(update={"dsn": with_database(settings.dsn, name)})
