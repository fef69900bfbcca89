import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from etl.config import Collect
from tests.deploy.programs import needed

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
NIGHTLY = ("sync", "backup", "drill")
FAMILY = ("collect", *NIGHTLY)
INSTALLED = "current/bin/deribit-lake"
EXPOSURE = 1.6
"""Most that `systemd-analyze security` may say, of 10; with systemd 252 1.5, of the nights 1.6."""


@pytest.fixture(params=FAMILY)
def unit(request, tmp_path):
    """Return each of our services with a command that is there."""
    needed("systemd-analyze", "systemd")
    return copied(request.param, tmp_path)


def copied(name, folder):
    command = Path(sys.executable).parent / "deribit-lake"
    copy = folder / f"deribit-lake-{name}.service"
    text = re.sub(
        rf"^ExecStart=\S+/{INSTALLED}", f"ExecStart={command}", told(name), flags=re.MULTILINE
    )
    copy.write_text(text, encoding="utf-8")
    return copy


def told(name="collect", kind="service"):
    return (UNITS / f"deribit-lake-{name}.{kind}").read_text(encoding="utf-8")


def said(name, setting, kind="service"):
    """Return every value a unit gives a setting."""
    return re.findall(rf"^{setting}=(.*)$", told(name, kind), re.MULTILINE)


def analyze(*words):
    """Return the exit code and all that systemd-analyze says."""
    command = ["systemd-analyze", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_nothing_to_say_about_the_unit(unit):
    assert analyze("verify", "--man=no", unit) == (0, "")


@pytest.mark.parametrize("name", NIGHTLY)
def test_systemd_has_nothing_to_say_about_the_timer(name, tmp_path):
    needed("systemd-analyze", "systemd")
    copied(name, tmp_path)
    timer = shutil.copy(UNITS / f"deribit-lake-{name}.timer", tmp_path)
    assert analyze("verify", "--man=no", timer) == (0, "")


def test_systemd_would_speak_of_a_setting_in_the_wrong_section(unit):
    unit.write_text(unit.read_text().replace("[Unit]", "[Unit]\nRestartSteps=5"))
    assert re.search("Unknown key.* 'RestartSteps' in section", analyze("verify", unit)[1])


def test_the_unit_is_exposed_less_than_stated(unit):
    limit = f"--threshold={EXPOSURE * 10:.0f}"
    code, words = analyze("security", "--offline=true", "--no-pager", limit, unit)
    assert code == 0, words
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", words)[1]) <= EXPOSURE


def test_a_unit_that_runs_as_root_would_be_exposed_more(unit):
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=", ""))
    limit = f"--threshold={EXPOSURE * 10:.0f}"
    assert analyze("security", "--offline=true", "--no-pager", limit, unit)[0] == 1


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "Restart=always",
        "RestartPreventExitStatus=2",
        "StartLimitIntervalSec=0",
        "User=deribit-lake",
        "EnvironmentFile=-/etc/deribit-lake/environment",
    ],
)
def test_the_unit_says(line):
    assert line in told().splitlines()


ALIKE = ("User", "Group", "UMask", "EnvironmentFile", "KillMode", "LimitCORE", "WorkingDirectory")
FOLDERS = ("State", "Cache", "Logs")


@pytest.mark.parametrize("name", NIGHTLY)
@pytest.mark.parametrize(
    "setting",
    [*ALIKE, *(f"{kind}Directory{end}" for kind in FOLDERS for end in ("", "Mode"))],
)
def test_the_family_has_one_user_and_the_same_folders(name, setting):
    assert said(name, setting) == said("collect", setting) != []


def hardening(name):
    return told(name).partition("# Hardening.")[2].partition("\n\n")[0].strip()


@pytest.mark.parametrize("name", NIGHTLY)
def test_the_family_is_hardened_alike(name):
    assert hardening(name) == hardening("collect")
    assert hardening(name).count("=") > 20


@pytest.mark.parametrize(
    ("name", "words"),
    [("sync", "sync --wait"), ("backup", "backup run --wait"), ("drill", "backup verify")],
)
def test_the_timers_run(name, words):
    command = f"/opt/deribit-lake/{INSTALLED} --config /etc/deribit-lake/deribit-lake.toml {words}"
    assert said(name, "ExecStart") == [command]
    assert said(name, "Type") == ["oneshot"]


