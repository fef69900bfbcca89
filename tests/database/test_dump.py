"""A database dumped, dropped and restored is the same; what is not whole never passes for whole."""

import json
from pathlib import Path

import pytest
from adbc_driver_manager import dbapi

from etl.database import migrate, programs
from etl.database.connection import connect, execute_script, fetch
from etl.database.content import content_of
from etl.database.dump import dump, take_snapshot
from etl.database.maintenance import drop, maintaining
from etl.database.manifest import manifest_path, new_digest, read_dump
from etl.database.restore import NOT_WHOLE, RESTORING, restore
from etl.database.verify import verify_database
from etl.errors import DifferenceError, DumpError, ExtensionError, LoginError, ServerTooOldError
from lake.paths import Lake
from tests.database.dumping import (
    AGAIN,
    bring_back,
    comment_of,
    content,
    ended,
    start_dump,
)
from tests.database.fixtures_of_dumps import again as again  # noqa: PLC0414  a fixture
from tests.database.fixtures_of_dumps import made as made  # noqa: PLC0414  a fixture
from tests.database.test_content import loaded as loaded  # noqa: PLC0414  a fixture
from tests.database.test_load import MINUTES, bring, candles, publish
from tests.database.test_load import settings as settings  # noqa: PLC0414  a fixture


def altered(made, **facts):
    """Write other facts into a dump's manifest."""
    path = manifest_path(made)
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.mark.usefixtures("again")
def test_what_was_dropped_and_restored_is_what_the_lake_has(loaded, tmp_path, server):
    told = dump(loaded.dsn, tmp_path / "db.dump")
    (name,) = names(loaded)
    with maintaining(server.dsn, "anything") as connection:
        drop(connection, name)
    done = restore(server.dsn, tmp_path / "db.dump", database=name)

    assert (done.rows, done.months) == (told.rows, len(told.content.by_month()))
    assert verify_database(loaded, Lake(loaded.root)) == (MINUTES, [])
    assert content(loaded) == told.content
    assert bring(loaded).months_unchanged == 4


def names(settings):
    with connect(settings) as connection:
        return [name for (name,) in fetch(connection, "SELECT current_database()::text")]


def test_hypertables_come_back_as_such_and_go_on_growing(loaded, made, again):
    bring_back(loaded, made)
    publish(loaded.root, candles(instrument="ETH-PERPETUAL"))
    there = again.model_copy(update={"root": loaded.root})

    assert bring(there).inserted == MINUTES
    assert verify_database(there, Lake(loaded.root)) == (2 * MINUTES, [])


def test_a_dump_says_what_it_is_of(loaded, made):
    told = read_dump(made)
    (name,) = names(loaded)
    with connect(loaded) as connection:
        sql = (
            "SELECT extversion::text, (SELECT count(*) FROM reference.load_ledger)"
            " FROM pg_extension WHERE extname = 'timescaledb'"
        )
        ((version, lines),) = fetch(connection, sql)

    assert (told.database, told.timescaledb_version, told.schema_version) == (name, version, 4)
    assert told.roles == ("deribit_loader", "deribit_reader")
    assert told.bytes == made.stat().st_size
    assert told.content.months["reference.load_ledger"]["all"].rows == lines
    assert told.content == content(loaded)


def test_rights_settings_and_views_come_back(loaded, again, tmp_path, execute):
    (name,) = names(loaded)
    execute(f"ALTER DATABASE {name} SET work_mem TO '5MB'")
    execute(f"ALTER DATABASE {name} SET search_path TO reference, public")
    told = dump(loaded.dsn, tmp_path / "db.dump")
    bring_back(loaded, tmp_path / "db.dump")
    sql = (
        "SELECT current_setting('work_mem'), current_setting('search_path'),"
        " has_table_privilege('deribit_loader', 'public.perpetuals_ohlcv', 'TRUNCATE'),"
        " has_table_privilege('deribit_reader', 'public.perpetuals_ohlcv', 'TRUNCATE'),"
        " has_database_privilege('deribit_loader', current_database(), 'TEMPORARY'),"
        " (SELECT count(*) FROM option_iv_1m), current_setting('timescaledb.restoring')"
    )
    with connect(again) as connection:
        found = fetch(connection, sql)

    assert set(told.settings) == {"work_mem=5MB", "search_path=reference, public"}
    assert found == [("5MB", "reference, public", True, False, True, 0, "off")]


