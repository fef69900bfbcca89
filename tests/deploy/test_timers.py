"""Our timers and what they start, under a systemd that runs: who waits, what a failure does."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.deploy.machine import until
from tests.deploy.service import INSTALL, PYTHON, SECRETS, STATE, shell

NIGHTLY = ("sync", "backup", "drill")
HURRIED = """\
[Service]
ExecStart=
ExecStart=/bin/sh /srv/night.sh {name}
RestartSec=0.2
"""
FEW = """\
[Unit]
StartLimitBurst=3
"""
MANY = """\
[Unit]
StartLimitBurst=1000
"""
SLOW = """\
[Service]
RestartSec=1h
"""
MAIL = """\
#!/bin/sh
cat >> /srv/told
echo "mail $*" >> /srv/told
"""
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
REPOSITORY = "DERIBIT_LAKE_BACKUP__REPOSITORY=/var/backups/deribit-lake\n"
PATIENCE_S = 20
pytestmark = pytest.mark.slow


def written(machine, path):
    """Write a file of systemd's there as docs/operations.md has it."""
    page = OPERATIONS.read_text(encoding="utf-8")
    (text,) = re.findall(rf"^```ini\n# {re.escape(path)}\b.*\n((?:.+\n)+?)```", page, re.MULTILINE)
    machine.write(path, text)


def service(name):
    return f"deribit-lake-{name}.service"


def timer(name):
    return f"deribit-lake-{name}.timer"


@pytest.fixture
def night(machine):
    """Return the machine with all three ready to start, and nothing told them yet."""
    for name in NIGHTLY:
        drop_in = f"/etc/systemd/system/{service(name)}.d/hurried.conf"
        machine.write(drop_in, HURRIED.format(name=name))
    units = " ".join(map(service, NIGHTLY))
    shell(machine, f"cd {STATE} && rm -f nights *.held *.code *.look *.seen /srv/told")
    shell(machine, "systemctl daemon-reload && systemctl reset-failed")
    yield machine
    shell(machine, f"rm -f {STATE}/*.held && systemctl stop {units}")
    shell(machine, "rm -rf /etc/systemd/system/deribit-lake-.service.d")
    machine.write(SECRETS, "")


def nights(machine):
    """Return who began and ended, in order."""
    return shell(machine, f"cat {STATE}/nights 2> /dev/null || true").splitlines()


def begin(machine, name):
    """Start one and return once that was asked for."""
    shell(machine, f"systemctl start --no-block {service(name)}")


def hold(machine, name):
    """Start one that does not end until it is let go."""
    shell(machine, f"touch {STATE}/{name}.held")
    begin(machine, name)
    assert until(lambda: f"{name} begins" in nights(machine), PATIENCE_S)


def let_go(machine, name):
    shell(machine, f"rm {STATE}/{name}.held")


def is_waiting(machine, name):
    """Say whether its start is a job that waits for another's."""
    jobs = shell(machine, "systemctl list-jobs --no-legend --plain")
    return any(service(name) in line and "waiting" in line for line in jobs.splitlines())


def state(machine, name):
    return machine.show(service(name), "ActiveState")


@pytest.mark.parametrize("name", NIGHTLY)
def test_a_night_that_went_well_is_over(night, name):
    shell(night, f"systemctl start {service(name)}")
    assert nights(night) == [f"{name} begins", f"{name} ends"]
    assert (state(night, name), night.show(service(name), "Result")) == ("inactive", "success")


@pytest.mark.parametrize(
    ("first", "second"), [("sync", "backup"), ("backup", "drill"), ("sync", "drill")]
)
def test_one_that_comes_while_another_runs_waits_for_it(night, first, second):
    hold(night, first)
    begin(night, second)
    assert until(lambda: is_waiting(night, second), PATIENCE_S)
    assert nights(night) == [f"{first} begins"]
    let_go(night, first)
    assert until(lambda: f"{second} ends" in nights(night), PATIENCE_S)
    assert nights(night)[1:] == [f"{first} ends", f"{second} begins", f"{second} ends"]


def test_a_sync_does_not_wait_for_a_backup_that_takes_days(night):
    hold(night, "backup")
    shell(night, f"systemctl start {service('sync')}")
    assert nights(night) == ["backup begins", "sync begins", "sync ends"]


def test_a_backup_runs_after_a_sync_that_failed(night):
    shell(night, f"echo 3 > {STATE}/sync.code")
    hold(night, "sync")
    begin(night, "backup")
    let_go(night, "sync")
    assert until(lambda: "backup ends" in nights(night), PATIENCE_S)


