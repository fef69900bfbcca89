"""A server whose disk fills up in mid-load says so, and the load ends once there is room."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.acceptance.command import ROOT
from tests.acceptance.test_disk_full import NAMESPACE, can_mount
from tests.database.test_load import END, START, candles, publish

SCRIPT = """
    mount -t tmpfs -o size=130m,mode=711 tmpfs $DISK
    $LAKE db up && $LAKE db init
    $LAKE load; echo "load $?"
    mount -o remount,size=1g $DISK
    $LAKE db up
    $LAKE load; echo "load $?"
    $LAKE verify-db; echo "verify $?"
    $LAKE db down
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs"),
]


@pytest.mark.usefixtures("programs")
def test_a_server_with_a_full_disk_loses_nothing(tmp_path):
    for number in range(8):
        publish(tmp_path / "lake", candles(START, END, f"X{number}-PERPETUAL"))
    with tempfile.TemporaryDirectory(prefix="deribit-lake-disk-") as disk:
        Path(disk).chmod(0o711)
        given = {"ROOT": tmp_path / "lake", "LOG_DIR": tmp_path, "DB_DIR": Path(disk, "db")}
        environment = {f"DERIBIT_LAKE_{name}": str(path) for name, path in given.items()}
        environment |= {"LAKE": shlex.join([sys.executable, "-m", "cli"]), "DISK": disk}
        ran = subprocess.run(
            [*NAMESPACE, "bash", "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = ran.stdout.splitlines()

    assert [line for line in lines if line.startswith(("load ", "verify "))] == [
        "load 1",
        "load 0",
        "verify 0",
    ], ran.stdout + ran.stderr
    (error,) = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: no space left on the database server: ")
    assert "Traceback" not in ran.stderr
