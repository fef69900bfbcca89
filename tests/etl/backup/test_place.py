"""Lakes that are a disk's own folder, or lie where we may write nothing else."""

import os
import subprocess

import pytest

from etl.backup.place import beside, check_place, move
from etl.errors import UsageError
from lake.errors import PartitionBusyError
from lake.lock import locked, locked_file
from tests.acceptance.command import ROOT, Product
from tests.acceptance.test_disk_full import NAMESPACE, can_mount
from tests.etl.backup.conftest import PASSWORD
from tests.etl.backup.lakes import digests, filled
from tests.etl.staged import PARTITION

needs_mounts = pytest.mark.skipif(not can_mount(), reason="a disk of its own needs a mount")
ON_A_DISK = """
    mkdir $DISK; mount -t tmpfs -o size=64m tmpfs $DISK; mkdir $DISK/lost+found
    mkdir $DISK/.restoring; echo half > $DISK/.restoring/half  # of a restore that was killed
    $AT backup restore; echo "restore $?"
    $AT verify; $AT backup verify; echo "drill $?"
    $AT backup restore --force; echo "again $?"
    cp -a $DISK $COPY
"""


@needs_mounts
def test_a_lake_comes_back_to_a_disk_of_its_own_and_is_drilled_there(home, environment):
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    product = Product(home / "disk", "http://127.0.0.1:9", tuple(settings.items()))
    at = " ".join(product.command())
    variables = {"DISK": str(home / "disk"), "COPY": str(home / "copy"), "AT": at}
    ran = subprocess.run(
        [*NAMESPACE, "bash", "-c", ON_A_DISK],
        cwd=ROOT,
        env={**os.environ, **product.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    told = [line for line in ran.stdout.splitlines() if line[:5] in {"resto", "drill", "again"}]
    assert told == ["restore 0", "drill 0", "again 1"], ran.stderr
    assert not list((home / "copy").glob(".restoring*"))
    assert "cannot be set aside" in ran.stderr
    same = digests(home / "lake")
    assert {name: digests(home / "copy").get(name) for name in same} == same


def test_what_makes_a_lake_of_a_folder_is_moved_into_it_last(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_args: False)
    moved, replace = [], type(tmp_path).replace
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda path, to: (moved.append(to.name), replace(path, to))
    )
    (tmp_path / "lake").mkdir()
    with beside(tmp_path / "lake") as made:
        assert made.parent == tmp_path / "lake"
        for name in ("raw", "ledger", "clean"):
            (made / "lake" / name).mkdir(parents=True)
        (made / "lake" / "lake.json").write_text("{}")
        assert move(made / "lake", tmp_path / "lake") is None

    assert moved == ["clean", "raw", "ledger", "lake.json"]
    assert sorted(path.name for path in (tmp_path / "lake").iterdir()) == sorted(moved)
    with pytest.raises(UsageError, match=r"is not empty .* and cannot be set aside"):
        check_place(tmp_path / "lake", force=True)


@pytest.mark.parametrize(
    "lock", ["live/collect.lock", "operations/sync.lock", "backup/backup.lock", "lake.lock"]
)
def test_a_lake_somebody_works_on_is_not_set_aside(tmp_path, lock):
    (tmp_path / "lake").mkdir()
    with (
        locked_file(tmp_path / "lake" / lock, "it"),
        pytest.raises(PartitionBusyError, match=rf"set aside: {lock} is .* {os.getpid()}; stop"),
    ):
        check_place(tmp_path / "lake", force=True)


def test_a_partition_that_is_being_written_keeps_its_lake_where_it_is(tmp_path):
    lake = filled(tmp_path / "lake")
    (tmp_path / "new").mkdir()
    with locked(lake, [PARTITION]), pytest.raises(PartitionBusyError, match=r"ledger/.*2024.lock"):
        move(tmp_path / "new", lake.root)

    assert lake.clean(PARTITION).exists()
    check_place(lake.root, force=True)
