"""Phase 5, real time: a server, the collector under systemd, pings, backups that are restored."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.database.dsn import with_database
from tests.acceptance.command import digests
from tests.acceptance.server import COMMAND
from tests.acceptance.smoke import Trial, smoke
from tests.deploy.machine import until
from tests.deploy.service import INSTALL, PYTHON, SECRETS, STATE, UNIT, journal, restarts, shell
from tests.etl.collect.collecting import PERPETUALS, collecting
from tests.etl.collect.health.healthchecks import listening

PATIENCE_S = 120.0
KEPT = ("2025-09-20", "2025-10-17")
"""What is backed up: candles and funding of both perpetuals."""
REPOSITORY = "/var/backups/deribit-lake"
PASSWORD = "made up for this run"


@smoke("SMK-017", tasks=("T-025", "T-026", "T-028"), criteria=("AC-016",))
def server_is_provisioned(trial: Trial) -> None:
    """A bare server gets program, database and service; killed, the collector is started again."""
    server = trial.stage.server
    machine = server.machine
    trial.write("T-025-server.txt", server.installed)
    trial.holds("installed", "release" in server.installed, server.installed)

    said = [server.command("db", word) for word in ("up", "init")]
    status = json.loads(server.command("db", "status", "--json"))
    trial.write("T-026-database.json", json.dumps(status, indent=1))
    trial.holds("a database with the schema", not status["faults"], (said[0], status["faults"]))
    server.command("db", "down")

    enabled = machine.run("systemctl", "is-enabled", UNIT).stdout.strip()
    trial.equal("starts with the machine", enabled, "enabled")
    shell(machine, f"systemctl start {UNIT}")
    wait_for(trial, "it collects", lambda: server.minutes() > 0)
    first = machine.show(UNIT, "MainPID")
    shell(machine, f"systemctl kill --kill-who=main --signal=KILL {UNIT}")
    wait_for(trial, "it was started again", lambda: restarts(machine) == 1)
    wait_for(trial, "it is up", lambda: machine.show(UNIT, "ActiveState") == "active")
    trial.holds("it is another process", machine.show(UNIT, "MainPID") not in {first, "0"}, first)
    shown = machine.run("systemctl", "status", "--no-pager", UNIT).stdout
    trial.write("T-028-service.txt", f"{shown}\n{journal(machine)}")


def wait_for(trial: Trial, what: str, holds: Callable[[], object]) -> None:
    """Fail unless something comes to hold before our patience ends."""
    began = time.monotonic()
    is_so = until(holds, PATIENCE_S)
    trial.holds(what, is_so, f"after {time.monotonic() - began:.1f} s")


@smoke("SMK-018", tasks=("T-027",), criteria=("AC-016", "AC-017"))
def collector_loses_nothing(trial: Trial) -> None:
    """What is collected is the market's minute for minute, through a kill -9 and a stop."""
    server = trial.stage.server
    machine = server.machine
    shell(machine, f"systemctl start {UNIT}")
    wait_for(trial, "live candles are the market's", lambda: server.minutes() > 0)
    before = server.minutes()
    shell(machine, f"systemctl kill --kill-who=main --signal=KILL {UNIT}")
    wait_for(trial, "and ten minutes after a kill -9", lambda: server.minutes() >= before + 10)
    live = machine.run(COMMAND, "status", "--live")
    trial.holds("all is fresh", "verdict: FRESH" in live.stdout, live.stdout + live.stderr)
    shell(machine, f"systemctl stop {UNIT}")
    ended = machine.show(UNIT, "ActiveState"), machine.show(UNIT, "ExecMainStatus")
    trial.equal("stopped in order", ended, ("inactive", "0"))
    kept = server.minutes()
    trial.holds("what there is, is whole", kept >= before + 10, kept)
    files = shell(machine, f"cd {STATE}/lake && find live raw -type f | sort")
    said = {"whole minutes": kept, "of": PERPETUALS, "restarts": restarts(machine)}
    trial.write("T-027-collected.txt", f"{json.dumps(said)}\n{live.stdout}\n{files}")


