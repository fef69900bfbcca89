"""A TimescaleDB of one's own: ``db up``, ``db down`` and what they leave on disk.

The folder holds ``cluster/`` (PostgreSQL's data), ``server.json`` (the port), ``passfile`` (0600)
and ``server.log``. The server listens on loopback only, on a port of its own, and never runs as
root. Its password is made up here and stands in the passfile alone.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from etl.database.folder import as_owner, folder_errors, make_folder, owner, write_private
from etl.database.packages import alone, run, unpacked
from etl.errors import LocalServerError

HOST, USER, DATABASE = "127.0.0.1", "deribit", "deribit"
START_SECONDS = 300  # a crashed server first replays its log
STOP_SECONDS = 120

_CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
client_connection_check_interval = '1s'
timezone = 'UTC'
shared_buffers = '256MB'
max_wal_size = '4GB'
max_locks_per_transaction = 256
jit = off
"""
_NOT_DURABLE = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n"


@dataclass(frozen=True, slots=True)
class ServerState:
    """A running server; its DSN names the passfile instead of holding a password."""

    dsn: str
    port: int
    pid: int
    log: Path
    passfile: Path


def up(
    db_dir: Path, port: int | None = None, *, durable: bool = True, cache: Path | None = None
) -> ServerState:
    """Start the server of a folder and return it; a running one is left as it is.

    Parameters
    ----------
    db_dir : Path
        Folder of the server, made if there is none; a link, where root's server cannot reach it.
    port : int, optional
        Port on loopback; default: the one of last time, else a free one.
    durable : bool
        Whether a commit waits for the disk; only throw-away tests go without.
    cache : Path, optional
        Folder to unpack PostgreSQL into.

    Raises
    ------
    LocalServerError
        If PostgreSQL cannot be had on this machine, or does not start.
    """
    programs = unpacked(cache)
    with folder_errors(db_dir):
        db_dir = make_folder(db_dir.absolute())
        with alone(db_dir / "lock"):
            running = status(db_dir) or _start(db_dir, programs, port, durable=durable)
    if port not in {None, running.port}:
        message = (
            f"the server runs on port {running.port}, not {port}: `deribit-lake db down` first"
        )
        raise LocalServerError(message)
    return running


def down(db_dir: Path) -> int | None:
    """Stop the server of a folder and return the pid it had; None if it did not run.

    Raises
    ------
    LocalServerError
        If it does not stop in two minutes.
    """
    cluster = db_dir.resolve() / "cluster"
    with folder_errors(db_dir):
        pid = _postmaster(cluster)
        if pid is None:
            return None
        os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown
    deadline = time.monotonic() + STOP_SECONDS
    while _works_in(pid, cluster):
        if time.monotonic() > deadline:
            message = f"the server (pid {pid}) does not stop: see {db_dir / 'server.log'}"
            raise LocalServerError(message)
        time.sleep(0.02)
    return pid


def status(db_dir: Path) -> ServerState | None:
    """Return the running server of a folder, None if there is none."""
    db_dir = db_dir.resolve()
    with folder_errors(db_dir):
        pid, port = _postmaster(db_dir / "cluster"), _port_of_last_time(db_dir)
    if pid is None or port is None:
        return None
    passfile = db_dir / "passfile"
    dsn = f"postgresql://{USER}@{HOST}:{port}/{DATABASE}?passfile={quote(str(passfile))}"
    return ServerState(dsn, port, pid, db_dir / "server.log", passfile)


def server_dsn(db_dir: Path) -> str | None:
    """Return the DSN of a folder's server, None if the folder has none.

    Raises
    ------
    LocalServerError
        If it has one that does not run.
    """
    running = status(db_dir)
    if running is None and (db_dir / "cluster").exists():
        message = f"the server in {db_dir} does not run: start it with `deribit-lake db up`"
        raise LocalServerError(message)
    return running.dsn if running else None


