"""A lake in a bucket is what one in a folder is, byte for byte, whatever happens to its writers."""

import json
import os
import random
import signal
import time

import pytest

from etl.backfill import settle
from tests.acceptance.command import Product, digests
from tests.acceptance.in_bucket import UNTOLD, bucketed, digests_in, last_line
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running
from tests.objects.wire import wired

MOMENTS = int(os.environ.get("DERIBIT_LAKE_TEST_MOMENTS", "5"))
NAMES = "BTC-PERPETUAL,ETH-PERPETUAL"
WEEK = ("backfill", "perpetuals", "--instruments", NAMES, "--start", "2025-10-11")
AT_ONCE = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
REQUESTS = 14  # of a partition, besides one to put and one to get each segment
ALL = (
    ("backfill", "perpetuals", "--instruments", NAMES, "--start", "2025-09-01"),
    ("backfill", "futures", "--currency", "BTC", "--start", "2025-08-01"),
    ("backfill", "options", "--currency", "BTC", "--start", "2025-10-15"),
    ("backfill", "index", "--start", "2025-08-01"),
    ("backfill", "dvol", "--start", "2025-09-01"),
    ("compute",),
)
BUSY = 1


@pytest.fixture(scope="module")
def exchange():
    with running(latency_ms=20) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def week(exchange, tmp_path_factory):
    """What an undisturbed run leaves in a folder."""
    product = Product(tmp_path_factory.mktemp("folder") / "lake", exchange.url, AT_ONCE)
    assert InProcess(product).run(*WEEK).returncode == 0
    return digests(product.lake)


@pytest.fixture
def product(exchange, object_server, tmp_path):
    address = f"s3://{object_server.bucket()}/lake"
    return bucketed(tmp_path / "there", exchange.url, address=address, store=object_server.s3)


def test_what_is_in_the_bucket_is_what_would_be_in_a_folder(
    exchange, week, object_server, tmp_path, monkeypatch
):
    with wired(object_server.port) as wire:
        address = f"s3://{object_server.bucket()}/some/lake"
        product = bucketed(tmp_path / "a", exchange.url, address=address, store=wire.address)
        done = InProcess(product).run(*WEEK)
        counted = wire.counted("ledger/perp") + wire.counted("clean/perp")
        found = digests_in(product, monkeypatch)
        query = "SELECT count(*) AS n FROM perpetuals_ohlcv"
        told = InProcess(product).run("query", query, "--format", "json")
        verified = InProcess(product).run("verify")
        status = InProcess(product).run("status")

    assert done.returncode == 0, done.stderr
    assert found == week
    assert sum(counted.values()) <= REQUESTS * len(week)
    assert json.loads(told.stdout) == [{"n": 2 * 7 * 1440}]
    assert (verified.returncode, status.returncode) == (0, 0), verified.stderr + status.stderr
    assert [path.name for path in (tmp_path / "a").glob("**/*.parquet")] == []


def test_killed_at_random_moments_a_run_ends_as_if_undisturbed(product, week, monkeypatch):
    moments = random.Random(7)  # noqa: S311  (moments, not secrets)
    for _ in range(MOMENTS):
        process = product.start(*WEEK)
        time.sleep(moments.uniform(0.6, 3.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = InProcess(product).run(*WEEK)

    assert last.returncode == 0, last.stderr
    assert digests_in(product, monkeypatch) == week
    assert InProcess(product).run("verify").returncode == 0


def test_a_large_partition_is_folded_apart_and_published_under_its_lease(
    product, week, monkeypatch
):
    monkeypatch.setattr(settle, "LARGE_BYTES", 1)

    done = InProcess(product).run(*WEEK)

    assert done.returncode == 0, done.stderr
    assert digests_in(product, monkeypatch) == week


def test_two_writers_at_once_leave_what_one_leaves(product, week, monkeypatch):
    waiting = [product.start(*WEEK, "--wait") for _ in range(2)]
    impatient = product.run(*WEEK)
    codes = [one.wait(timeout=120) for one in waiting]

    assert codes == [0, 0]
    assert digests_in(product, monkeypatch) == week
    if impatient.returncode:
        assert impatient.returncode == BUSY
        assert "is being written by process" in last_line(impatient)


def test_a_connection_cut_while_it_publishes_is_tried_again(
    exchange, week, object_server, tmp_path, monkeypatch
):
    with wired(object_server.port) as wire:
        address = f"s3://{object_server.bucket()}"
        product = bucketed(tmp_path / "b", exchange.url, address=address, store=wire.address)
        cut = wire.fails("PUT", "/clean/", cut_at=10_000)
        lost = wire.fails("PUT", ".json", swallowed=True, times=2)
        done = InProcess(product).run(*WEEK)
        found = digests_in(product, monkeypatch)

    assert (cut.met, lost.met) == (1, 2)
    assert done.returncode == 0, done.stderr
    assert found == week


def test_a_store_that_goes_away_is_one_line_and_the_next_run_goes_on(
    exchange, week, object_server, tmp_path, monkeypatch
):
    with wired(object_server.port) as wire:
        address = f"s3://{object_server.bucket()}"
        product = bucketed(tmp_path / "c", exchange.url, address=address, store=wire.address)
        wire.fails("PUT", "/clean/", cut_at=10_000, times=1_000)
        broken = InProcess(product).run(*WEEK)
        wire.faults.clear()
        again = InProcess(product).run(*WEEK)
        found = digests_in(product, monkeypatch)

    assert broken.returncode == 1
    assert "cannot be reached" in last_line(broken)
    assert "Traceback" not in broken.stderr
    assert again.returncode == 0, again.stderr
    assert found == week


@pytest.mark.slow
def test_all_that_is_fetched_and_computed_is_the_same_in_a_bucket(
    object_server, tmp_path, monkeypatch
):
    told = {"options_since": "2025-10-01T00:00:00Z", "option_activity": 0.03, "limits": False}
    with running(**told) as exchange, wired(object_server.port) as wire:
        here = Product(tmp_path / "here" / "lake", exchange.url, AT_ONCE)
        address = f"s3://{object_server.bucket()}/lake"
        there = bucketed(tmp_path / "there", exchange.url, address=address, store=wire.address)
        for words in ALL:
            for product in (here, there):
                done = product.run(*words)
                assert done.returncode in {0, 3}, done.stderr
        requests = len(wire.requests)
        found = digests_in(there, monkeypatch)
        for words in (("verify",), ("replay",), ("heal",), ("status",)):
            done = there.run(*words)
            assert done.returncode in {0, 3}, done.stderr
        replayed = digests_in(there, monkeypatch)

    expected = digests(here.lake) | digests(here.lake, "derived")
    print(f"{len(expected)} partitions, {requests} requests")  # noqa: T201  (a figure to report)
    assert _told(found) == _told(expected)
    assert _told(replayed) == _told(expected)


def _told(found):
    return {name: digest for name, digest in found.items() if name not in UNTOLD}