@smoke("SMK-019", tasks=("T-029",), criteria=("AC-018",))
def monitor_is_told(trial: Trial) -> None:
    """The check is pinged while data are fresh, told when they are not, and of the end."""
    folder = trial.stage.folder / "pinged"
    folder.mkdir()
    told = {"kinds": ("candles", "index"), "write_limit": 600, "clock_limit": 600}
    with (
        listening(limits=False) as checks,
        collecting(folder, speed=30.0, ping_url=checks.url, **told) as (collector, exchange),
    ):
        wait_for(trial, "it says that it starts", lambda: "start" in checks.whats())
        wait_for(trial, "it says that it is well", lambda: "" in checks.whats())
        with stopped(exchange.pid):
            wait_for(trial, "silence is a failure", lambda: "fail" in checks.whats())
        failed = len(checks.pings)
        wait_for(trial, "it is well again", lambda: "" in checks.whats()[failed:])
        trial.equal("it ends with", collector.stop(), 0)
        trial.equal("and says so", checks.whats()[-1], "0")
        log = collector.log
    pings = [{"what": one.what or "success", "body": one.body} for one in checks.pings]
    trial.write("T-029-pings.json", json.dumps(pings, indent=1))
    trial.holds("the address is a secret", checks.url not in log, len(log))


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@smoke("SMK-020", tasks=("T-030",), criteria=("AC-019",))
def backup_comes_back(trial: Trial) -> None:
    """A daily backup is proved by a restore; lake and database, lost, come back row for row."""
    stage, nightly = trial.stage, nightly_of(trial)
    told = stage.run("deribit-lake", "backup", "run", "--json", **nightly)
    drill = stage.run("deribit-lake", "backup", "verify", "--json", **nightly)
    trial.write("T-030-backup.json", told)
    trial.write("T-030-drill.json", drill)
    compared = json.loads(drill)
    least = min(compared[part] or 0 for part in ("partitions", "raw_files", "months"))
    trial.holds("the drill compared lake, raw and database", least > 0, compared)
    trial.equal("faults it found", compared["faults"], [])
    listed = json.loads(stage.run("deribit-lake", "backup", "list", "--json", **nightly))
    trial.equal("backups", len(listed), 1)

    lake = Path(nightly["DERIBIT_LAKE_ROOT"])
    before, counted = whole(lake), rows_of(trial, nightly)
    trial.holds("there is something to lose", min(counted.values()) > 0, counted)
    shutil.rmtree(lake)
    stage.psql("-c", "DROP DATABASE nightly WITH (FORCE)")
    restored = stage.run("deribit-lake", "backup", "restore", **nightly)
    trial.equal("the lake, byte for byte", whole(lake), before)
    trial.equal("the database, row for row", rows_of(trial, nightly), counted)
    verified = stage.run("deribit-lake", "verify-db", **nightly)
    stage.run("deribit-lake", "verify", **nightly)
    trial.write("T-030-restore.txt", f"{restored}\n{verified}\n{json.dumps(counted)}\n")

    scheduled(trial)
    wrong = stage.outcome("deribit-lake", "backup", "run", **nightly | {"RESTIC_PASSWORD": "no"})
    trial.equal("a wrong password ends with", wrong.returncode, 1)
    trial.holds("in a line", wrong.stderr.strip().splitlines()[-1][:7] == "error: ", wrong.stderr)


def scheduled(trial: Trial) -> None:
    """Name a repository to the server, install again, and see the timers that follow of it."""
    machine = trial.stage.server.machine
    told = f"DERIBIT_LAKE_BACKUP__REPOSITORY={REPOSITORY}\nRESTIC_PASSWORD='{PASSWORD}'\n"
    machine.write(SECRETS, shell(machine, f"cat {SECRETS}") + told)
    shell(machine, f"{INSTALL} --python {PYTHON}")
    names = [f"deribit-lake-{what}.timer" for what in ("sync", "backup", "drill")]
    enabled = [machine.run("systemctl", "is-enabled", name).stdout.strip() for name in names]
    shell(machine, f"systemctl start {' '.join(names)}")
    planned = shell(machine, "systemctl list-timers --no-pager 'deribit-lake-*'")
    trial.write("T-030-timers.txt", planned)
    trial.equal("timers of sync, backup and drill", enabled, ["enabled"] * len(names))
    due = [machine.show(name, "NextElapseUSecRealtime") for name in names]
    trial.holds("each knows when it comes next", all(due), due)
    daily = machine.show("deribit-lake-backup.timer", "TimersCalendar")
    trial.holds("the backup is daily", "OnCalendar=*-*-* " in daily, daily)


def nightly_of(trial: Trial) -> dict[str, str]:
    """Return the settings of a lake and a database of a month, loaded, with a repository."""
    stage = trial.stage
    stage.psql("-c", "CREATE DATABASE nightly")
    settings = {
        "DERIBIT_LAKE_ROOT": str(stage.folder / "nightly"),
        "DERIBIT_LAKE_DSN": with_database(stage.dsn, "nightly"),
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(stage.folder / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
    }
    span = ("--start", KEPT[0], "--end", KEPT[1])
    for dataset in ("perpetuals", "funding"):
        words = ("deribit-lake", "backfill", dataset, *span)
        stage.run(*words, host=stage.options.url, **settings)
    for words in (("db", "init"), ("load",)):
        stage.run("deribit-lake", *words, **settings)
    return settings


def whole(lake: Path) -> dict[str, str]:
    """Return the digests of what a lake was fetched as, and of what was made of it."""
    return digests(lake, "raw") | digests(lake)


def rows_of(trial: Trial, settings: dict[str, str]) -> dict[str, int]:
    """Return how many rows the tables of a database have."""
    tables = ("perpetuals_ohlcv", "funding_rates", "index_prices")
    psql = ("deribit-lake", "db", "psql", "-At", "-c")
    asked = {table: (*psql, f"SELECT count(*) FROM {table}") for table in tables}
    return {table: int(trial.stage.run(*words, **settings)) for table, words in asked.items()}