def _start(db_dir: Path, programs: Path, port: int | None, *, durable: bool) -> ServerState:
    cluster, log = db_dir / "cluster", db_dir / "server.log"
    if not cluster.exists():
        _initialise(db_dir, programs)
    _drop_stale_pid_file(cluster)
    chosen = _choose_port(port, _port_of_last_time(db_dir))
    config = _CONFIG.format(host=HOST, port=chosen) + ("" if durable else _NOT_DURABLE)
    write_private(cluster / "deribit-lake.conf", config, owner())
    write_private(db_dir / "server.json", json.dumps({"port": chosen}) + "\n")
    with log.open("a") as file:
        os.chown(log, *owner())
        said_before = file.tell()
    # pg_ctl hands both paths to a shell between double quotes: none of the user's words in them
    start = [programs / "pg_ctl", "start", "-s", "-w", "-t", START_SECONDS, "-D", "."]
    try:
        run(as_owner([*start, "-l", f"../{log.name}"]), cwd=cluster, env=_environment())
    except LocalServerError as error:
        message = f"the server did not start ({_last_complaint(log, said_before)}): see {log}"
        raise LocalServerError(message) from error
    _make_database(db_dir, programs, chosen)
    state = status(db_dir)
    if state is None:
        message = f"the server started and ended: see {log}"
        raise LocalServerError(message)
    return state


def _initialise(db_dir: Path, programs: Path) -> None:
    """Make a cluster, whole or not at all, and the passfile of its only user."""
    new, password_file = db_dir / "cluster.new", db_dir / "password.new"
    password = secrets.token_urlsafe(24)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    os.chown(new, *owner())
    try:
        write_private(password_file, password, owner())
        options = ["-U", USER, "-A", "scram-sha-256", "--pwfile", password_file, "-E", "UTF8"]
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb = [programs / "initdb", "-D", new, *options, *locale]
        run(as_owner(initdb), cwd=new, env=_environment())
    finally:
        password_file.unlink(missing_ok=True)
    with (new / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("include 'deribit-lake.conf'  # written anew by every `db up`\n")
    write_private(db_dir / "passfile", f"{HOST}:*:*:{USER}:{password}\n")
    new.rename(db_dir / "cluster")


def _make_database(db_dir: Path, programs: Path, port: int) -> None:
    environment = _environment() | {"PGPASSFILE": str(db_dir / "passfile")}
    psql = [programs / "psql", "-qAtX", "-h", HOST, "-p", port, "-U", USER, "-d", "postgres", "-c"]
    found = f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608  a constant
    if run([*psql, found], env=environment).strip() == "0":
        run([*psql, f"CREATE DATABASE {DATABASE}"], env=environment)


def _environment() -> dict[str, str]:
    """Return the environment of the server: none of the caller's PG* settings, no DSN."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _postmaster(cluster: Path) -> int | None:
    """Return the pid of the server that works in a cluster; a recycled pid does not count."""
    try:
        pid = int((cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _works_in(pid, cluster) else None


def _works_in(pid: int, cluster: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == cluster.resolve()
    except OSError:
        return False


def _drop_stale_pid_file(cluster: Path) -> None:
    """Remove the pid file of a dead server if another program has its pid now.

    PostgreSQL tells the other cases itself, and better: it looks for orphaned backends as well.
    """
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    if not any(_works_in(pid, cluster) for pid in pids):
        (cluster / "postmaster.pid").unlink(missing_ok=True)


def _port_of_last_time(db_dir: Path) -> int | None:
    try:
        return int(json.loads((db_dir / "server.json").read_text(encoding="utf-8"))["port"])
    except FileNotFoundError:
        return None


def _choose_port(wanted: int | None, last: int | None) -> int:
    for port in (wanted, last, 0):
        if port is not None:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    if port == wanted:
                        message = f"port {port} cannot be used: {error.strerror}"
                        raise LocalServerError(message) from error
                else:
                    return int(probe.getsockname()[1])
    message = "no free port on loopback"
    raise LocalServerError(message)


def _last_complaint(log: Path, start: int) -> str:
    """Return the last thing a server called fatal since a place in its log."""
    said = log.read_bytes()[start:].decode(errors="replace")
    fatal = re.findall(r"(?:FATAL|PANIC):  (.*)", said)
    return fatal[-1] if fatal else "it did not say why"
