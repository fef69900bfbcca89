"""kill -9 at any moment: the next run needs nobody, and what is restored is the lake."""

import os
import shutil
import time

import numpy as np
import pytest

from etl.backup.run import run
from tests.acceptance.command import Product
from tests.etl.backup.conftest import PASSWORD, repository_at
from tests.etl.backup.lakes import digests, filled
from tests.etl.backup.restoring import restored

MOMENTS = int(os.environ.get("DERIBIT_LAKE_TEST_MOMENTS", "10"))
pytestmark = pytest.mark.slow


@pytest.fixture
def lake(tmp_path):
    lake, rng = filled(tmp_path / "lake"), np.random.default_rng(17)
    for number in range(60):
        (lake.root / "raw" / f"noise-{number:02}").write_bytes(rng.bytes(1_000_000))
    return lake


@pytest.fixture
def product(lake, environment):
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(lake.root.with_name("repository")),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    return Product(lake.root, "http://127.0.0.1:9", tuple(settings.items()))


def test_a_backup_killed_at_random_moments_needs_nothing_but_another_run(
    lake, product, environment
):
    rng, before = np.random.default_rng(17), digests(lake.root)
    began = time.monotonic()
    assert product.run("backup", "run").returncode == 0
    seconds = time.monotonic() - began
    killed = 0
    for number in range(MOMENTS):
        if number % 2:
            shutil.rmtree(
                lake.root.with_name("repository"), ignore_errors=True
            )  # a first run, too, is killed
        process = product.start("backup", "run")
        time.sleep(rng.uniform(0.2, seconds))
        killed += process.poll() is None
        process.kill()
        process.wait()

    repository = repository_at(lake.root.with_name("repository"), environment)
    report = run(lake, repository)

    assert killed >= MOMENTS // 2
    assert report.exit_code == 0
    assert not [one for one in (lake.root / "backup" / "tree").rglob("*") if one.is_file()]
    restored(repository, lake.root.with_name("back"))
    assert digests(lake.root.with_name("back")) == before
    repository.restic.call("check", "--read-data")


def test_a_restore_killed_at_random_moments_never_reads_as_a_lake(lake, product, environment):
    rng, back = np.random.default_rng(17), lake.root.with_name("back")
    repository = repository_at(lake.root.with_name("repository"), environment)
    run(lake, repository)
    began = time.monotonic()
    assert product.run("backup", "restore", "--to", back).returncode == 0
    seconds = time.monotonic() - began
    for _ in range(max(MOMENTS // 2, 1)):
        shutil.rmtree(back, ignore_errors=True)
        process = product.start("backup", "restore", "--to", back)
        time.sleep(rng.uniform(0.2, seconds))
        process.kill()
        process.wait()
        assert not back.exists() or digests(back) == digests(lake.root)

    shutil.rmtree(back, ignore_errors=True)
    assert product.run("backup", "restore", "--to", back).returncode == 0
    assert digests(back) == digests(lake.root)
    assert not back.with_name(".back.restoring").exists()