@pytest.mark.parametrize("code", [2, 3, 4])
def test_what_trying_again_does_not_change_is_seen_as_failed_at_once(night, code):
    shell(night, f"echo {code} > {STATE}/sync.code")
    assert night.run("systemctl", "start", service("sync")).returncode != 0
    assert not until(lambda: len(nights(night)) > 2, 1)
    assert night.show(service("sync"), "ExecMainStatus") == str(code)
    assert service("sync") in shell(night, "systemctl --failed --no-legend --plain")


@pytest.mark.parametrize("name", NIGHTLY)
def test_an_error_is_tried_again_until_it_passes(night, name):
    night.write("/etc/systemd/system/deribit-lake-.service.d/many.conf", MANY)
    shell(night, f"echo 1 > {STATE}/{name}.code; systemctl daemon-reload")
    begin(night, name)
    assert until(lambda: nights(night).count(f"{name} begins") > 2, PATIENCE_S)
    shell(night, f"rm {STATE}/{name}.code")
    assert until(lambda: state(night, name) == "inactive", PATIENCE_S)
    assert night.show(service(name), "Result") == "success"


def test_one_that_waits_to_be_tried_again_is_so_at_once_by_restart(night):
    """A start would wait for the half hour, too: systemd lets it queue."""
    night.write("/etc/systemd/system/deribit-lake-.service.d/slow.conf", SLOW)
    shell(night, f"echo 1 > {STATE}/sync.code; systemctl daemon-reload")
    begin(night, "sync")
    assert until(lambda: night.show(service("sync"), "SubState") == "auto-restart", PATIENCE_S)
    shell(night, f"rm {STATE}/sync.code && systemctl restart {service('sync')}")
    assert nights(night).count("sync ends") == 2
    assert state(night, "sync") == "inactive"


def test_an_error_that_does_not_pass_is_told_once_and_no_more_tried(night):
    written(night, "/etc/systemd/system/tell@.service")
    written(night, "/etc/systemd/system/deribit-lake-.service.d/tell.conf")
    night.write("/etc/systemd/system/deribit-lake-.service.d/few.conf", FEW)
    night.write("/usr/local/bin/mail", MAIL)
    shell(
        night, f"echo 1 > {STATE}/sync.code; chmod +x /usr/local/bin/mail; systemctl daemon-reload"
    )
    begin(night, "sync")
    assert until(lambda: state(night, "sync") == "failed", PATIENCE_S)
    assert until(lambda: "mail" in shell(night, "cat /srv/told || true"), PATIENCE_S)
    assert not until(lambda: nights(night).count("sync begins") > 3, 1)
    told = shell(night, "cat /srv/told")
    assert told.count("mail -s deribit-lake-sync.service failed you@example.com\n") == 1
    assert "Failed to start deribit-lake-sync.service" in told


def test_one_that_is_stopped_has_not_failed(night):
    hold(night, "backup")
    shell(night, f"systemctl stop {service('backup')}")
    assert state(night, "backup") == "inactive"
    assert nights(night) == ["backup begins"]


def test_a_night_that_ends_takes_no_memory_of_others_of_its_user(night):
    """A server of `db up` is such another: PostgreSQL without its shared memory answers no more."""
    shell(night, "setpriv --reuid=deribit-lake --clear-groups touch /dev/shm/PostgreSQL.1")
    for name in NIGHTLY:
        shell(night, f"systemctl start {service(name)}")
    assert not until(lambda: night.run("test", "-e", "/dev/shm/PostgreSQL.1").returncode, 2)  # noqa: S108


def seen(machine, name):
    """Return what the sandbox looks like from inside."""
    shell(machine, f"touch {STATE}/{name}.look && systemctl start {service(name)}")
    return json.loads(shell(machine, f"cat {STATE}/{name}.seen"))


@pytest.mark.parametrize(("name", "nice"), [("sync", 5), ("backup", 10), ("drill", 15)])
def test_the_libraries_work_and_the_rest_of_the_machine_is_closed(night, name, nice):
    found = seen(night, name)
    own = [f"/var/{kind}/deribit-lake" for kind in ("lib", "cache", "log")]
    repository = "/var/backups/deribit-lake"  # of a sync, too: a backup may follow it
    assert found["written"] == ["/tmp", *own, repository]  # noqa: S108  its own
    assert found["user"] == int(shell(night, "id --user deribit-lake"))
    assert (found["secrets"], found["priority"]) == (False, nice)
    assert found["compiled"] == pytest.approx(19.7413, abs=1e-4)
    assert found["families"] == ["AF_INET", "AF_INET6"]


