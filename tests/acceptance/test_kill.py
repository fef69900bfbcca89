"""kill -9 at any moment loses no more than what was in flight, and nothing that was published."""

import random
import signal
import time

import pyarrow.parquet as pq
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

BACKFILL = ("backfill", "perpetuals", "--start", "2025-01-01", "--end", "2025-10-18")
KILLS = 25
IN_FLIGHT = 16


@pytest.mark.slow
def test_killed_at_25_moments_a_run_ends_as_if_undisturbed(tmp_path):
    with running(latency_ms=20) as exchange:
        undisturbed = Product(tmp_path / "a" / "lake", exchange.url)
        assert InProcess(undisturbed).run(*BACKFILL).returncode == 0
        expected, requests = digests(undisturbed.lake), exchange.stats()["requests"]

    with running(latency_ms=20) as exchange:
        killed = Product(tmp_path / "b" / "lake", exchange.url)
        moments = random.Random(20)  # noqa: S311  (moments, not secrets)
        for _ in range(KILLS):
            kill_after(killed, moments.uniform(0.4, 3.0))
            assert_no_torn_file(killed.lake)
        last = InProcess(killed).run(*BACKFILL)
        total = exchange.stats()["requests"]

    assert last.returncode == 0, last.stderr
    assert digests(killed.lake) == expected
    assert total <= requests + KILLS * IN_FLIGHT
    # The list of instruments is staged under no lock, so a leftover there may be another run's.
    assert {path.parent.name for path in killed.lake.glob("**/*.tmp")} <= {"kind=future"}


def kill_after(product, seconds):
    process = product.start(*BACKFILL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def assert_no_torn_file(lake):
    for path in lake.glob("**/*.parquet"):
        pq.read_table(path, partitioning=None)
