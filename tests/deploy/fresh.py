"""``python -m tests.deploy.fresh``: from a machine just installed to a lake that is proved.

On a new root of each suite, under a systemd of its own: deploy/install.sh, a database, one nightly
sync of a simulated exchange, everything verified; a second sync, and what it asked for; then a
backup, and the drill that restores it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etl.database.server import down, up
from tests.deploy.machine import CannotBootError, Machine, booted
from tests.deploy.root import LIKE_UBUNTU, UBUNTU, made
from tests.exchange.running import RunningExchange, running

ROOT = Path(__file__).parents[2]
SUITES = ("bookworm", "trixie", UBUNTU)
DAYS = 90
MOST_AGAIN = 10
"""Requests of a second sync: a list, and the last page of each of four series, however long."""
CHECKOUT = "/usr/local/src/deribit-lake"
SECRETS = "/etc/deribit-lake/environment"
COMMAND = "/usr/local/bin/deribit-lake"
TIMERS = ("sync", "backup", "drill")
REPOSITORY = "/var/backups/deribit-lake"
LAKE = "/var/lib/deribit-lake/lake"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
OURS = ("PIP_FIND_LINKS", "PYTHONPATH", "VIRTUAL_ENV", "UV_CACHE_DIR")
"""Of this machine's environment, what is not for another; how packages are had holds there too."""


def main() -> None:
    """Try each suite that was asked for, and say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.fresh")
    parser.add_argument("suites", nargs="*", default=SUITES, help=", ".join(SUITES))
    parser.add_argument("--roots", type=Path, help="folder roots are kept in and found again")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deribit-lake-roots-") as own:
        for suite in told.suites:
            try:
                attempt(suite, told.roots or Path(own))
            except CannotBootError as error:
                sys.exit(f"fresh: {error}")


def attempt(suite: str, roots: Path) -> None:
    """Go the whole way on one suite, and say what each step took."""
    began = time.monotonic()
    root = made(suite, roots)
    say(suite, f"a root in {root}", began)
    with (
        tempfile.TemporaryDirectory(prefix="deribit-lake-machine-") as name,
        running(now=None) as exchange,
        booted(Path(name), root) as machine,
        server_of(suite, machine) as dsn,
    ):
        prepare(suite, machine, exchange, dsn)
        about = "systemctl --version | head -n 1; python3 --version; . /etc/os-release; echo $NAME"
        say(suite, " / ".join(did(machine, "bash", "-c", about).splitlines()))
        install(suite, machine)
        database(suite, machine, dsn)
        first, second = (sync(suite, machine, exchange) for _ in range(2))
        verify(suite, machine)
        assert second <= MOST_AGAIN < first, f"{first} requests, then {second}"
        back_up(suite, machine)
        say(suite, told_next(machine), began)


@contextmanager
def server_of(suite: str, machine: Machine) -> Iterator[str | None]:
    """Give a machine whose archive is not Debian's the DSN of a server here; None: its own."""
    if suite != UBUNTU:
        yield None
        did(machine, COMMAND, "db", "down")
        return
    with tempfile.TemporaryDirectory(prefix="deribit-lake-server-") as name:
        Path(name).chmod(0o711)  # the server's user passes through
        folder = Path(name) / "db"
        state = up(folder, durable=False)
        try:
            password = state.passfile.read_text(encoding="utf-8").strip().rpartition(":")[2]
            yield f"postgresql://deribit:{password}@127.0.0.1:{state.port}/deribit"
        finally:
            down(folder)


def prepare(suite: str, machine: Machine, exchange: RunningExchange, dsn: str | None) -> None:
    """Put there what its operator would: a checkout and settings; and how packages are had here."""
    with tempfile.TemporaryDirectory() as name:
        clone = ["git", "clone", "--quiet", "--no-hardlinks", ROOT, f"{name}/clone"]
        subprocess.run(clone, check=True)
        shutil.copytree(f"{name}/clone", f"/proc/{machine.init}/root{CHECKOUT}", symlinks=True)
    for file in (CERTIFICATES, "/etc/pip.conf"):
        if Path(file).exists():
            machine.write(file, Path(file).read_text(encoding="utf-8"))
    if suite == UBUNTU:
        did(machine, "rm", "/etc/os-release")
        machine.write("/etc/os-release", LIKE_UBUNTU)
    did(machine, "apt-get", "--quiet=2", "update")
    since = datetime.now(UTC).date() - timedelta(days=DAYS)
    settings = {"HOST": exchange.url, "KEEP__SINCE": since, "KEEP__DATABASE": "true"}
    settings |= {"BACKUP__REPOSITORY": REPOSITORY} | ({} if dsn is None else {"DSN": dsn})
    lines = (f"DERIBIT_LAKE_{name}={value}\n" for name, value in settings.items())
    did(machine, "install", "-D", "-m", "0600", "/dev/null", SECRETS)
    machine.write(SECRETS, "".join([*lines, "RESTIC_PASSWORD=of a machine that is gone soon\n"]))


