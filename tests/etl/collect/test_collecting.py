"""A collector beside a simulated exchange, in accelerated time: what it has is what there was."""

import time
from datetime import datetime

import polars as pl
import pytest

from tests.accelerated import Clock
from tests.etl.collect.collecting import PERPETUALS, Collecting, collecting
from tests.etl.collect.days import MINUTE_MS, START_MS, live, truth, whole_until_ms

PATIENCE_S = 120.0  # of ours


def wait_for_minutes(collector, minutes):
    """Wait until the live candles are whole, and of so many minutes after the beginning."""
    end = time.monotonic() + PATIENCE_S
    wanted = START_MS + minutes * MINUTE_MS
    while not all((whole_until_ms(collector.lake, name) or 0) >= wanted for name in PERPETUALS):
        assert time.monotonic() < end, collector.log
        time.sleep(0.3)


def test_a_collector_has_the_day_from_its_beginning_and_every_minute_that_closes(tmp_path):
    with collecting(tmp_path) as (collector, _):
        wait_for_minutes(collector, 10)
        assert collector.stop() == 0
    assert all(whole_until_ms(collector.lake, name) for name in PERPETUALS)
    assert "Traceback" not in collector.log


@pytest.mark.slow
def test_a_killed_collector_goes_on_without_a_hole(tmp_path):
    with collecting(tmp_path) as (collector, _):
        collector.until("socket 1: ")
        for _ in range(4):
            collector.wait(7 * 60)
            collector.kill()
            before = collector.log.count("socket 1: ")
            collector.start()
        collector.until("socket 1: ", before + 1)  # one that is not up yet ends with 143
        wait_for_minutes(collector, 30)
        assert collector.stop() == 0


@pytest.mark.slow
def test_what_expires_is_let_go_and_what_is_listed_is_followed(tmp_path):
    """On a Friday at 08:00, when futures of a week expire and others begin."""
    told = {"currencies": ["BTC"], "instruments": [], "kinds": ["candles"]}
    with collecting(tmp_path, now="2025-10-24T07:35:00Z", **told) as (collector, _):
        collector.until("BTC-24OCT25 has ended")
        collector.until(" is listed")
        collector.wait(10 * 60)
        assert collector.stop() == 0
    found = live(collector.lake, "futures_ohlcv")
    expired = found.filter(pl.col("instrument") == "BTC-24OCT25")
    last = expired["timestamp"].dt.epoch("ms").max()
    assert last == round(datetime.fromisoformat("2025-10-24T07:59:00Z").timestamp() * 1000)
    rows = truth("BTC-24OCT25", last - 7 * 3_600_000, last + MINUTE_MS)
    assert expired.tail(len(rows)).equals(rows)


def test_a_second_collector_of_a_lake_refuses(tmp_path):
    with collecting(tmp_path) as (collector, _):
        collector.until("socket 1: ")
        first = collector.process
        collector.start()
        assert collector.process.wait(30) == 1
        collector.process = first
        assert collector.stop() == 0
    assert "is being written by process" in collector.log
    assert "Traceback" not in collector.log


def test_an_instrument_that_is_not_listed_is_named_with_the_nearest(tmp_path):
    with collecting(tmp_path, instruments=["BTC-PERPETUA"]) as (collector, _):
        assert collector.process.wait(30) == 2
    assert "'BTC-PERPETUA' is not listed; nearest: BTC-PERPETUAL" in collector.log
    assert "Traceback" not in collector.log


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ({"kinds": ["candels"]}, 2, "collect.kinds.0 = 'candels': Input should be 'candles'"),
        ({"fold_at": "1:10"}, 2, "collect.fold_at = '1:10'"),
        ({"socket_url": "http://127.0.0.1/ws"}, 2, "collect.socket_url"),
        ({"least_free_gb": 10**9}, 1, "MB are needed on the disk"),
        ({"listen": "0.0.0.0:0"}, 2, "0.0.0.0"),  # noqa: S104  (it is refused)
    ],
)
def test_what_it_cannot_run_with_is_one_line_and_an_exit_code(tmp_path, told, code, words):
    """2 is of settings: to start it again would not help. Nothing is asked of an exchange."""
    clock = Clock.from_now(START_MS / 1000, 1)
    collector = Collecting(tmp_path, "http://127.0.0.1:1", clock, told).start()
    assert collector.process.wait(60) == code
    lines = [line for line in collector.log.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in collector.log


def test_a_wrong_host_is_named_and_may_be_tried_again(tmp_path):
    clock = Clock.from_now(START_MS / 1000, 60)
    collector = Collecting(tmp_path, "http://127.0.0.1:1", clock).start()
    assert collector.process.wait(90) == 1
    assert "error: http://127.0.0.1:1 did not answer public/get_instruments" in collector.log
    assert "Traceback" not in collector.log
