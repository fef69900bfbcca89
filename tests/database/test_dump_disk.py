"""A server or a folder whose disk is full says so in one line, and nothing half made stays."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from etl.database.dump import dump
from tests.acceptance.command import ROOT
from tests.acceptance.test_disk_full import NAMESPACE, can_mount
from tests.database.test_load import END, MINUTES, START, bring, candles, publish

RESTORE = """
import sys
from pathlib import Path
from etl.config import Settings
from etl.database.connection import target
from etl.database.restore import restore
from etl.errors import EtlError
try:
    done = restore(target(Settings()), Path(sys.argv[1]), database="again")
except EtlError as error:
    print("error:", error)
else:
    print("restored", done.rows)
"""
DUMP = """
import sys
from pathlib import Path
from etl.database.dump import dump
from lake.errors import LakeError
try:
    dump(sys.argv[1], Path(sys.argv[2]))
except LakeError as error:
    print("error:", error)
"""
SCRIPT = """
    mount -t tmpfs -o size=130m,mode=711 tmpfs $DISK
    $LAKE db up
    $RESTORE
    mount -o remount,size=1g $DISK
    $LAKE db up
    $RESTORE
    $LAKE db down
"""
ON_A_SMALL_DISK = """
    mount -t tmpfs -o size=20k tmpfs $DISK
    eval "$DUMP" $DISK/db.dump
    ls -A $DISK
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs"),
]


@pytest.fixture
def loaded(database, tmp_path):
    """Return settings of a database of 760,000 rows."""
    for number in range(8):
        publish(tmp_path / "lake", candles(START, END, f"X{number}-PERPETUAL"))
    settings = database.model_copy(update={"root": tmp_path / "lake"})
    bring(settings)
    return settings


def ran(script, **given):
    """Return what a script with a disk of its own says."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-disk-") as disk:
        Path(disk).chmod(0o711)
        own = {f"DERIBIT_LAKE_{name}": str(path) for name, path in given.pop("settings").items()}
        own |= {"DERIBIT_LAKE_DB_DIR": f"{disk}/db", "DISK": disk}
        own |= {"LAKE": shlex.join([sys.executable, "-m", "cli"]), **given}
        done = subprocess.run(
            [*NAMESPACE, "bash", "-c", script],
            cwd=ROOT,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def script_of(text, tmp_path, *words):
    path = tmp_path / f"script{len(text)}.py"
    path.write_text(text)
    return shlex.join([sys.executable, str(path), *map(str, words)])


def test_a_restore_onto_a_full_disk_leaves_nothing_and_the_next_completes(loaded, tmp_path):
    whole = dump(loaded.dsn, tmp_path / "db.dump")
    restore = script_of(RESTORE, tmp_path, tmp_path / "db.dump")
    lines = ran(SCRIPT, settings={"LOG_DIR": tmp_path}, RESTORE=restore)
    said = [line for line in lines if not line.startswith(("TimescaleDB runs", "stopped"))]

    # A server that has no room for its own log, either, ends all connections and starts anew.
    told_so = ("error: no space left on the database server: ", "error: the connection to the data")
    assert said[0].startswith(told_so), lines
    assert said[1:] == [f"restored {whole.rows}"]
    assert whole.rows > 8 * MINUTES


def test_a_dump_onto_a_full_disk_leaves_nothing(loaded, tmp_path):
    write = script_of(DUMP, tmp_path, loaded.dsn)
    lines = ran(ON_A_SMALL_DISK, settings={"LOG_DIR": tmp_path}, DUMP=write)

    (line,) = lines
    assert line.startswith("error: no space left on the disk that holds ")
