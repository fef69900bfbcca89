"""Dumps in mid-write, and dumps and restores killed at any moment."""

import random
import signal
import time

import pytest

from etl.database.connection import connect, fetch
from etl.database.dump import dump
from etl.database.load import empty
from etl.database.manifest import read_dump
from etl.database.parts import loadable
from etl.database.restore import NOT_WHOLE, RESTORING
from etl.errors import DumpError
from tests.database.dumping import (
    AGAIN,
    bring_back,
    comment_of,
    content,
    ended,
    start_dump,
    start_restore,
)
from tests.database.fixtures_of_dumps import again as again  # noqa: PLC0414  a fixture
from tests.database.fixtures_of_dumps import made as made  # noqa: PLC0414  a fixture
from tests.database.test_content import loaded as loaded  # noqa: PLC0414  a fixture
from tests.database.test_load import bring
from tests.database.test_load import settings as settings  # noqa: PLC0414  a fixture
from tests.database.test_load_kill import assert_whole_months_only, revise
from tests.database.test_load_kill import start as start_load

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["load", "reload"])
def test_a_dump_in_mid_write_is_one_committed_state(loaded, again, tmp_path, command):
    found = set()
    for turn in range(2):
        revise(loaded, turn)
        loader = start_load(loaded.model_copy(update={"log_dir": tmp_path}), command)
        while loader.poll() is None:
            told = dump(loaded.dsn, tmp_path / "db.dump")
            if (key := told.content.by_month()[next(iter(told.content.by_month()))]) in found:
                continue
            found.add(key)
            bring_back(loaded, tmp_path / "db.dump", force=True)
            assert_whole_months_only(again)
        assert ended(loader) == ""
    assert len(found) > 1


def test_what_is_emptied_meanwhile_is_in_the_dump(loaded, again, tmp_path):
    """TRUNCATE is seen by older snapshots, too: the lock has to come first."""
    emptied = 0
    for _ in range(3):
        bring(loaded)
        before = content(loaded)
        process = start_dump(loaded.dsn, tmp_path / "db.dump")
        wait_for_lock(loaded, process)
        empty(loaded, loadable())
        assert ended(process) == ""
        emptied += read_dump(tmp_path / "db.dump").content == before
    bring_back(loaded, tmp_path / "db.dump")
    assert content(again) == read_dump(tmp_path / "db.dump").content
    assert emptied == 3


def wait_for_lock(settings, process):
    """Wait until a dump has its locks."""
    sql = (
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.relation = 'public.perpetuals_ohlcv'::regclass AND pid <> pg_backend_pid()"
        " AND l.mode = 'AccessShareLock' AND l.granted"
    )
    while process.poll() is None:
        with connect(settings, autocommit=True) as connection:
            if fetch(connection, sql)[0][0]:
                return
        time.sleep(0.002)
    pytest.fail(ended(process))


@pytest.mark.usefixtures("again")
def test_a_dump_killed_at_any_moment_never_passes_for_whole(loaded, tmp_path):
    moments = random.Random(6)  # noqa: S311  (moments, not secrets)
    out, whole = tmp_path / "db.dump", 0
    dump(loaded.dsn, out)
    for _ in range(8):
        out.unlink(missing_ok=True)  # the manifest of the dump before stays
        process = start_dump(loaded.dsn, out)
        wait_for_lock(loaded, process)
        time.sleep(moments.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        try:
            read_dump(out)
        except DumpError:
            continue
        whole += 1
    assert whole < 8
    told = dump(loaded.dsn, out)
    assert bring_back(loaded, out).rows == told.rows
    assert [path.name for path in sorted(tmp_path.glob("db.*"))] == ["db.dump", "db.dump.json"]


def test_a_restore_killed_at_any_moment_leaves_what_was_there(loaded, made, again):
    moments, unfinished = random.Random(7), 0  # noqa: S311  (moments, not secrets)
    bring_back(loaded, made)
    before = content(again)
    for _ in range(8):
        process = start_restore(loaded.dsn, made, AGAIN)
        time.sleep(moments.uniform(0.5, 4.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert content(again) == before
        unfinished += comment_of(loaded, AGAIN + RESTORING) == NOT_WHOLE
    assert unfinished > 0
    wait_for_nobody(loaded, made)
    assert content(again) == before
    assert comment_of(loaded, AGAIN + RESTORING) is None


def test_a_database_lets_everybody_in_until_another_has_its_name(loaded, made, again):
    """Whoever kills a restore at any moment of it has one that can be used."""
    bring_back(loaded, made)
    process, refused, looks = start_restore(loaded.dsn, made, AGAIN), [], 0
    while process.poll() is None:
        with connect(loaded, autocommit=True) as connection:
            sql = f"SELECT datallowconn FROM pg_database WHERE datname = '{AGAIN}'"
            refused += [one for one in fetch(connection, sql) if one != (True,)]
        looks += 1
    assert (ended(process), refused) == ("", [])
    assert looks > 20
    assert content(again) == content(loaded)


def wait_for_nobody(settings, made):
    """Restore as soon as the server has noticed that the killed one is gone."""
    for _ in range(100):
        try:
            return bring_back(settings, made, force=True)
        except DumpError as error:
            assert "another restore into database" in str(error)  # noqa: PT017
            time.sleep(0.1)
    pytest.fail("the lock of a killed restore stays")