def test_an_extension_in_a_schema_of_its_own_comes_back_there(
    empty_database, again, tmp_path, execute
):
    execute('CREATE SCHEMA "Time Series"', empty_database)
    execute('CREATE EXTENSION timescaledb SCHEMA "Time Series"', empty_database)
    with connect(empty_database) as connection:
        migrate.init(connection)
    publish(tmp_path / "lake", candles())
    bring(empty_database.model_copy(update={"root": tmp_path / "lake"}))
    told = dump(empty_database.dsn, tmp_path / "db.dump")
    bring_back(empty_database, tmp_path / "db.dump")

    assert told.timescaledb_schema == "Time Series"
    assert verify_database(again, Lake(tmp_path / "lake")) == (MINUTES, [])


def test_a_table_of_somebody_else_s_and_a_role_s_rights_come_back(loaded, again, tmp_path, execute):
    execute("CREATE ROLE test_alice NOLOGIN")
    execute('CREATE TABLE "My notes" (a int, "B" text)', loaded)
    execute("INSERT INTO \"My notes\" VALUES (1, 'it''s'), (2, NULL)", loaded)
    execute('GRANT SELECT ON "My notes" TO test_alice', loaded)
    dump(loaded.dsn, tmp_path / "db.dump")
    execute('DROP TABLE "My notes"; DROP ROLE test_alice', loaded)
    done = bring_back(loaded, tmp_path / "db.dump")
    with connect(again) as connection:
        rows = fetch(connection, 'SELECT * FROM "My notes" ORDER BY a')
    execute(f"DROP DATABASE {AGAIN} WITH (FORCE)")
    execute("DROP ROLE test_alice")

    assert rows == [(1, "it's"), (2, None)]
    assert done.notes == ("made role test_alice without a login: no dump holds passwords",)


def test_a_database_with_tables_is_replaced_only_by_force(loaded, made, again):
    bring_back(loaded, made)
    with connect(again) as connection:
        execute_script(connection, "DELETE FROM public.perpetuals_ohlcv")
        connection.commit()
    before = content(again)
    with pytest.raises(DumpError, match=f"database {AGAIN} is there and has tables .public.*force"):
        bring_back(loaded, made)
    assert content(again) == before
    with connect(again):  # somebody is in it
        bring_back(loaded, made, force=True)
    assert content(again) == read_dump(made).content


def test_an_empty_database_of_that_name_is_replaced(loaded, made, again, execute):
    execute(f"CREATE DATABASE {AGAIN}")
    bring_back(loaded, made)
    assert content(again) == read_dump(made).content
    assert comment_of(loaded, AGAIN).startswith("restored from a dump of deribit_test_")


@pytest.mark.usefixtures("again")
def test_what_comes_back_otherwise_than_dumped_is_named_and_kept_apart(loaded, made):
    told = json.loads(manifest_path(made).read_text())
    told["content"]["months"]["public.perpetuals_ohlcv"]["2024-12"][0] += 1
    manifest_path(made).write_text(json.dumps(told))
    with pytest.raises(DifferenceError, match="2024-12: expected 44,641 rows") as caught:
        bring_back(loaded, made)

    assert len(caught.value.differences) == 1
    assert comment_of(loaded, AGAIN) is None
    assert comment_of(loaded, AGAIN + RESTORING) == NOT_WHOLE


@pytest.mark.parametrize(
    ("facts", "error", "message"),
    [
        ({"server_version": "99.1"}, ServerTooOldError, "PostgreSQL 17, expected 99 or newer"),
        ({"timescaledb_version": "9.9.9"}, ExtensionError, "lacks TimescaleDB 9.9.9.*it has 2"),
        ({"program": 99}, DumpError, "no pg_restore of version 99 or newer"),
        ({"bytes": 5}, DumpError, "is not the dump its manifest speaks of: expected 5 bytes"),
        ({"bytes": "x"}, DumpError, "is no manifest of a dump"),
    ],
)
@pytest.mark.usefixtures("again")
def test_a_dump_that_cannot_be_restored_here_is_refused(loaded, made, facts, error, message):
    altered(made, **facts)
    with pytest.raises(error, match=message):
        bring_back(loaded, made)
    assert comment_of(loaded, AGAIN) is None
    assert comment_of(loaded, AGAIN + RESTORING) is None


@pytest.mark.usefixtures("again")
def test_a_dump_that_is_cut_or_changed_is_not_restored(loaded, made):
    whole = made.read_bytes()
    for bad in (whole[:-1], whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]):
        made.write_bytes(bad)
        with pytest.raises(DumpError, match="is not the dump its manifest speaks of"):
            bring_back(loaded, made)
    made.unlink()
    with pytest.raises(DumpError, match=r"db.dump is missing"):
        bring_back(loaded, made)
    manifest_path(made).unlink()
    with pytest.raises(DumpError, match=r"db.dump.json is missing"):
        bring_back(loaded, made)


