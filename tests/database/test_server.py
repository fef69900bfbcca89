import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from etl.config import Settings
from etl.database import folder, packages, server
from etl.database.connection import connect, execute_script, fetch
from etl.errors import LocalServerError, UnreachableError

pytestmark = pytest.mark.usefixtures("programs")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server has another user")


@contextmanager
def folder_of_a_server():
    """Give the folder of a server that is not there yet, and see to it that none stays."""
    parent = Path(tempfile.mkdtemp(prefix="deribit-lake-server-"))
    parent.chmod(0o711)
    try:
        yield parent / "db"
    finally:
        server.down(parent / "db")
        shutil.rmtree(parent)


@pytest.fixture(scope="module")
def db_dir():
    """Return the folder of a server that runs or not: each test begins by what it needs."""
    with folder_of_a_server() as name:
        yield name


@pytest.fixture
def new_db_dir():
    with folder_of_a_server() as name:
        yield name


@pytest.fixture
def closed(tmp_path, monkeypatch, new_db_dir):
    """Return a folder root's server cannot pass, as /root is; what is open lies beside it."""
    monkeypatch.setattr(folder, "OPEN_TO_ALL", new_db_dir.parent / "open")
    tmp_path.chmod(0o700)
    yield tmp_path
    server.down(tmp_path / "db")


def settings(db_dir):
    return Settings(db_dir=db_dir)


def ask(db_dir, sql):
    with connect(settings(db_dir)) as connection:
        return fetch(connection, sql)


def command_lines():
    """Yield the command line and environment of every process we may look at."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield (process / name).read_bytes()
            except OSError:  # it ended, or belongs to somebody else
                continue


def test_up_is_idempotent_and_down_too(db_dir):
    first = server.up(db_dir)
    assert server.up(db_dir) == first == server.status(db_dir)
    assert server.down(db_dir) == first.pid
    assert server.down(db_dir) is None
    assert server.status(db_dir) is None


def test_data_and_port_stay_from_one_run_to_the_next(db_dir):
    first = server.up(db_dir)
    with connect(settings(db_dir)) as connection:
        execute_script(connection, "CREATE TABLE kept AS SELECT 42 AS x")
        connection.commit()
    server.down(db_dir)

    assert server.up(db_dir).port == first.port
    assert ask(db_dir, "SELECT x FROM kept") == [(42,)]


def test_a_killed_server_recovers_what_was_committed(db_dir):
    first = server.up(db_dir)
    with connect(settings(db_dir)) as connection:
        execute_script(connection, "CREATE TABLE committed AS SELECT generate_series(1, 1000) AS x")
        connection.commit()
        os.kill(first.pid, signal.SIGKILL)
    assert_gone(first.pid)

    assert server.up(db_dir).pid != first.pid
    assert ask(db_dir, "SELECT count(*) FROM committed") == [(1000,)]


def assert_gone(pid):
    wait = threading.Event()
    for _ in range(200):
        try:
            Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return
        wait.wait(0.01)
    pytest.fail(f"process {pid} is still there")


def test_a_recycled_pid_is_not_taken_for_the_server(db_dir):
    first = server.up(db_dir)
    server.down(db_dir)
    pid_file = db_dir / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{db_dir / 'cluster'}\n0\n{first.port}\n\n127.0.0.1\n")

    assert server.status(db_dir) is None
    assert server.down(db_dir) is None
    assert server.up(db_dir).pid != os.getpid()


def test_the_password_stands_in_the_passfile_alone(db_dir):
    state = server.up(db_dir)
    password = state.passfile.read_text().strip().rpartition(":")[2]

    assert stat.S_IMODE(state.passfile.stat().st_mode) == 0o600
    assert len(password) == 32
    assert password not in f"{state}{state.log.read_text()}"
    assert [line for line in command_lines() if password.encode() in line] == []
    left = {path.name for path in db_dir.iterdir()}
    assert left == {"cluster", "lock", "passfile", "server.json", "server.log"}


def test_nobody_gets_in_without_the_password(db_dir):
    state = server.up(db_dir)
    stranger = Settings(dsn=state.dsn.partition("?")[0])
    with pytest.raises(Exception, match="no password supplied"):
        connect(stranger)


def test_the_server_is_durable_and_set_up_for_timescaledb(db_dir):
    server.up(db_dir)
    expected = {
        "client_connection_check_interval": "1s",
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "shared_preload_libraries": "timescaledb",
        "synchronous_commit": "on",
        "timescaledb.telemetry_level": "off",
        "unix_socket_directories": "",
    }
    names = ", ".join(f"'{name}'" for name in expected)
    sql = f"SELECT name, current_setting(name) FROM unnest(ARRAY[{names}]) AS name"
    assert dict(ask(db_dir, sql)) == expected


def test_the_server_does_not_run_as_root(db_dir):
    assert Path(f"/proc/{server.up(db_dir).pid}").stat().st_uid != 0


def test_a_port_can_be_asked_for_and_a_taken_one_is_refused(db_dir):
    server.down(db_dir)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalServerError, match=f"port {port} cannot be used"):
            server.up(db_dir, port)
    assert server.up(db_dir, port).port == port
    with pytest.raises(LocalServerError, match=f"runs on port {port}, not 1:"):
        server.up(db_dir, 1)


def test_a_port_somebody_took_meanwhile_is_replaced(db_dir):
    port = server.up(db_dir).port
    server.down(db_dir)
    with socket.create_server(("127.0.0.1", port)):
        assert server.up(db_dir).port != port


def test_two_at_once_start_one_server(new_db_dir):
    assert_one_server(new_db_dir)


def assert_one_server(db_dir):
    found = []
    both = [threading.Thread(target=lambda: found.append(server.up(db_dir))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found[0] == found[1]


def test_a_server_that_cannot_start_says_why(new_db_dir):
    server.up(new_db_dir)
    server.down(new_db_dir)
    with (new_db_dir / "cluster" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'nonsense'\n")
    with pytest.raises(LocalServerError, match=r"did not start \(configuration file .*\): see"):
        server.up(new_db_dir)


def test_a_stopped_server_is_no_longer_reachable(db_dir):
    dsn = server.up(db_dir).dsn
    server.down(db_dir)
    with pytest.raises(UnreachableError, match="refused"):
        connect(Settings(dsn=dsn))
    with pytest.raises(LocalServerError, match="does not run: start it with"):
        connect(settings(db_dir))


@root_only
def test_under_a_folder_closed_to_its_user_the_server_lies_elsewhere(closed):
    state = server.up(closed / "db", durable=False)

    assert (closed / "db").is_symlink()
    assert state.log.parent == (closed / "db").resolve()
    assert state.log.parent.parent == folder.OPEN_TO_ALL
    assert server.up(closed / "db") == state == server.status(closed / "db")
    assert ask(closed / "db", "SELECT 1") == [(1,)]
    assert server.down(closed / "db") == state.pid
    assert server.up(closed / "db", durable=False).passfile == state.passfile


@root_only
def test_two_at_once_under_a_closed_folder_start_one_server(closed):
    assert_one_server(closed / "db")
    assert len(list(folder.OPEN_TO_ALL.glob("db-*"))) == 1


@root_only
def test_a_folder_made_again_while_a_link_takes_its_place_is_no_obstacle(closed):
    made, stop = closed / "db", threading.Event()

    def make_again():
        while not stop.is_set():
            folder._make(made)

    others = [threading.Thread(target=make_again) for _ in range(2)]
    for other in others:
        other.start()
    try:
        assert folder.make_folder(made).parent == folder.OPEN_TO_ALL
    finally:
        stop.set()
        for other in others:
            other.join()
    assert made.is_symlink()


def test_a_folder_removed_between_two_looks_is_made(new_db_dir):
    stop = threading.Event()

    def remove_and_make():
        while not stop.is_set():
            new_db_dir.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                new_db_dir.rmdir()

    other = threading.Thread(target=remove_and_make)
    new_db_dir.parent.mkdir(parents=True, exist_ok=True)
    other.start()
    try:
        for _ in range(50_000):
            folder._make(new_db_dir)
    finally:
        stop.set()
        other.join()
    folder._make(new_db_dir)
    assert new_db_dir.is_dir()


@root_only
def test_a_server_that_its_user_can_no_longer_reach_says_which_folder_is_closed(new_db_dir):
    server.up(new_db_dir)
    server.down(new_db_dir)
    new_db_dir.parent.chmod(0o700)
    parent = new_db_dir.parent
    with pytest.raises(LocalServerError, match=rf"{parent} is closed to it; `chmod o\+x {parent}`"):
        server.up(new_db_dir)


@root_only
def test_a_strict_umask_closes_nothing_to_the_server(new_db_dir):
    before = os.umask(0o077)
    try:
        server.up(new_db_dir, durable=False)
    finally:
        os.umask(before)
    assert not new_db_dir.is_symlink()
    assert ask(new_db_dir, "SELECT 1") == [(1,)]


def test_any_path_is_a_folder_of_a_server(new_db_dir):
    odd = new_db_dir.parent / """it's "$(touch pwned)" `x` [1] *? %41 = \\ &#""" / ("long" * 30)
    odd.mkdir(parents=True)
    try:
        server.up(odd / "db", durable=False)
        assert ask(odd / "db", "SELECT 1") == [(1,)]
        assert list(new_db_dir.parent.rglob("pwned")) == []
    finally:
        server.down(odd / "db")


