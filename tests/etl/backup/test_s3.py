"""Backups in a real S3 store: what holds for a folder holds there, whatever the network does."""

import shutil
from itertools import count

import numpy as np
import pytest

from etl.backup.run import run
from etl.errors import BackupError, NoRepositoryError, RemoteError
from lake.operations import read_outcome
from lake.paths import Lake
from lake.verify import verify
from tests.etl.backup.conftest import repository_at
from tests.etl.backup.lakes import digests, filled
from tests.etl.backup.restoring import restored
from tests.objects.server import KEYS
from tests.objects.wire import wired

NUMBERS = count()
pytestmark = pytest.mark.slow


@pytest.fixture
def store(object_server):
    return object_server


@pytest.fixture
def lake(tmp_path):
    """A lake with 6 MB that cannot be compressed."""
    lake, rng = filled(tmp_path / "lake"), np.random.default_rng(17)
    for number in range(30):
        (lake.root / "raw" / f"noise-{number:02}").write_bytes(rng.bytes(200_000))
    return lake


@pytest.fixture
def bucket():
    return f"repository-{next(NUMBERS)}"


@pytest.fixture
def keys(environment, tmp_path):
    return environment | KEYS | {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}


def test_a_lake_that_is_deleted_comes_back_from_the_store(store, bucket, lake, keys):
    repository = repository_at(f"s3:{store.s3}/{bucket}", keys)
    first, before = run(lake, repository), digests(lake.root)
    second = run(lake, repository)
    shutil.rmtree(lake.root)

    restored(repository, lake.root)

    assert digests(lake.root) == before
    assert first.added_bytes > 6_000_000
    assert second.read_files == 1  # how the first ended
    assert second.forgotten == 1


def test_wrong_keys_are_one_line_without_them(store, bucket, lake, keys):
    run(lake, repository_at(f"s3:{store.s3}/{bucket}", keys))
    wrong = keys | {"AWS_SECRET_ACCESS_KEY": "swordfish-of-nobody"}
    with pytest.raises(RemoteError, match=r"refuses or does not answer: .*signature") as failure:
        repository_at(f"s3:{store.s3}/{bucket}", wrong).snapshots()
    assert "swordfish" not in str(failure.value)


def test_a_bucket_that_is_not_there_holds_no_repository(store, bucket, keys):
    with pytest.raises(NoRepositoryError, match="`backup run` makes it"):
        repository_at(f"s3:{store.s3}/{bucket}", keys).snapshots()


def test_objects_that_rot_or_vanish_cost_what_is_named_and_nothing_else(store, bucket, lake, keys):
    repository = repository_at(f"s3:{store.s3}/{bucket}", keys)
    run(lake, repository)
    before = digests(lake.root)
    packs = store.objects(bucket, "data")
    largest = max(packs, key=lambda name: len(store.read(bucket, name)))
    data = bytearray(store.read(bucket, largest))
    for at in (10_000, 900_000, 2_500_000):
        data[at] ^= 0xFF
    store.overwrite(bucket, largest, bytes(data))

    report = restored(repository, lake.root.with_name("back"))

    after = digests(lake.root.with_name("back"))
    gone = {name for name in before if name not in after}
    assert all(after[name] == before[name] for name in after)
    assert 1 <= len(report.damaged) <= 3
    assert gone <= set(report.damaged)  # what of them was made again is there
    assert len(report.lost) == len(gone)
    assert not list(verify(Lake(lake.root.with_name("back"))))


def test_a_wire_that_is_cut_again_and_again_stops_no_backup(store, bucket, lake, keys):
    with wired(store.port) as wire:
        repository = repository_at(f"s3:{wire.address}/{bucket}", keys)
        repository.restic.call("init")
        wire.limit = 7_000_000  # a pack gets through, a second on the same connection does not
        report = run(lake, repository)

    assert report.exit_code == 0
    restored(repository_at(f"s3:{store.s3}/{bucket}", keys), lake.root.with_name("back"))
    assert digests(lake.root.with_name("back")) == digests(lake.root)


def test_a_store_that_goes_away_in_mid_upload_ends_the_backup_and_the_next_one_goes_on(
    store, bucket, lake, keys
):
    with wired(store.port) as wire:
        repository = repository_at(f"s3:{wire.address}/{bucket}", keys, stall_minutes=0.1)
        repository.restic.call("init")
        wire.limit = 1_000_000  # no pack ever gets through
        with pytest.raises(BackupError, match=r"made no progress in 0.1 minutes: given up"):
            run(lake, repository)
        assert wire.cuts
        assert read_outcome(lake, "backup").exit_code == 1
        wire.limit = None
        run(lake, repository)

    restored(repository_at(f"s3:{store.s3}/{bucket}", keys), lake.root.with_name("back"))
    assert digests(lake.root.with_name("back")) == digests(lake.root)
