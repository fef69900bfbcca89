import asyncio
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.deribit.rate_limit import CreditBucket, shared_bucket_path

ROOT = Path(__file__).parents[3]


class Timeline:
    """A clock that only sleeping and we move."""

    def __init__(self, now=1_000.0):
        self.now = now
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)


def bucket(path, timeline, *, capacity=10.0, refill=2.0):
    return CreditBucket(
        path, capacity=capacity, refill=refill, clock=lambda: timeline.now, sleep=timeline.sleep
    )


def waits(path, timeline, *costs, **size):
    """How long each of several requests that come at once has to wait [s]."""
    slept = []
    for cost in costs:
        timeline.slept.clear()
        asyncio.run(bucket(path, timeline, **size).acquire(cost))
        slept.append(sum(timeline.slept))
    return slept


@pytest.fixture
def path(tmp_path):
    return tmp_path / "credits"


def test_a_full_bucket_is_spent_at_once_and_then_at_the_rate_it_refills(path):
    assert waits(path, Timeline(), 5, 5, 5, 5) == [0, 0, 2.5, 5.0]


def test_a_bucket_refills_with_time_and_never_beyond_its_size(path):
    timeline = Timeline()
    waits(path, timeline, 10)
    timeline.now += 1_000

    assert waits(path, timeline, 10, 2) == [0, 1.0]


def test_a_drained_bucket_is_empty(path):
    bucket(path, Timeline()).drain()

    assert waits(path, Timeline(), 4) == [2.0]


def test_draining_does_not_forgive_what_is_owed(path):
    waits(path, Timeline(), 10, 10)

    bucket(path, Timeline()).drain()

    assert waits(path, Timeline(), 2) == [6.0]


def test_two_buckets_of_one_file_are_one(path):
    timeline = Timeline()

    assert waits(path, timeline, 10) == [0]
    assert waits(path, timeline, 2) == [1.0]


def test_after_a_restart_of_the_machine_the_bucket_is_full(path):
    """The monotonic clock starts again at nought."""
    waits(path, Timeline(9_999), 10, 10)

    assert waits(path, Timeline(5), 10, 2) == [0, 1.0]


@given(
    data=st.binary(max_size=40)
    | st.tuples(st.floats(), st.floats()).map(lambda state: struct.pack("<dd", *state))
)
def test_whatever_is_in_the_file_nobody_waits_longer_than_for_a_full_bucket_or_crashes(
    tmp_path_factory, data
):
    path = tmp_path_factory.mktemp("bucket") / "credits"
    path.write_bytes(data)

    (wait,) = waits(path, Timeline(), 1)

    later = waits(path, Timeline(), *[1] * 20)
    assert 0 <= wait <= 3_601
    assert later[-1] > 0  # it limits again


@given(
    requests=st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 8)), min_size=1, max_size=30),
    capacity=st.floats(8, 20),
    refill=st.floats(0.5, 10),
)
def test_no_interval_is_ever_granted_more_than_a_full_bucket_and_its_refill(
    tmp_path_factory, requests, capacity, refill
):
    timeline = Timeline()
    path = tmp_path_factory.mktemp("bucket") / "credits"
    granted = []
    for pause, cost in requests:
        timeline.now += pause
        (wait,) = waits(path, timeline, cost, capacity=capacity, refill=refill)
        granted.append((timeline.now + wait, cost))

    for i, (start, _) in enumerate(granted):
        spent = 0.0
        for moment, cost in granted[i:]:
            spent += cost
            assert spent <= capacity + refill * (moment - start) + cost * 1e-9 + 1e-6


SPEND = """
import asyncio, sys
from pathlib import Path
from etl.deribit.rate_limit import CreditBucket
bucket = CreditBucket(Path(sys.argv[1]), capacity=10, refill=20)
async def spend():
    for _ in range(10):
        await bucket.acquire(1)
asyncio.run(spend())
"""


def test_processes_share_one_bucket(path):
    CreditBucket(path, capacity=10, refill=20).drain()
    command = [sys.executable, "-c", SPEND, str(path)]
    started = time.monotonic()

    spenders = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    codes = [spender.wait(timeout=30) for spender in spenders]

    assert codes == [0, 0, 0]
    assert time.monotonic() - started >= (30 - 10) / 20


def test_every_host_and_kind_has_its_own_file():
    paths = {
        shared_bucket_path(host, kind)
        for host in ("www.deribit.com", "127.0.0.1:8000", "127.0.0.1:8001/x")
        for kind in ("credits", "listings")
    }

    assert len(paths) == 6
    assert all(one.parent.is_dir() and one.parent.stat().st_mode & 0o077 == 0 for one in paths)
