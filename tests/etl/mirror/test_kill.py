"""A push or a pull that is killed or loses its connection, and is run again."""

import os
import subprocess
import sys
import time

import pytest

from lake import raw
from lake.errors import UnreachableStoreError
from lake.ledger import read_record
from lake.paths import Lake
from lake.publish import publish, withdraw
from lake.read import checksum_of
from tests.etl.backup.lakes import OTHER
from tests.etl.mirror.test_copies import beside, revise
from tests.etl.staged import MINUTES, PARTITION, folded
from tests.objects.server import KEYS, REGION

pytestmark = pytest.mark.slow
MOMENTS = (1, 4, 9, 14, 19, 26)  # requests after which a process is killed; a push here takes 31
LIMIT_S = 120


def killed_after(requests, bucket, root, *words):
    """Run a command, and kill it when so many requests have passed; return whether it was."""
    told = {"AWS_ENDPOINT_URL": bucket.wire.address, "AWS_REGION": REGION}
    before, deadline = len(bucket.wire.requests), time.monotonic() + LIMIT_S
    command = [sys.executable, "-m", "cli", "--lake", str(root), *words, bucket.address]
    with subprocess.Popen(
        command,
        env={**os.environ, **KEYS, **told},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and len(bucket.wire.requests) - before < requests:
            assert time.monotonic() < deadline, words
            time.sleep(0.0005)
        process.kill()
        process.wait()
    return process.returncode != 0


def files(lake):
    return {name: (lake.root / name).read_bytes() for name in beside(lake) if name != "lake.json"}


def test_a_push_that_is_killed_leaves_what_an_undisturbed_one_does(lake, bucket):
    was_killed = []
    for requests in MOMENTS:
        was_killed.append(killed_after(requests, bucket, lake.root, "push"))
        there = bucket.at()
        for one in there.partitions():
            record = read_record(there, one)
            assert record == read_record(lake, one)
            assert checksum_of(there.published(record.top, one)) == record.checksum
    bucket.push(lake)
    assert any(was_killed)
    assert bucket.objects() == files(lake)

    revise(lake)
    raw.merge(MINUTES.raw_folder(lake, PARTITION), at_least=2)
    publish(lake, PARTITION, folded(lake))
    withdraw(lake, next(one for one in lake.partitions() if one.dataset == "index_prices"))
    for requests in MOMENTS[1::2]:
        killed_after(requests, bucket, lake.root, "push")
    bucket.push(lake)
    assert bucket.objects() == files(lake)


def test_a_pull_that_is_killed_leaves_what_an_undisturbed_one_does(lake, bucket, tmp_path):
    bucket.push(lake)
    back = Lake(tmp_path / "back")

    was_killed = [killed_after(number, bucket, back.root, "pull") for number in MOMENTS[::2]]

    bucket.pull(back.root)
    assert any(was_killed)
    assert beside(back) == beside(lake)


def test_a_push_that_loses_its_connection_says_so_and_goes_on_when_run_again(lake, bucket):
    fault = bucket.wire.fails("PUT", f"{bucket.prefix}/clean", times=1_000, cut_at=10)
    with pytest.raises(UnreachableStoreError, match=r"cannot be reached .* run the same command"):
        bucket.push(lake)
    assert fault.met > 1
    bucket.wire.faults.remove(fault)

    bucket.push(lake)

    assert bucket.objects() == files(lake)
    assert read_record(bucket.at(), OTHER) == read_record(lake, OTHER)
