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
from tests.database import wasm

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
        do_without(f"no TimescaleDB ({reason}): name a throw-away one by DERIBIT_LAKE_TEST_DSN")


def do_without(reason):
    """Skip, but not in continuous integration unless a server was named."""
    if os.environ.get("CI") and GIVEN not in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


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
    shut(execute, name)
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


@pytest.fixture(scope="session")
def community_server():
    """Return a server with the community code; opening a database takes it a second."""
    try:
        folder = wasm.unpacked()
    except wasm.WasmError as error:
        do_without(f"no community edition of TimescaleDB ({error})")
    with wasm.started(folder) as running:
        with running.database() as dsn:
            with connect(Settings(dsn=dsn)) as connection:
                migrate.init(connection)
                # There, COPY reads what it is sent from a file of the server.
                execute_script(connection, "GRANT pg_read_server_files TO deribit_loader")
                connection.commit()
            running.keep(dsn, TEMPLATE)
        yield running


@pytest.fixture
def empty_community(community_server):
    """Return settings whose DSN is a new database with the community code, without anything."""
    with community_server.database() as dsn:
        yield Settings(dsn=dsn)


@pytest.fixture
def community(community_server):
    """Return settings whose DSN is a new database with the community code and the schema."""
    with community_server.database(TEMPLATE) as dsn:
        yield Settings(dsn=dsn)


def shut(execute, name):
    """Let nobody in: what somebody is connected to, as TimescaleDB's scheduler, is not copied."""
    execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    sessions = f"pg_stat_activity WHERE datname = '{name}'"
    execute(f"SELECT pg_terminate_backend(pid) FROM {sessions}")


def made(server, execute, template):
    name = f"deribit_test_{os.getpid()}_{next(NUMBERS)}"
    execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield named(server, name)
    execute(f"DROP DATABASE {name} WITH (FORCE)")


def named(settings, name):
    return settings.model_copy(update={"dsn": with_database(settings.dsn, name)})
