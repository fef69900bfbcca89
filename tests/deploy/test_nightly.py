"""What the timers start, itself, under our units: a simulated exchange, a real systemd, restic."""

import json
import time

import pytest

from tests.deploy.programs import needed
from tests.deploy.service import DROP_IN, SECRETS, STATE, shell
from tests.exchange.running import running

NIGHTLY = ("sync", "backup", "drill")
REPOSITORY = "/var/backups/deribit-lake"
PASSWORD = "k$9 & not 'told'"
COMMAND = "/usr/local/bin/deribit-lake"
HELD = {
    "KEEP__SINCE": "2025-10-12",
    "CREDIT_REFILL": 10**7,
    "CREDIT_CAPACITY": 5 * 10**7,
    "BACKUP__REPOSITORY": REPOSITORY,
}
MOST_AGAIN = 10  # requests: a list, and the last page of each of four series
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as one:
        yield one


def settings(exchange, **told):
    """Return the file of the environment."""
    plain = {"HOST": exchange.url} | HELD | told
    lines = [f"DERIBIT_LAKE_{name}={value}" for name, value in plain.items()]
    return "\n".join([*lines, f'RESTIC_PASSWORD="{PASSWORD}"', ""])


@pytest.fixture
def night(machine, exchange):
    """Return the machine with an empty lake, and the units as they are installed."""
    needed("restic", "restic")
    for name in NIGHTLY:
        shell(machine, f"rm -rf /etc/systemd/system/deribit-lake-{name}.service.d")
    shell(machine, f"rm -rf {DROP_IN} {STATE}/lake/* {STATE}/lake/.[!.]* {REPOSITORY}/*")
    shell(machine, "systemctl daemon-reload && systemctl reset-failed")
    machine.write(SECRETS, settings(exchange))
    yield machine
    shell(machine, f"systemctl stop {' '.join(f'deribit-lake-{name}.service' for name in NIGHTLY)}")
    machine.write(SECRETS, "")
    shell(machine, f"rm -rf {STATE}/lake/* {REPOSITORY}/*")


def begin(machine, name):
    """Start one, and return its exit status once it has ended."""
    machine.run("systemctl", "restart", f"deribit-lake-{name}.service")
    return int(machine.show(f"deribit-lake-{name}.service", "ExecMainStatus"))


def said(machine, name, since=0.0):
    """Return what the journal has on one from a moment on [Unix s]."""
    words = ["--unit", f"deribit-lake-{name}", "--output=cat", f"--since=@{since:.3f}"]
    return machine.run("journalctl", *words).stdout


def outcome(machine, name):
    """Return what the lake keeps of how one ended."""
    return json.loads(shell(machine, f"cat {STATE}/lake/operations/{name}.json"))


def asked(exchange):
    return exchange.stats()["requests"]


def test_a_sync_is_complete_and_a_second_asks_for_what_is_new_only(night, exchange):
    before = asked(exchange)
    assert begin(night, "sync") == 0, said(night, "sync")
    first = asked(exchange) - before
    assert begin(night, "sync") == 0
    assert asked(exchange) - before - first <= MOST_AGAIN
    assert outcome(night, "sync")["exit_code"] == 0
    assert "COMPLETE" in shell(night, f"{COMMAND} status")


def test_what_is_kept_wrongly_has_failed_and_is_not_tried_again(night, exchange):
    night.write(SECRETS, settings(exchange, KEEP__INSTRUMENTS='["BTC-PERPETUA"]'))
    assert begin(night, "sync") == 2
    assert night.show("deribit-lake-sync.service", "ActiveState") == "failed"
    assert "BTC-PERPETUAL" in said(night, "sync")


def test_a_backup_is_made_and_restored_within_the_sandbox(night):
    assert begin(night, "sync") == 0
    assert begin(night, "backup") == 0, said(night, "backup")
    assert shell(night, f"stat --format='%U %a' {REPOSITORY}") == "deribit-lake 700\n"
    assert begin(night, "drill") == 0, said(night, "drill")
    assert [outcome(night, name)["exit_code"] for name in ("backup", "drill")] == [0, 0]


def test_nothing_of_a_backup_that_was_restored_is_left(night):
    assert [begin(night, name) for name in NIGHTLY] == [0, 0, 0]
    left = shell(night, "find /var/cache/deribit-lake/tmp -type f -size +100k")
    assert left == ""


def test_the_password_is_told_to_nobody(night):
    began = time.time()
    assert [begin(night, name) for name in NIGHTLY] == [0, 0, 0]
    told = "".join(said(night, name, began) for name in NIGHTLY)
    assert len(told.splitlines()) > 10
    assert PASSWORD not in told + shell(night, "cat /var/log/deribit-lake/*")


def test_a_wrong_password_is_an_error_that_is_tried_again(night, exchange):
    assert [begin(night, name) for name in ("sync", "backup")] == [0, 0]
    night.write(SECRETS, settings(exchange).replace(PASSWORD, "another"))
    assert begin(night, "backup") == 1
    assert night.show("deribit-lake-backup.service", "SubState") == "auto-restart"