def install(suite: str, machine: Machine) -> None:
    """Run the installer, and again, which finds nothing to do."""
    began = time.monotonic()
    told = did(machine, f"{CHECKOUT}/deploy/install.sh")
    say(suite, f"install.sh: {told.splitlines()[-1]}", began)
    began = time.monotonic()
    again = did(machine, f"{CHECKOUT}/deploy/install.sh").splitlines()[0]
    assert again == "nothing to do: all is there", again
    say(suite, f"install.sh again: {again}", began)


def database(suite: str, machine: Machine, dsn: str | None) -> None:
    """Start a server where none was named, and make its tables."""
    began = time.monotonic()
    if dsn is None:
        did(machine, COMMAND, "db", "up")
    told = did(machine, COMMAND, "db", "init")
    say(suite, f"a database: {told.splitlines()[-1]}", began)


def sync(suite: str, machine: Machine, exchange: RunningExchange) -> int:
    """Let the unit run once; return how many requests that took."""
    before, began = exchange.stats()["requests"], time.monotonic()
    run(machine, "sync")
    asked = int(exchange.stats()["requests"]) - int(before)
    say(suite, f"sync: COMPLETE, {asked} requests", began)
    return asked


def run(machine: Machine, name: str) -> None:
    """Let one of the night's units run once, and see that it did all it had to."""
    unit = f"deribit-lake-{name}.service"
    started = machine.run("systemctl", "start", unit)
    said = machine.run("journalctl", "--unit", unit, "--output=cat", "--no-pager").stdout
    assert started.returncode == 0, said
    outcome = json.loads(did(machine, "cat", f"{LAKE}/operations/{name}.json"))
    assert outcome["exit_code"] == 0, outcome


def verify(suite: str, machine: Machine) -> None:
    """Hold every file against the ledger and the database against the lake."""
    began = time.monotonic()
    verdict = json.loads(did(machine, COMMAND, "status", "--json"))["verdict"]
    assert verdict == "COMPLETE", verdict
    files = did(machine, COMMAND, "verify").splitlines()[-1]
    rows = did(machine, COMMAND, "verify-db").splitlines()[-1]
    say(suite, f"status: {verdict}; verify: {files}; verify-db: {rows}", began)


def back_up(suite: str, machine: Machine) -> None:
    """Back up the lake and the database, and restore both beside those that live."""
    for what in ("backup", "drill"):
        began = time.monotonic()
        run(machine, what)
        say(suite, f"{what}: done", began)


def told_next(machine: Machine) -> str:
    """Return when each timer comes next; a repository is set, so all of them are enabled."""
    timers = [f"deribit-lake-{name}.timer" for name in TIMERS]
    did(machine, "systemctl", "--quiet", "is-enabled", *timers)
    did(machine, "systemctl", "start", *timers)
    moments = (machine.show(timer, "NextElapseUSecRealtime") for timer in timers)
    return "; ".join(f"{name} next {moment}" for name, moment in zip(TIMERS, moments, strict=True))


def did(machine: Machine, *command: object) -> str:
    """Return what a command says there that must not fail."""
    env = ["env", *(f"--unset={name}" for name in OURS), f"PATH={os.defpath}:/usr/sbin:/sbin"]
    done = machine.run(*env, *command)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def say(suite: str, what: str, began: float | None = None) -> None:
    """Print a line, with the time since a moment."""
    seconds = "       " if began is None else f"{time.monotonic() - began:5.0f} s"
    sys.stdout.write(f"{suite:>9} {seconds}  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