@pytest.mark.parametrize("name", NIGHTLY)
def test_a_night_that_is_not_complete_has_failed_and_an_error_is_tried_again(name):
    assert said(name, "SuccessExitStatus") == ["143 SIGTERM"]
    assert said(name, "Restart") == ["on-failure"]
    assert said(name, "RestartPreventExitStatus") == ["2 3 4"]


@pytest.mark.parametrize(("name", "tries"), [("sync", "10"), ("backup", "10"), ("drill", "3")])
def test_an_error_that_does_not_pass_is_tried_so_often(name, tries):
    assert said(name, "StartLimitBurst") == [tries]


def test_all_of_them_together_do_not_take_the_whole_memory():
    """A backup waits for a sync; a sync may begin beside a backup, a drill waits for both."""
    most = {name: int(said(name, "MemoryMax")[0].removesuffix("%")) for name in FAMILY}
    assert most["collect"] + most["sync"] <= 100
    assert max(most["backup"], most["drill"]) <= most["sync"]


def test_the_first_to_be_killed_for_its_memory_is_the_last_of_the_family():
    scores = [int(said(name, "OOMScoreAdjust")[0]) for name in FAMILY]
    assert scores == sorted(scores)
    assert scores[0] < 0 < scores[1]


@pytest.mark.parametrize("name", ["backup", "drill"])
def test_backups_take_the_disk_when_nobody_else_wants_it(name):
    assert said(name, "IOSchedulingClass") == ["idle"]
    assert int(said(name, "Nice")[0]) > int(said("sync", "Nice")[0])


def test_a_sync_that_is_followed_by_a_backup_may_what_a_backup_may():
    """`keep.backup` runs restic inside the unit of the sync."""
    for setting in ("ReadWritePaths", "SystemCallFilter"):
        assert said("sync", setting) == said("backup", setting)
    assert set(said("backup", "Environment")) <= set(said("sync", "Environment"))


@pytest.mark.parametrize("name", ["backup", "drill"])
def test_backups_may_write_the_folder_the_installer_makes_for_them(name):
    script = (DEPLOY / "install.sh").read_text(encoding="utf-8")
    folder = re.search(r"repository=(\S+)", script)[1]
    assert said(name, "ReadWritePaths") == [f"-{folder}"]


def minutes(moment):
    hours, rest = moment.split(":")[:2]
    return int(hours) * 60 + int(rest)


def begins(name):
    """Return the first and the last minute of the day a timer may start at."""
    (when,) = said(name, "OnCalendar", "timer")
    assert when.endswith(" UTC")
    delay = int(said(name, "RandomizedDelaySec", "timer")[0].removesuffix("min"))
    first = minutes(when.split()[-2])
    return first, first + delay


def test_the_night_goes_in_order_after_the_collectors_fold():
    fold = minutes(Collect().fold_at)
    moments = [fold, *(moment for name in NIGHTLY for moment in begins(name))]
    assert moments == sorted(set(moments))
    assert begins("sync")[0] - fold >= 60


@pytest.mark.parametrize(("name", "days"), [("sync", 1), ("backup", 1), ("drill", 7)])
def test_a_timer_comes_as_often_as_it_should_and_catches_up(name, days):
    needed("systemd-analyze", "systemd")
    (when,) = said(name, "OnCalendar", "timer")
    code, words = analyze("calendar", "--iterations=2", when)
    first, second = re.findall(r"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC$", words, re.MULTILINE)
    apart = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert (code, apart) == (0, timedelta(days=days))
    assert said(name, "Persistent", "timer") == ["true"]


def test_the_unit_stops_later_than_the_collector_drains():
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", told(), re.MULTILINE)[1]) > 30


NO_EXECUTABLE_MEMORY = """
import ctypes
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
import {module}
"""


def forbidden(module):
    script = NO_EXECUTABLE_MEMORY.format(module=module)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def test_numba_does_not_start_where_memory_is_never_both_written_and_run():
    if forbidden("math").returncode:
        pytest.skip("a kernel before 6.3 cannot forbid it")
    assert "cannot allocate executable memory" in forbidden("numba").stderr
    assert "MemoryDenyWriteExecute=" not in told()
