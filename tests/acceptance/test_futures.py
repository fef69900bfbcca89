"""Dated futures, from listing to expiry: every minute the simulator says there was."""

import json
import os
import signal
import time
from dataclasses import replace

import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import FUTURES
from tests.exchange.market import Market
from tests.exchange.running import running

START, END = "2020-08-20", "2020-09-12"
BACKFILL = ("backfill", "futures", "--currency", "BTC,ETH", "--start", START, "--end", END)


def truth(start=START, end=END):
    """Minutes with a candle, by instrument; one future expired in the outage of 2020-08-27/28."""
    market = Market(7, milliseconds("2025-10-18"))
    bounds = milliseconds(start), milliseconds(end)
    counts = {future.name: len(market.minutes(future.name, *bounds)) for future in FUTURES}
    return {name: count for name, count in counts.items() if count}


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture
def product(tmp_path, exchange):
    settings = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
    return InProcess(Product(tmp_path / "lake", exchange.url, settings))


def rows(product):
    status = json.loads(product.run("status", "--dataset", "futures_ohlcv", "--json").stdout)
    return {each["instrument"]: each["rows"] for each in status["instruments"]}


def test_every_future_has_every_minute_it_lived(product):
    done = product.run(*BACKFILL, "--json")
    report = json.loads(done.stdout)

    assert done.returncode == 0
    assert rows(product) == truth()
    assert {one["currency"]: one["verdict"] for one in report["currencies"]} == {
        "BTC": "COMPLETE",
        "ETH": "COMPLETE",
    }


@pytest.mark.slow
def test_a_second_run_asks_only_for_the_lists(product, exchange):
    product.run(*BACKFILL, "--settlement", "week")
    before = exchange.stats()["requests"]
    again = product.run(*BACKFILL, "--settlement", "week")

    assert again.returncode == 0
    assert exchange.stats()["requests"] - before == 3
    assert "BTC: COMPLETE" in again.stdout


def test_replay_makes_the_same_bytes_and_keeps_perpetuals_apart(product):
    product.run(*BACKFILL, "--currency", "BTC")
    product.run("backfill", "perpetuals", "--start", START, "--end", END)
    before = digests(product.lake)

    replayed = product.run("replay")

    assert replayed.returncode == 0
    after = digests(product.lake)  # the instruments are folded now, too
    assert {path: after[path] for path in before} == before
    assert any("perpetuals_ohlcv/BTC-PERPETUAL" in path for path in before)
    assert any("futures_ohlcv/BTC-25DEC20" in path for path in before)


@pytest.mark.slow
def test_killed_runs_end_as_an_undisturbed_one(tmp_path, product):
    other = replace(product.product, lake=tmp_path / "killed")
    product.run(*BACKFILL)
    for pause in (0.6, 0.9, 1.2):
        process = other.start(*BACKFILL)
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    assert other.run(*BACKFILL).returncode == 0
    assert digests(other.lake) == digests(product.lake)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--currency", "DOGE"), "error: no currency 'DOGE'; there are: BTC, ETH, USDC"),
        (("--currency", "USDC"), "error: no dated future settles in 'USDC'; there are: BTC, ETH"),
        (("--currency", ","), "error: --currency ',' names nothing: expected names"),
        (
            ("--settlement", "fortnight"),
            "error: no dated future has settlement period 'fortnight'; there are: month, week",
        ),
        (("--instruments", "BTC-31DEC27"), "error: no such future 'BTC-31DEC27' was listed;"),
        (("--resolution", "7"), "error: no resolution '7'"),
    ],
)
def test_what_cannot_be_is_one_line(product, options, message):
    refused = product.run("backfill", "futures", *options)

    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith(message)
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_requests_are_under_way_than_there_are_workers(tmp_path, workers):
    with running(limits=False, latency_ms=50) as exchange:
        product = InProcess(Product(tmp_path / "lake", exchange.url))
        done = product.run(
            *BACKFILL, "--start", "2020-09-01", "--settlement", "week", "--workers", workers
        )
        used = exchange.stats()["max_connections"]

    assert done.returncode == 0, done.stderr
    assert used == workers


def test_one_future_is_fetched_by_name(product):
    done = product.run(*BACKFILL, "--instruments", "BTC-4SEP20")

    assert done.returncode == 0
    assert rows(product) == {"BTC-4SEP20": truth()["BTC-4SEP20"]}
