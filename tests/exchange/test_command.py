"""``python -m tests.exchange`` as scripts use it."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.running import NOW, running

MINUTE_MS = 60_000
COMMAND = [sys.executable, "-m", "tests.exchange"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "0", "--faults", "shfted"], "unknown fault 'shfted'"),
        (["--port", "0", "--now", "2025-13-01"], "'2025-13-01' is not a moment"),
        (["--port", "0", "--now", "2017-01-01"], "before the first instrument"),
        (["--port", "70000"], "70000 is not between 0 and 65535"),
        (["--port", "0", "--latency-ms", "fast"], "'fast' is not a number"),
        (["--port", "0", "--warm", "BTC,DOGE"], "'DOGE' is not one of BTC, ETH, USDC, SOL"),
        (["--port", "0", "--option-activity", "11"], "11 is not between 0 and 10"),
        (["--port", "0", "--speed", "0"], "0 is not between 0.01 and 10000"),
        (["--port", "0", "--socket-faults", "cuts"], "unknown socket fault 'cuts'"),
        (["--port", "0", "--maintenance", "13:00"], "'13:00' is not START/END"),
        ([], "--port"),
    ],
)
def test_a_refused_argument_is_one_line_and_exit_code_2(arguments, told):
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=10
    )

    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@contextmanager
def commanded(*words):
    command = [*COMMAND, "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process, process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_with_exit_code_0_though_a_client_is_connected(number):
    with commanded() as (process, url), httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/api/v2/public/test").status_code == 200
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
    assert time.monotonic() - started < 2.0


def test_it_accepts_connections_as_soon_as_it_says_so_and_picks_a_free_port(served):
    with running() as other:
        assert httpx.get(f"{other.url}/api/v2/public/test", trust_env=False).status_code == 200
        assert other.url != served.url


def test_two_servers_of_a_seed_agree_to_the_byte(served):
    start = milliseconds("2024-05-05")
    query = (
        "/api/v2/public/get_tradingview_chart_data?instrument_name=BTC-PERPETUAL&resolution=1"
        f"&start_timestamp={start}&end_timestamp={start + 4_999 * MINUTE_MS}"
    )
    # The other is no fork of the one that `served` is one of.
    with commanded("--now", NOW, "--latency-ms", "5") as (_, url):
        urls = (served.url, url)
        one, two = (httpx.get(url + query, trust_env=False).content for url in urls)

    assert one == two


async def _slowest_answer_during_a_long_one(url):
    """Return the longest wait for the time while the whole daily history is made, and of how long.

    As a share of the time the history takes, and in number of waits.
    """
    query = {"instrument_name": "ETH-PERPETUAL", "resolution": "1D"} | {
        "start_timestamp": 0,
        "end_timestamp": milliseconds("2025-10-18"),
    }
    waits, begun = [], time.monotonic()
    address = f"{url}/api/v2/public"
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        history = asyncio.create_task(client.get("/get_tradingview_chart_data", params=query))
        while not history.done():
            started = time.monotonic()
            await client.get("/get_time")
            waits.append(time.monotonic() - started)
    return max(waits) / (time.monotonic() - begun), len(waits)


def test_a_long_answer_does_not_hold_up_the_others():
    with commanded("--now", NOW, "--no-limits") as (_, url):
        longest, count = asyncio.run(_slowest_answer_during_a_long_one(url))

    assert count > 20
    assert longest < 0.25


def test_without_a_frozen_present_the_clock_runs():
    with running(now=None) as exchange:
        body = httpx.get(f"{exchange.url}/api/v2/public/get_time", trust_env=False).json()

    assert abs(body["result"] / 1000 - time.time()) < 60
    assert body["usDiff"] == body["usOut"] - body["usIn"] > 0


def test_statistics_tell_what_was_asked_and_answered():
    with running() as exchange:
        for path in ("public/test", "public/test", "public/nope"):
            httpx.get(f"{exchange.url}/api/v2/{path}", trust_env=False)
        stats = exchange.stats()

    assert stats["requests"] == 3
    assert stats["by_method"] == {"public/test": 2, "public/nope": 1}
    assert stats["by_outcome"] == {"ok": 2, "error -32601": 1}
    assert stats["credits_spent"] == 1_500
    assert stats["faults"] == {}
