"""What doctor says of timers and of the collector's unit, under a systemd that runs."""

import json

import pytest

from tests.deploy.machine import until
from tests.deploy.service import DROP_IN, UNIT, shell
from tests.deploy.test_systemd import HURRIED

pytestmark = pytest.mark.slow

NAMES = ("sync", "backup", "drill")
OURS = ("timer.", "collector.", "credits.")
PROGRAM = "/opt/deribit-lake/current/bin/deribit-lake --config /etc/deribit-lake/deribit-lake.toml"
CACHE = "/var/cache/deribit-lake"
SCRATCH = "/var/cache/deribit-lake/tmp"
FAILS = "[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n"
SERVICE = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
TIMER = "[Timer]\nOnCalendar=*-*-* 02:20:00 UTC\n[Install]\nWantedBy=timers.target\n"


def timer(name):
    return f"deribit-lake-{name}.timer"


def service(name):
    return f"deribit-lake-{name}.service"


def doctor(machine, *, repository="DERIBIT_LAKE_BACKUP__REPOSITORY=/srv/backups", folder=SCRATCH):
    """Return what is found of units, by code, and how many timers are well."""
    script = (
        f"TMPDIR={folder} NUMBA_CACHE_DIR={CACHE}/numba PYTHONDONTWRITEBYTECODE=1 "
        f"{repository} {PROGRAM} doctor --json --offline"
    )
    done = machine.run("bash", "-c", script)
    assert done.stdout, done.stderr
    findings = json.loads(done.stdout)["findings"]
    well = [one for one in findings if one["code"] == "timers" and one["level"] == "ok"]
    return {one["code"]: one for one in findings if one["code"].startswith(OURS)}, len(well)


@pytest.fixture
def running(machine):
    """Return the machine with the collector up and all timers ticking."""
    machine.write(DROP_IN, HURRIED)
    for name in NAMES:
        if machine.show(timer(name), "LoadState") != "loaded":
            machine.write(f"/etc/systemd/system/{timer(name)}", TIMER)
            machine.write(f"/etc/systemd/system/{service(name)}", SERVICE)
    timers = " ".join(map(timer, NAMES))
    shell(machine, f"mkdir -p {SCRATCH} && systemctl daemon-reload")
    shell(machine, f"systemctl enable --now {timers} && systemctl enable {UNIT}")
    shell(machine, f"systemctl reset-failed; systemctl restart {UNIT}")
    assert until(lambda: machine.show(UNIT, "ActiveState") == "active", 20)
    yield machine
    shell(machine, f"systemctl stop {UNIT} {timers}")


def test_timers_that_tick_and_a_collector_that_runs_are_well(running):
    assert doctor(running) == ({}, 3)


def test_a_timer_that_is_disabled(running):
    shell(running, f"systemctl disable --now {timer('sync')}")
    found, well = doctor(running)
    assert list(found) == ["timer.disabled"]
    assert found["timer.disabled"]["what"] == f"{timer('sync')} is disabled and inactive"
    assert found["timer.disabled"]["todo"] == f"systemctl enable --now {timer('sync')}"
    assert well == 2


def test_a_timer_that_is_stopped_until_the_next_boot(running):
    shell(running, f"systemctl stop {timer('backup')}")
    found, _ = doctor(running)
    assert found["timer.disabled"]["what"] == f"{timer('backup')} is enabled and inactive"


def test_timers_of_backups_are_not_missed_where_there_is_no_repository(running):
    shell(running, f"systemctl disable --now {timer('backup')} {timer('drill')}")
    assert doctor(running, repository="")[0] == {}


def test_a_timer_that_is_not_there(running):
    shell(running, f"systemctl disable --now {timer('drill')}")
    shell(running, f"mv /etc/systemd/system/{timer('drill')} /srv && systemctl daemon-reload")
    try:
        found, _ = doctor(running)
    finally:
        shell(running, f"mv /srv/{timer('drill')} /etc/systemd/system && systemctl daemon-reload")
    assert list(found) == ["timer.missing"]
    assert "deploy/install.sh" in found["timer.missing"]["todo"]


def test_what_a_timer_starts_has_failed(running):
    drop_in = f"/etc/systemd/system/{service('backup')}.d/fails.conf"
    running.write(drop_in, FAILS)
    shell(running, f"systemctl daemon-reload; systemctl start {service('backup')} || true")
    found, _ = doctor(running)
    shell(running, f"rm {drop_in}; systemctl daemon-reload; systemctl reset-failed")
    assert list(found) == ["timer.failed"]
    assert found["timer.failed"]["what"].startswith(f"{service('backup')} ended with exit-code")
    assert f"journalctl -u {service('backup')}" in found["timer.failed"]["todo"]


def test_a_collector_that_is_down(running):
    shell(running, f"systemctl stop {UNIT}")
    found, _ = doctor(running)
    assert list(found) == ["collector.down"]
    assert found["collector.down"]["todo"].startswith("systemctl start deribit-lake-collect;")


def test_a_command_that_counts_credits_elsewhere_than_the_collector(running):
    found, _ = doctor(running, folder="/srv")
    assert list(found) == ["credits.apart"]
    assert f"TMPDIR={SCRATCH}" in found["credits.apart"]["todo"]
