import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.programs import needed

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "deribit-lake-collect.service"
INSTALLED = "current/bin/deribit-lake"
EXPOSURE = 1.5
"""Most that `systemd-analyze security` may say, of 10; 1.4 with systemd 252."""


@pytest.fixture
def unit(tmp_path):
    """Return the unit with a command that is there."""
    needed("systemd-analyze", "systemd")
    command = Path(sys.executable).parent / "deribit-lake"
    copy = tmp_path / UNIT.name
    text = re.sub(
        rf"^ExecStart=\S+/{INSTALLED}", f"ExecStart={command}", told(), flags=re.MULTILINE
    )
    copy.write_text(text, encoding="utf-8")
    return copy


def told():
    return UNIT.read_text(encoding="utf-8")


def analyze(*words):
    """Return the exit code and all that systemd-analyze says."""
    command = ["systemd-analyze", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_nothing_to_say_about_the_unit(unit):
    assert analyze("verify", "--man=no", unit) == (0, "")


def test_systemd_would_speak_of_a_setting_in_the_wrong_section(unit):
    unit.write_text(unit.read_text().replace("[Unit]", "[Unit]\nRestartSteps=5"))
    assert re.search("Unknown key.* 'RestartSteps' in section", analyze("verify", unit)[1])


def test_the_unit_is_exposed_less_than_stated(unit):
    limit = f"--threshold={EXPOSURE * 10:.0f}"
    code, said = analyze("security", "--offline=true", "--no-pager", limit, unit)
    assert code == 0, said
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", said)[1]) <= EXPOSURE


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