@pytest.mark.usefixtures("again")
def test_pg_restore_s_own_refusal_is_one_line_and_leaves_nothing(loaded, made):
    garbage = b"PGDMP" + made.read_bytes()[5:200]
    made.write_bytes(garbage)
    digest = new_digest()
    digest.update(garbage)
    altered(made, bytes=len(garbage), digest=digest.hexdigest())
    with pytest.raises(DumpError, match=r"^pg_restore failed \(1\): .+$") as caught:
        bring_back(loaded, made)
    assert "\n" not in str(caught.value)
    assert comment_of(loaded, AGAIN + RESTORING) is None


@pytest.mark.usefixtures("again")
def test_who_may_make_no_database_is_told_so(loaded, made, execute):
    execute("CREATE ROLE test_bob LOGIN PASSWORD 'geheim'")
    dsn = loaded.dsn.replace("://deribit@", "://test_bob:geheim@").partition("?")[0]
    try:
        with pytest.raises(DumpError, match="test_bob may not create databases") as caught:
            restore(dsn, made, database=AGAIN)
        with pytest.raises(LoginError):
            restore(dsn.replace("geheim", "falsch"), made, database=AGAIN)
    finally:
        execute("DROP ROLE test_bob")
    assert "geheim" not in str(caught.value)


def test_a_program_older_than_the_server_is_named():
    with pytest.raises(DumpError, match=r"no pg_dump of version 99 .* is version \d+; install"):
        programs.find_program("pg_dump", 99)


def test_the_server_s_own_version_is_preferred_to_a_newer_one(tmp_path, monkeypatch):
    for version in (14, 15, 18):
        folder = tmp_path / str(version) / "bin"
        folder.mkdir(parents=True)
        (folder / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.1'\n")
        (folder / "pg_dump").chmod(0o755)
    monkeypatch.setattr(programs, "INSTALLED", tmp_path)
    assert programs.find_program("pg_dump", 15) == (tmp_path / "15/bin/pg_dump", 15)
    assert programs.find_program("pg_dump", 16)[1] == 18
    assert programs.find_program("pg_dump", 14, at_least=15)[1] == 15


def test_a_password_of_the_dsn_is_in_no_command_line(loaded, tmp_path, execute):
    execute("CREATE ROLE test_carol SUPERUSER LOGIN PASSWORD 'sehr%geheim'")
    dsn = loaded.dsn.replace("://deribit@", "://test_carol:sehr%25geheim@").partition("?")[0]
    try:
        process = start_dump(dsn, tmp_path / "db.dump")
        seen = set()
        while process.poll() is None:
            seen |= {line for line in command_lines() if b"pg_dump" in line and b"--format" in line}
        assert ended(process) == ""
    finally:
        execute("DROP ROLE test_carol")
    assert seen
    assert not [line for line in seen if b"geheim" in line]
    assert read_dump(tmp_path / "db.dump").rows > MINUTES


def command_lines():
    """Yield the command lines of pg_dump, as any user of the machine reads them."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield (folder / "cmdline").read_bytes()
        except OSError:
            continue


@pytest.mark.usefixtures("again")
def test_a_second_restore_at_once_is_refused(loaded, made):
    with (
        maintaining(loaded.dsn, AGAIN),
        pytest.raises(DumpError, match=f"another restore into database {AGAIN} is running"),
    ):
        bring_back(loaded, made)


def test_what_is_unchanged_packs_into_the_same_bytes(loaded, tmp_path):
    """A backup of what is there already then costs nothing."""
    dump(loaded.dsn, tmp_path / "a")
    dump(loaded.dsn, tmp_path / "b")
    first, second = ((tmp_path / name).read_bytes() for name in "ab")
    differing = sum(a != b for a, b in zip(first, second, strict=True))
    assert differing < 100


def test_nothing_is_emptied_once_a_dump_looks_at_its_moment(loaded):
    """TRUNCATE and compression empty a table for older snapshots, too."""
    with connect(loaded) as connection:
        snapshot = take_snapshot(connection)
        with connect(loaded, autocommit=True) as other:
            execute_script(other, "SET lock_timeout = '300ms'")
            for table in ("public.perpetuals_ohlcv", "reference.load_ledger"):
                with pytest.raises(dbapi.Error, match="lock timeout"):
                    execute_script(other, f"TRUNCATE {table}")
            ((chunk,),) = fetch(other, "SELECT show_chunks('perpetuals_ohlcv')::text LIMIT 1")
            with pytest.raises(dbapi.Error, match="lock timeout"):
                execute_script(other, f"TRUNCATE {chunk}")
            execute_script(other, "DELETE FROM public.perpetuals_ohlcv")
        assert content_of(connection).months["public.perpetuals_ohlcv"]["2024-12"].rows == 44_640
    assert snapshot
