"""kill -9 between and inside fetch, derive and load: what is said of the lake is always true.

What `status` says is held against a copy of the lake that is rebuilt from its raw alone.
"""

import random
import shutil
import signal
import time

import pytest

from etl import pipeline
from etl.catalog import DATASETS
from etl.check.status import statuses
from etl.config import Settings
from etl.database.load import empty
from etl.database.parts import loadable
from etl.database.verify import verify_database
from etl.progress import LogProgress
from lake.paths import Lake, open_lake
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

MOMENTS = 20
FLOW = ("backfill", "funding", "--start", "2025-06-01", "--load")
pytestmark = pytest.mark.slow


@pytest.fixture
def exchange():
    with running(latency_ms=15, limits=False) as running_exchange:
        yield running_exchange


@pytest.fixture
def products(database, exchange, tmp_path):
    settings = (("DERIBIT_LAKE_DSN", database.dsn), ("DERIBIT_LAKE_CONFIRM_AFTER", "0"))

    def make(name):
        return Product(tmp_path / name / "lake", exchange.url, settings)

    return make


def published(root):
    return digests(root) | digests(root, "derived")


def part_of(files, status):
    """The digests of the files of one part of a dataset, without the folder they lie under."""
    place = f"/{status.dataset}/{status.instrument}/"
    return {path.partition("/")[2]: digest for path, digest in files.items() if place in f"/{path}"}


def assert_true(root, whole):
    """Hold every verdict against what the lake's raw amounts to."""
    told = statuses(Lake(root))
    copy = root.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    settings = Settings(root=copy, confirm_after=0)
    if (copy / "raw").exists():
        list(pipeline.replay(settings, list(DATASETS.values()), LogProgress(), workers=1))
    files, rebuilt = published(root), published(copy)
    after = {(one.dataset, one.instrument): one for one in statuses(open_lake(copy))}
    for one in told:
        if one.dataset == "instruments":
            continue
        mine, from_raw = part_of(files, one), part_of(rebuilt, one)
        if one.verdict == "COMPLETE":
            assert (mine, one.rows) == (from_raw, after[one.dataset, one.instrument].rows)
            assert after[one.dataset, one.instrument].verdict == "COMPLETE"
            assert mine == part_of(whole, one)
        else:
            assert one.why or one.gaps
    return {one.verdict for one in told}


def test_killed_at_20_moments_the_verdict_is_true_and_the_rerun_ends_as_undisturbed(
    products, database
):
    undisturbed = products("undisturbed")
    started = time.monotonic()
    assert undisturbed.run(*FLOW).returncode == 0
    seconds = time.monotonic() - started
    whole, in_database = (
        published(undisturbed.lake),
        verify_database(database, Lake(undisturbed.lake)),
    )
    moments, seen = random.Random(10), set()  # noqa: S311  (moments, not secrets)
    for number in range(MOMENTS):
        empty(database, loadable())
        killed = products(f"killed-{number}")
        process = killed.start(*FLOW)
        time.sleep(moments.uniform(0.3, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if killed.lake.exists():
            seen |= assert_true(killed.lake, whole)
        ran = InProcess(killed).run(*FLOW)

        assert ran.returncode == 0, ran.stderr
        assert published(killed.lake) == whole
        assert verify_database(database, Lake(killed.lake)) == in_database
        shutil.rmtree(killed.lake.parent)
    assert in_database[0] > 10_000
    assert in_database[1] == []
    assert seen - {"COMPLETE"}  # the moments were not all too late
