import asyncio
import os
import signal
import threading
import time

import pytest

from etl.backfill import fetch
from etl.backfill.wish import Wish
from etl.catalog import fetched, find_fetched
from etl.check.status import overall, statuses
from etl.config import Settings
from etl.instruments.selection import Choice
from etl.progress import LogProgress
from etl.when import parse_moment
from lake.paths import Lake, open_lake
from tests.acceptance.command import digests
from tests.exchange.running import running

CANDLES = find_fetched("perpetuals_ohlcv")
BTC = ("BTC-PERPETUAL",)


def settings(url, root, **more):
    return Settings(root=root, host=url, **more)


def backfill(chosen, instruments=BTC, start=None, end=None, dataset=CANDLES):
    bounds = [None if text is None else parse_moment(text, "moment") for text in (start, end)]
    wish = Wish(dataset, Choice(instruments), *bounds)
    lake = open_lake(chosen.root, create=True)
    return asyncio.run(fetch.backfill(chosen, lake, wish, LogProgress()))


def heal(chosen):
    lake = open_lake(chosen.root)
    return asyncio.run(fetch.heal(chosen, lake, list(fetched()), LogProgress()))


def test_days_added_one_by_one_make_the_same_bytes_as_all_at_once(tmp_path):
    for day in (14, 15, 16):
        with running(now=f"2025-10-{day}T12:34:56Z", limits=False) as exchange:
            report = backfill(settings(exchange.url, tmp_path / "daily"), start="2025-10-12")
            assert report.requests == 2  # the instruments, and one window
    with running(now="2025-10-16T12:34:56Z", limits=False) as exchange:
        backfill(settings(exchange.url, tmp_path / "once"), start="2025-10-12")

    assert digests(tmp_path / "daily") == digests(tmp_path / "once")


def test_a_bar_that_is_not_closed_is_not_published(tmp_path):
    with running(now="2025-10-16T12:34:56Z", limits=False) as exchange:
        backfill(settings(exchange.url, tmp_path), start="2025-10-16")
    (status,) = statuses(Lake(tmp_path))

    assert status.last_ms == parse_moment("2025-10-16T12:33", "last")
    assert (status.rows, status.verdict) == (12 * 60 + 34, "COMPLETE")


def test_all_instruments_share_one_credit_bucket(tmp_path):
    with running() as exchange:
        chosen = settings(exchange.url, tmp_path, connections=32)
        names = ("BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC-PERPETUAL")
        backfill(chosen, names, start="2025-05-01")
        outcomes = exchange.stats()["by_outcome"]

    assert outcomes == {"ok": sum(outcomes.values())}
    assert overall(statuses(Lake(tmp_path))) == "COMPLETE"


def test_a_documented_outage_is_settled_and_an_undocumented_wait_is_not_needed(tmp_path):
    with running(limits=False) as exchange:
        backfill(settings(exchange.url, tmp_path), start="2020-08-26", end="2020-08-29")
    (status,) = statuses(Lake(tmp_path))

    assert (status.verdict, status.gaps) == ("COMPLETE", {"outage": 252})


def test_an_exchange_that_goes_away_leaves_what_came_and_says_what_did_not(tmp_path):
    with running(latency_ms=300) as exchange:
        chosen = settings(exchange.url, tmp_path, patience_minutes=0.02, probe_seconds=0.2)
        threading.Timer(1.5, os.kill, (exchange.pid, signal.SIGTERM)).start()
        report = backfill(chosen, ("BTC-PERPETUAL", "ETH-PERPETUAL"), start="2025-01-01")
    before = statuses(Lake(tmp_path))
    with running(limits=False) as exchange:
        heal(settings(exchange.url, tmp_path))
    after = statuses(Lake(tmp_path))

    assert any("did not come back in 1.2 s" in error for error in report.errors)
    assert all("did not answer" in error for error in report.errors)
    assert overall(before) == "INCOMPLETE"
    assert sum(status.gaps.get("no_answer", 0) for status in before) > 0
    assert overall(after) == "COMPLETE"


def test_work_that_was_interrupted_before_it_was_folded_is_not_fetched_again(tmp_path):
    with running(latency_ms=50, limits=False) as exchange:
        chosen = settings(exchange.url, tmp_path)
        run = threading.Thread(target=stopped_in_mid_run, args=(chosen, tmp_path))
        run.start()
        run.join()
        before = exchange.stats()["requests"]
        status = statuses(Lake(tmp_path))[0]
        backfill(chosen, start="2025-01-01")
        after = exchange.stats()["requests"]

    assert (status.verdict, "newer than the ledger" in status.why) == ("UNKNOWN", True)
    assert after - before <= 84 - 20 + 2 + 16
    assert overall(statuses(Lake(tmp_path))) == "COMPLETE"


def stopped_in_mid_run(chosen, root):
    async def main():
        wish = Wish(CANDLES, Choice(BTC), parse_moment("2025-01-01", "start"))
        lake = open_lake(chosen.root, create=True)
        task = asyncio.create_task(fetch.backfill(chosen, lake, wish, LogProgress()))
        await asyncio.to_thread(wait_for_pages, root, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def wait_for_pages(root, number):
    while len(list(root.glob("raw/*/*/*/*/*.parquet"))) < number:
        time.sleep(0.01)


def test_healing_a_lake_whose_instrument_is_gone_says_so(tmp_path):
    with running(limits=False) as exchange:
        chosen = settings(exchange.url, tmp_path)
        backfill(chosen, start="2025-10-17")
        ledger = tmp_path / "ledger" / "perpetuals_ohlcv"
        (ledger / "BTC-PERPETUAL").rename(ledger / "OLD-PERPETUAL")
        report = heal(chosen)

    assert report.errors == ["OLD-PERPETUAL is no longer listed: not healed"]
