"""Our unit under a systemd that runs, in a machine that is started for it."""

import json
import shlex

import pytest

from tests.deploy.machine import until
from tests.deploy.service import (
    DROP_IN,
    INSTALL,
    PYTHON,
    SECRETS,
    STATE,
    UNIT,
    journal,
    restarts,
    shell,
)

HURRIED = """\
[Service]
ExecStart=
ExecStart=/opt/deribit-lake/current/bin/python /srv/stand_in.py
WatchdogSec=2
RestartSec=0.5
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def unit(machine):
    """Return the machine with the unit running and nothing else told it yet."""
    machine.write(DROP_IN, HURRIED)
    shell(machine, f"rm -f {STATE}/{{refused,broken,silent,look}} && systemctl daemon-reload")
    shell(machine, f"systemctl reset-failed {UNIT}; systemctl restart {UNIT}")
    yield machine
    machine.run("systemctl", "stop", UNIT)


def test_the_unit_is_up_once_the_collector_says_so(unit):
    assert unit.show(UNIT, "ActiveState") == "active"
    assert unit.show(UNIT, "StatusText") == "all channels fresh"


def test_it_stays_up_while_data_are_fresh(unit):
    assert not until(lambda: restarts(unit) > 0, 5)  # of a watchdog of 2 s
    assert unit.show(UNIT, "ActiveState") == "active"


def test_the_watchdog_ends_a_collector_without_data_and_starts_another(unit):
    first = unit.show(UNIT, "MainPID")
    shell(unit, f"touch {STATE}/silent")
    assert until(lambda: restarts(unit) == 1, 10)
    assert until(lambda: unit.show(UNIT, "StatusText") == "all channels fresh", 20)
    assert unit.show(UNIT, "MainPID") != first
    assert "Watchdog timeout" in journal(unit)


def test_the_journal_says_where_a_collector_without_data_stood(unit):
    shell(unit, f"touch {STATE}/silent")
    assert until(lambda: "Fatal Python error: Aborted" in journal(unit), 10)
    assert 'stand_in.py", line' in journal(unit)


def test_a_killed_collector_is_started_again(unit):
    shell(unit, f"systemctl kill --signal=KILL {UNIT}")
    assert until(lambda: restarts(unit) == 1, 10)
    assert until(lambda: unit.show(UNIT, "ActiveState") == "active", 20)


def test_a_collector_that_cannot_run_with_its_configuration_stays_down(unit):
    shell(unit, f"touch {STATE}/refused")
    assert unit.run("systemctl", "restart", UNIT).returncode != 0
    assert not until(lambda: restarts(unit) > 0, 2)
    assert unit.show(UNIT, "ActiveState") == "failed"
    assert "setting root = 'nowhere': not a folder" in journal(unit)


def test_a_collector_that_is_stopped_has_not_failed(unit):
    shell(unit, f"systemctl stop {UNIT}")
    assert unit.show(UNIT, "ActiveState") == "inactive"
    assert unit.show(UNIT, "ExecMainStatus") == "0"


def test_it_comes_back_after_more_failures_than_systemd_usually_allows(unit):
    """Those are five starts in ten seconds."""
    shell(unit, f"touch {STATE}/broken && systemctl kill --signal=KILL {UNIT}")
    assert until(lambda: restarts(unit) >= 8, 10)
    shell(unit, f"rm {STATE}/broken")
    assert until(lambda: unit.show(UNIT, "ActiveState") == "active", 20)


def seen(unit):
    """Return what the sandbox looks like from inside, of a collector that starts now."""
    shell(
        unit, f"touch {STATE}/look && chown deribit-lake {STATE}/look && systemctl restart {UNIT}"
    )
    return json.loads(shell(unit, f"cat {STATE}/look"))


def test_the_libraries_work_and_the_rest_of_the_machine_is_closed(unit):
    found = seen(unit)
    assert found == {
        "user": int(shell(unit, "id --user deribit-lake")),
        "cwd": STATE,
        "dsn": None,
        "compiled": pytest.approx(19.7413, abs=1e-4),
        "cached": found["cached"],
        "scanned": 0.5,
        "written": ["/tmp", *(f"/var/{kind}/deribit-lake" for kind in ("lib", "cache", "log"))],  # noqa: S108  its own
        "secrets": False,
        "families": ["AF_INET", "AF_INET6"],
        "priority": -5,
    }
    assert found["cached"] > 0


def test_what_it_writes_to_tmp_is_its_own(unit):
    assert "/tmp" in seen(unit)["written"]  # noqa: S108  as above
    assert unit.run("test", "-e", "/tmp/tried").returncode == 1  # noqa: S108  as above


SECRET = "p$1 & 'two'"


def test_secrets_reach_the_collector_and_the_command_alike(unit):
    line = f'DERIBIT_LAKE_DSN="{SECRET}"\n'
    unit.write(SECRETS, line)
    assert seen(unit)["dsn"] == SECRET
    asked = "import os; print(os.getuid(), os.environ['DERIBIT_LAKE_DSN'])"
    wrapper = shell(unit, "cat /usr/local/bin/deribit-lake")
    unit.write("/srv/command", wrapper.replace('"$program" --config "$settings"', "python3"))
    told = shell(unit, f"bash /srv/command -c {shlex.quote(asked)}")
    assert told == f"{shell(unit, 'id --user deribit-lake').strip()} {SECRET}\n"
    unit.write(SECRETS, "")


def test_the_command_works_on_the_lake_of_the_collector(unit):
    told = unit.run("/usr/local/bin/deribit-lake", "status")
    assert "UNKNOWN" in told.stdout, told.stderr
    assert shell(unit, f"stat --format=%U {STATE}/lake").strip() == "deribit-lake"


def test_installing_again_leaves_the_running_collector_alone(unit):
    before = unit.show(UNIT, "MainPID")
    done = unit.run(INSTALL, "--python", PYTHON)
    assert done.stdout.startswith("nothing to do: all is there\n")
    assert unit.show(UNIT, "MainPID") == before


def test_an_upgraded_unit_is_what_runs_next(unit):
    path = f"/etc/systemd/system/{UNIT}"
    before = unit.show(UNIT, "MainPID")
    shell(unit, f"sed -i 's/^Nice=.*/Nice=1/' {path}")
    done = unit.run(INSTALL, "--python", PYTHON)
    assert f"file {path}\n" in done.stdout
    assert "collector started again\n" in done.stdout
    assert unit.show(UNIT, "MainPID") != before
    assert seen(unit)["priority"] == -5


def test_a_collector_alone_becomes_the_whole_family_and_runs_on(unit):
    before = unit.show(UNIT, "MainPID")
    shell(unit, "systemctl disable --quiet --now deribit-lake-{sync,backup,drill}.timer")
    shell(unit, "rm -f /etc/systemd/system/deribit-lake-{sync,backup,drill}.{service,timer}")
    shell(unit, "rm -f /var/lib/systemd/timers/stamp-deribit-lake-*; systemctl daemon-reload")
    done = unit.run(INSTALL, "--python", PYTHON)
    assert "deribit-lake-sync.timer started at boot\n" in done.stdout
    state = [unit.show(f"deribit-lake-{one}.timer", "ActiveState") for one in ("sync", "backup")]
    shell(unit, "systemctl stop deribit-lake-sync.timer")
    assert (state, unit.show(UNIT, "MainPID")) == (["active", "inactive"], before)


def test_it_starts_when_the_machine_does(unit):
    assert unit.run("systemctl", "is-enabled", UNIT).stdout == "enabled\n"
