import pytest

from etl.config import Settings
from etl.database.connection import connect, database_errors, execute_script, fetch
from etl.errors import DatabaseError, UnreachableError
from tests.database import wasm


def test_a_connection_leaves_nothing_to_the_next(empty_community):
    with connect(empty_community) as connection:
        execute_script(connection, "CREATE TABLE undone (); CREATE TEMPORARY TABLE passing ()")
        execute_script(connection, "SET search_path = pg_catalog")
    with connect(empty_community) as connection:
        left = "SELECT to_regclass('public.undone'), to_regclass('passing'), current_schema()"
        assert fetch(connection, left) == [(None, None, "public")]


def test_a_second_connection_at_once_is_refused(empty_community):
    with (
        connect(empty_community),
        pytest.raises(UnreachableError, match="one connection at a time"),
    ):
        connect(empty_community)


def test_a_refusal_leaves_the_connection_usable(empty_community):
    with connect(empty_community) as connection:
        for sql in ("SELECT 1 / 0", "SELEC", "SELECT $1::integer / 0"):
            with (
                pytest.raises(DatabaseError, match=r"by zero|syntax|no parameter"),
                database_errors(),
            ):
                fetch(connection, sql)
            connection.rollback()
        assert fetch(connection, "SELECT 1") == [(1,)]


def test_each_database_is_its_own(community_server):
    with community_server.database() as one, community_server.database() as other:
        for dsn in (one, other):
            with connect(Settings(dsn=dsn)) as connection:
                execute_script(connection, "CREATE TABLE made_once ()")
                connection.commit()
                assert fetch(connection, "SELECT count(*) FROM made_once") == [(0,)]


def test_what_the_server_cannot_do_is_said(community_server):
    with pytest.raises(wasm.WasmError, match="nothing was kept as elsewhere"):
        community_server.open("elsewhere")


def test_another_package_than_the_pinned_one_is_refused(tmp_path):
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(wasm.WasmError, match=r"package\.tgz has the SHA-512 .*, expected TJEn"):
        wasm.check_pinned(archive)