def test_one_drop_in_opens_a_folder_elsewhere_to_all_of_them(night):
    shell(night, "install -d -o deribit-lake -g deribit-lake /data/deribit")
    assert "/data/deribit" not in seen(night, "backup")["written"]
    written(night, "/etc/systemd/system/deribit-lake-.service.d/disk.conf")
    shell(night, "systemctl daemon-reload")
    assert [name for name in NIGHTLY if "/data/deribit" in seen(night, name)["written"]] == [
        *NIGHTLY
    ]


def next_start(machine, name):
    """Return when a timer comes next."""
    told = machine.show(timer(name), "NextElapseUSecRealtime")
    return datetime.strptime(told, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("sync", 140, 160), ("backup", 260, 270), ("drill", 380, 390)],
)
def test_a_timer_that_is_started_comes_next_at_its_hour(night, name, first, last):
    shell(night, f"systemctl start {timer(name)}")
    moment = next_start(night, name)
    shell(night, f"systemctl stop {timer(name)}")
    assert first <= moment.hour * 60 + moment.minute <= last
    assert 0 < (moment - datetime.now(UTC)).total_seconds() < 8 * 86_400
    assert name != "drill" or moment.isoweekday() == 7


def is_enabled(machine, name):
    return machine.run("systemctl", "is-enabled", timer(name)).stdout.strip()


def forget(machine):
    """Make the timers as if none had ever run."""
    shell(machine, f"systemctl disable {' '.join(map(timer, NIGHTLY))}")
    shell(machine, "rm -f /var/lib/systemd/timers/stamp-*")


def installed(machine):
    done = machine.run(INSTALL, "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sync_starts_at_boot_and_backups_do_once_there_is_a_repository(night):
    forget(night)
    told = installed(night)
    assert [is_enabled(night, name) for name in NIGHTLY] == ["enabled", "disabled", "disabled"]
    assert "then: systemctl start deribit-lake-collect deribit-lake-sync.timer\n" in told
    night.write(SECRETS, REPOSITORY)
    told = installed(night)
    assert [is_enabled(night, name) for name in NIGHTLY] == ["enabled"] * 3
    assert "deribit-lake-backup.timer started at boot\n" in told


def test_a_repository_in_the_settings_counts_too(night):
    forget(night)
    file = "/etc/deribit-lake/deribit-lake.toml"
    before = shell(night, f"cat {file}")
    night.write(file, 'root = "/var/lib/deribit-lake/lake"\n[backup]\nrepository = "b2:lake"\n')
    installed(night)
    night.write(file, before)
    assert is_enabled(night, "drill") == "enabled"


def test_a_timer_that_ran_and_was_disabled_stays_so(night):
    forget(night)
    installed(night)
    shell(night, f"systemctl start {timer('sync')} && systemctl disable --now {timer('sync')}")
    installed(night)
    assert is_enabled(night, "sync") == "disabled"


def test_what_backups_need_is_said_where_it_lacks(night):
    forget(night)
    shell(night, "mv /usr/bin/restic /usr/bin/restic.away 2> /dev/null || true")
    assert "apt-get" not in installed(night)
    night.write(SECRETS, REPOSITORY)
    assert "next: apt-get install restic\n" in installed(night)
    shell(night, "mv /usr/bin/restic.away /usr/bin/restic 2> /dev/null || true")


def test_uninstalling_takes_all_of_them_and_what_they_run(night):
    forget(night)
    night.write(SECRETS, REPOSITORY)
    installed(night)
    shell(night, f"systemctl start {timer('backup')}")
    hold(night, "drill")
    shell(night, "mv /opt/deribit-lake/releases /srv/releases")
    done = night.run(INSTALL, "--uninstall")
    assert done.returncode == 0, done.stderr
    left = shell(night, "systemctl list-units --all --no-legend --plain 'deribit-lake-*'")
    assert [line for line in left.splitlines() if "loaded active" in line] == []
    assert (
        shell(night, "ls /var/lib/systemd/timers /etc/systemd/system/*.wants || true").count(
            "deribit"
        )
        == 0
    )
    shell(night, "mkdir -p /opt/deribit-lake && mv /srv/releases /opt/deribit-lake/")
    assert "current release: " in installed(night)