def test_a_line_break_in_a_path_is_refused(tmp_path):
    with pytest.raises(
        LocalServerError, match=r"a\\nb/db': PostgreSQL wants a folder without line"
    ):
        server.up(tmp_path / "a\nb" / "db")
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_cannot_be_run_is_named(tmp_path):
    (tmp_path / "initdb").touch(mode=0o600)
    with pytest.raises(LocalServerError, match=r"cannot run .*/initdb: Permission denied"):
        packages.run([tmp_path / "initdb"])


def test_a_machine_without_debian_packages_is_told_where_else_to_go(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalServerError) as caught:
        packages.unpacked(tmp_path / "cache")
    assert str(caught.value) == (
        "no TimescaleDB from Debian's packages: no apt-get on this machine; "
        "use Docker (deploy/compose.yaml) or name another server by --dsn"
    )


def test_a_program_that_an_older_version_left_as_it_was_gets_its_script(tmp_path):
    programs = tmp_path / packages.PROGRAMS
    programs.mkdir(parents=True)
    for name in packages.WRAPPED:
        (programs / name).write_text(f"own {name}")
    (programs / "psql.bin").write_text("own psql")
    (programs / "psql").write_text("its script")
    assert not packages.is_unpacked(tmp_path)
    assert packages.unpacked(tmp_path) == programs

    assert packages.is_unpacked(tmp_path)
    assert (programs / "psql").read_text() == "its script"
    assert (programs / "pg_restore.bin").read_text() == "own pg_restore"
    assert (programs / "pg_restore").read_text().startswith("#!/bin/sh")
    assert os.access(programs / "pg_restore", os.X_OK)
    assert not list(programs.glob("*.new"))
