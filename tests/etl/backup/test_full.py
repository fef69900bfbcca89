"""A disk that is full, of the repository or of what is restored: one line, nothing half-written."""

import os
import shlex
import subprocess

import numpy as np
import pytest

from etl.backup.run import run
from tests.acceptance.command import ROOT, Product
from tests.acceptance.test_disk_full import NAMESPACE, can_mount
from tests.etl.backup.conftest import PASSWORD, repository_at
from tests.etl.backup.lakes import digests, filled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs"),
]
REPOSITORY_IS_FULL = """
    $RUN; echo "run $?"; ls $DISK/repository/snapshots | wc -l
    mount -o remount,size=60m $DISK
    $RUN; echo "run $?"; $RESTORE; echo "restore $?"
"""
FILLS_UP = """
    (for _ in $(seq 2000); do [ -n "$(ls $DISK/.back.restoring/lake/raw 2>/dev/null)" ] && break
     sleep 0.01; done; cat /dev/zero > $DISK/hog 2>/dev/null) &
    $RESTORE; echo "restore $?"; wait; ls -A $DISK | tr '\\n' ' '; echo; rm $DISK/hog
    $RESTORE; echo "restore $?"
"""


@pytest.fixture
def lake(tmp_path):
    lake, rng = filled(tmp_path / "lake"), np.random.default_rng(17)
    for number in range(20):
        (lake.root / "raw" / f"noise-{number:02}").write_bytes(rng.bytes(1_000_000))
    return lake


def on_a_small_disk(lake, environment, size, script, repository, back):
    disk = lake.root.with_name("disk")
    disk.mkdir()
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(repository),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    product = Product(lake.root, "http://127.0.0.1:9", tuple(settings.items()))
    variables = {
        "RUN": shlex.join(product.command("backup", "run")),
        "RESTORE": shlex.join(product.command("backup", "restore", "--to", back)),
        "DISK": str(disk),
    }
    ran = subprocess.run(
        [*NAMESPACE, "bash", "-c", f"mount -t tmpfs -o size={size} tmpfs {disk}\n{script}"],
        cwd=ROOT,
        env={**os.environ, **product.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    told = ("run", "restore", "0", "1", "hog")
    return [line for line in ran.stdout.splitlines() if line.startswith(told)], errors


def test_a_repository_that_is_full_is_one_line_and_goes_on_once_there_is_room(lake, environment):
    back = lake.root.with_name("back")
    repository = lake.root.with_name("disk") / "repository"
    said, errors = on_a_small_disk(lake, environment, "12m", REPOSITORY_IS_FULL, repository, back)

    assert said == ["run 1", "0", "run 0", "restore 0"]
    (error,) = errors
    assert error.startswith(f"error: no space is left where the repository {repository} is: ")
    assert digests(back) == digests(lake.root)


def test_a_disk_that_fills_up_while_restoring_is_one_line_and_leaves_nothing(lake, environment):
    repository = lake.root.with_name("repository")
    run(lake, repository_at(repository, environment))
    back = lake.root.with_name("disk") / "back"
    said, errors = on_a_small_disk(lake, environment, "30m", FILLS_UP, repository, back)

    assert said == ["restore 1", "hog ", "restore 0"]
    (error,) = errors
    assert error.startswith(f"error: no space left on the disk that holds {back}")
