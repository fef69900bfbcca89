"""`sync` and `init`: one command brings a lake up to what its settings keep, whatever happens."""

import fcntl
import json
import os
import random
import signal
import threading
import time
from contextlib import contextmanager

import polars as pl
import pytest

from etl.config import Settings
from etl.sync.fetching import is_known
from lake import raw
from lake.operations import read_outcome
from lake.paths import Lake
from lake.verify import verify
from tests.acceptance.background import in_background
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.etl.collect.health.healthchecks import CHECK, listening
from tests.exchange.relay import relaying
from tests.exchange.running import running

SINCE = ("DERIBIT_LAKE_KEEP__SINCE", "2025-10-01")
ONE = ("DERIBIT_LAKE_KEEP__INSTRUMENTS", '["BTC-PERPETUAL"]')
MINUTE_S = 0.05
PATIENCE = (
    ("DERIBIT_LAKE_PROBE_SECONDS", str(MINUTE_S)),
    ("DERIBIT_LAKE_PATIENCE_MINUTES", str(75 * MINUTE_S / 60)),
)
HOUR_MS = 3_600_000
NOW_MS = 1_760_745_600_000
"""The exchange's clock: 2025-10-18."""
CHART = "get_tradingview_chart_data"
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as healthy:
        yield healthy


def at(folder, url, *settings):
    return InProcess(Product(folder / "lake", url, (SINCE, *settings)))


def summary(done):
    return json.loads(done.stdout)


def stages(done):
    return {one["stage"]: one for one in summary(done)["stages"]}


def kept_since(lake, hours):
    """Let the trailing hours be read so long ago."""
    path = lake / "operations" / "trailing.json"
    known = {name: ms - hours * HOUR_MS for name, ms in json.loads(path.read_bytes()).items()}
    path.write_text(json.dumps(known), encoding="utf-8")


def windows(lake, instrument="BTC-PERPETUAL"):
    """The windows asked for of candles, in the order they were fetched [ms]."""
    table = raw.read(lake / "raw" / CHART / f"instrument={instrument}/resolution=1/year=2025")
    return [
        tuple(
            round(table[name][row].as_py().timestamp() * 1000)
            for name in ("window_start", "window_end")
        )
        for row in range(table.num_rows)
    ]


def candle(lake, tick, instrument="BTC-PERPETUAL"):
    rows = pl.read_parquet(lake / "clean" / "perpetuals_ohlcv" / instrument / "2025.parquet")
    return rows.filter(pl.col("timestamp").dt.epoch("ms") == tick).row(0, named=True)


def test_a_second_sync_sends_only_what_may_have_changed(tmp_path, exchange):
    product = at(tmp_path, exchange.url)
    first, second = product.run("sync", "--json"), product.run("sync", "--json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert summary(first)["requests"] == 13
    assert {name: one["requests"] for name, one in stages(second).items() if one["requests"]} == {
        "instruments": 1,
        "backfill perpetuals_ohlcv": 2,  # the last two hours, of each instrument
        "backfill funding_rates": 2,
    }
    assert summary(second)["rows"] == 0
    assert [one["verdict"] for one in summary(second)["datasets"]] == ["COMPLETE"] * 3


def test_a_summary_names_what_each_stage_did_and_how_old_the_newest_rows_are(tmp_path, exchange):
    done = at(tmp_path, exchange.url, ONE).run("sync", "--json")

    told = summary(done)
    assert list(stages(done)) == [
        "instruments",
        "backfill perpetuals_ohlcv",
        "backfill funding_rates",
        "heal",
        "compute index_prices",
        "verify",
        "status",
    ]
    assert {one["state"] for one in told["stages"]} == {"done"}
    candles = next(one for one in told["datasets"] if one["dataset"] == "perpetuals_ohlcv")
    assert (candles["parts"], candles["complete"], candles["rows"]) == (1, 1, 17 * 1440)
    assert (candles["newest_ms"], candles["age_seconds"]) == (NOW_MS - 60_000, 60.0)
    assert (told["verdict"], told["exit_code"]) == ("COMPLETE", 0)
    held = sum(one["rows"] for one in told["datasets"])
    assert stages(done)["verify"]["rows"] == held  # all of it was written just now
    assert told["rows"] == 17 * 1440 + stages(done)["backfill funding_rates"]["rows"]
    outcome = read_outcome(Lake(tmp_path / "lake"), "sync")
    assert (outcome.exit_code, outcome.error) == (0, None)
    assert outcome.summary == told


def test_in_words_it_ends_with_the_verdict(tmp_path, exchange):
    done = at(tmp_path, exchange.url, ONE).run("sync")

    assert done.stdout.splitlines()[-1].startswith("verdict: COMPLETE; 7 requests, 24,888 new rows")
    assert "perpetuals_ohlcv  COMPLETE  1/1    24,480  2025-10-17 23:59  0 h 01 min" in done.stdout


def test_the_trailing_hours_are_asked_for_again_once_a_day(tmp_path, exchange):
    product = at(tmp_path, exchange.url, ONE)
    first = product.run("sync")
    before = len(windows(product.lake))
    product.run("sync")
    same_day = windows(product.lake)[before:]
    kept_since(product.lake, 21)
    product.run("sync")
    next_day = windows(product.lake)[before + len(same_day) :]
    product.run("sync")
    after = windows(product.lake)[before + len(same_day) + len(next_day) :]

    assert first.returncode == 0
    assert [start >= NOW_MS - 3 * HOUR_MS for start, _ in same_day] == [True]
    assert [start <= NOW_MS - 48 * HOUR_MS for start, _ in next_day] == [True]
    assert [end for _, end in next_day] == [NOW_MS]
    assert [start >= NOW_MS - 3 * HOUR_MS for start, _ in after] == [True]


def test_a_candle_that_was_revised_hours_later_is_published_as_it_is_now(tmp_path, exchange):
    tick = NOW_MS - 20 * HOUR_MS

    def earlier(answer):
        if CHART not in answer.method or not answer.result:
            return answer
        result = answer.result
        if tick not in result.get("ticks", ()):
            return answer
        row = result["ticks"].index(tick)
        for name in ("volume", "cost"):
            result[name][row] *= 2
        return answer.with_result(result)

    with relaying(exchange.url, earlier) as url:
        at(tmp_path, url, ONE).run("sync")
    was = candle(tmp_path / "lake", tick)
    product = at(tmp_path, exchange.url, ONE)
    product.run("sync")
    same_day = candle(product.lake, tick)
    kept_since(product.lake, 21)
    done = product.run("sync", "--json")
    revised = candle(product.lake, tick)

    assert same_day == was
    assert revised["volume"] == pytest.approx(was["volume"] / 2)
    assert done.returncode == 0
    assert stages(done)["backfill perpetuals_ohlcv"]["requests"] <= 8
    assert list(verify(Lake(product.lake))) == []


def test_a_dry_run_says_what_each_dataset_would_cost_and_changes_nothing(tmp_path, exchange):
    product = at(tmp_path, exchange.url)
    empty = product.run("sync", "--dry-run", "--json")
    assert not product.lake.exists()
    first = product.run("sync", "--json")
    before = {path: path.read_bytes() for path in product.lake.rglob("*") if path.is_file()}
    kept_since(product.lake, 0)
    again = product.run("sync", "--dry-run", "--json")

    told = summary(empty)
    assert {one["dataset"]: one["requests"] for one in told["datasets"]} == {
        "perpetuals_ohlcv": 10,
        "funding_rates": 2,
    }
    assert told["requests"] == 12 == summary(first)["requests"] - 1  # and the list of instruments
    assert told["bytes"] > 1_000_000
    assert summary(again)["requests"] == 4
    assert {path.name for path in before} == {
        path.name for path in product.lake.rglob("*") if path.is_file()
    }
    assert all(
        path.read_bytes() == text for path, text in before.items() if path.name != "trailing.json"
    )


def test_a_dry_run_counts_the_seconds_of_all_datasets_under_one_bucket(tmp_path, exchange):
    settings = (("DERIBIT_LAKE_CREDIT_CAPACITY", "500"), ("DERIBIT_LAKE_CREDIT_REFILL", "500"))
    told = summary(at(tmp_path, exchange.url, *settings).run("sync", "--dry-run", "--json"))

    assert told["requests"] == 12
    assert told["seconds"] == 11.0  # one is in the bucket, the others come one a second


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATASETS", '["perpetual"]', "nearest: perpetuals_ohlcv"),
        ("DATASETS", "[]", "at least 1 item"),
        ("DATASETS", '["option_tickers"]', "run `deribit-lake snapshot options`"),
        ("COMPUTED", '["basi"]', "nearest: futures_basis"),
        ("INSTRUMENTS", '["BTC-PERPETUL"]', "nearest: BTC-PERPETUAL"),
        ("INSTRUMENTS", "[]", "at least 1 item"),
        ("SINCE", "2199-01-01", "is in the future"),
        ("SINCE", "2025-11-01", "the exchange's clock says 2025-10-18"),
        ("SINCE", "yesterday", "valid date"),
        ("TRAILING_HOURS", "-1", "greater than or equal to 0"),
        ("COLOUR", "red", "there are: datasets"),
        ("INSTRUMNTS", '["BTC-PERPETUAL"]', "nearest: instruments"),
    ],
)
def test_what_cannot_be_kept_is_one_line_and_the_code_of_a_usage(
    tmp_path, exchange, name, value, words
):
    done = at(tmp_path, exchange.url, (f"DERIBIT_LAKE_KEEP__{name}", value)).run("sync")

    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line
    assert done.returncode == 2
    assert done.stdout == ""
    assert list((tmp_path / "lake").glob("ledger/**/*.json")) == []


def test_what_is_not_listed_is_kept_as_how_the_sync_ended(tmp_path, exchange):
    unlisted = ("DERIBIT_LAKE_KEEP__INSTRUMENTS", '["DOGE-PERPETUAL"]')
    at(tmp_path, exchange.url, unlisted).run("sync")

    outcome = read_outcome(Lake(tmp_path / "lake"), "sync")
    assert outcome.exit_code == 2
    assert "no instrument 'DOGE-PERPETUAL'" in outcome.error


TABLES = """
[keep]
datasets = ["perpetuals", "funding", "futures", "deliveries", "dvol"]
instruments = ["BTC-PERPETUAL"]
currencies = ["BTC"]
indices = ["btc_usd"]
since = 2025-10-10
computed = "all"

[keep.funding]
since = 2025-10-15
instruments = ["ETH-PERPETUAL"]
[keep.futures]
settlement = ["month"]
"""


def test_a_table_says_what_is_other_for_one_dataset(tmp_path, exchange):
    (tmp_path / "own.toml").write_text(TABLES, encoding="utf-8")
    product = InProcess(Product(tmp_path / "lake", exchange.url))
    done = product.run("--config", tmp_path / "own.toml", "sync", "--json")

    assert done.returncode == 0, done.stderr
    held = {one["dataset"]: one for one in summary(done)["datasets"]}
    assert set(held) == {
        "perpetuals_ohlcv", "funding_rates", "futures_ohlcv", "delivery_prices",
        "volatility_index", "index_prices", "futures_basis", "futures_curve",
    }  # fmt: skip
    assert [path.name for path in (product.lake / "clean/funding_rates").iterdir()] == [
        "ETH-PERPETUAL"
    ]
    assert held["funding_rates"]["rows"] == 3 * 24
    assert held["perpetuals_ohlcv"]["rows"] == 8 * 1440
    names = {path.name for path in (product.lake / "clean/futures_ohlcv").iterdir()}
    assert {"BTC-31OCT25", "BTC-28NOV25", "BTC-26DEC25"} <= names
    assert not names & {"BTC-17OCT25", "BTC-24OCT25"}  # of a week
    assert held["futures_basis"]["rows"] > 0


OPTIONS = """
[keep]
datasets = ["options", "instruments"]
currencies = ["BTC"]
since = 2025-10-16
computed = ["greeks"]

[keep.options]
expiries = ["2025-10-17"]
"""


def test_options_of_an_expiry_are_kept_with_their_greeks_and_the_rates_those_take(tmp_path):
    (tmp_path / "own.toml").write_text(OPTIONS, encoding="utf-8")
    with running(limits=False, option_activity=0.05, options_since="2025-10-01") as exchange:
        rates = [(f"DERIBIT_LAKE_{name}_URL", exchange.url) for name in ("TREASURY", "FRED")]
        product = InProcess(Product(tmp_path / "lake", exchange.url, tuple(rates)))
        dry = product.run("--config", tmp_path / "own.toml", "sync", "--dry-run")
        done = product.run("--config", tmp_path / "own.toml", "sync", "--json")
        planned = product.run("--config", tmp_path / "own.toml", "sync", "--dry-run")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the whole chain is counted" in dry.stdout
    assert "the whole chain is counted" not in planned.stdout
    held = {one["dataset"]: one for one in summary(done)["datasets"]}
    assert {"option_trades", "options_greeks", "treasury_bills", "instruments"} <= set(held)
    assert held["options_greeks"]["rows"] > 0
    assert held["treasury_bills"]["rows"] > 0
    trades = pl.read_parquet(product.lake / "clean/option_trades/BTC/2025-10.parquet")
    assert trades["timestamp"].max().day == 17  # the day it expires: no later day was asked for


@pytest.mark.parametrize("form", ["html_503", "refused", pytest.param("error_11051", marks=SLOW)])
def test_an_exchange_that_is_away_when_a_sync_begins_is_waited_for(tmp_path, exchange, form):
    product = at(tmp_path, exchange.url, ONE)
    product.run("sync")
    with running(limits=False, outage=form, outage_seconds=20 * MINUTE_S) as away:
        port = away.url
        _heard_from(product.lake, port)
        done = at(tmp_path, port, ONE, *PATIENCE).run("sync")

    assert done.returncode == 0, done.stderr
    assert "verdict: COMPLETE" in done.stdout


def test_a_host_is_known_once_it_sent_the_lake_a_list(tmp_path, exchange):
    lake = Lake(tmp_path / "lake")
    before = is_known(Settings(host=exchange.url), lake)
    at(tmp_path, exchange.url, ONE).run("sync")

    assert not before
    assert is_known(Settings(host=exchange.url), lake)
    assert not is_known(Settings(host="http://127.0.0.1:9"), lake)


@SLOW
def test_nobody_at_all_is_waited_for_longer_than_a_stranger_is(tmp_path, exchange):
    at(tmp_path, exchange.url, ONE).run("sync")
    patience = (("DERIBIT_LAKE_PROBE_SECONDS", "1"), ("DERIBIT_LAKE_PATIENCE_MINUTES", "1"))
    with running(limits=False, outage="refused", outage_seconds=14) as away:
        _heard_from(tmp_path / "lake", away.url)
        done = at(tmp_path, away.url, ONE, *patience).run("sync")

    assert done.returncode == 0, done.stderr
    assert "answers again after" in done.stderr


def _heard_from(lake, url):
    """Let the lake have heard this host, as on the nights before."""
    folder = lake / "raw" / "get_instruments" / "currency=any" / "kind=future"
    (segment,) = raw.segments(folder)
    (_, body) = next(raw.bodies(folder))
    told = raw.read(folder).to_pylist()[0]
    us = {name: round(told[name].timestamp() * 1e6) for name in ("window_start", "window_end")}
    attempt = {**told, **us, "host": url, "fetched_at": told["us_out"], "body": body}
    (folder / segment).unlink()
    raw.stage([raw.Attempt(**attempt)], folder)


def test_an_exchange_that_stays_away_costs_no_more_than_the_budget_and_one_line(tmp_path, exchange):
    product = at(tmp_path, exchange.url, ONE)
    product.run("sync")
    before = digests(product.lake)
    with running(limits=False, outage="html_503") as away:
        started = time.monotonic()
        done = at(tmp_path, away.url, ONE, *PATIENCE).run("sync", "--json")

    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "did not come back" in line
    assert "patience_minutes" in line
    assert done.returncode == 1
    assert time.monotonic() - started < 30
    found = {name: one["state"] for name, one in stages(done).items()}
    assert found == {
        "instruments": "failed",
        "backfill perpetuals_ohlcv": "skipped",
        "backfill funding_rates": "skipped",
        "heal": "skipped",
        "compute index_prices": "skipped",
        "verify": "done",
        "status": "done",
    }
    assert digests(product.lake) == before
    outcome = read_outcome(Lake(product.lake), "sync")
    assert (outcome.exit_code, outcome.error) == (1, line.removeprefix("error: "))


def test_a_stage_that_fails_keeps_none_but_those_that_need_it_from_running(tmp_path, exchange):
    product = at(tmp_path, exchange.url, ONE)
    product.run("sync")
    (segment, *_) = sorted((product.lake / "raw/get_funding_rate_history").rglob("*.parquet"))
    segment.write_bytes(b"PAR1 no more")
    done = product.run("sync", "--json")

    found = {name: one["state"] for name, one in stages(done).items()}
    assert found["backfill funding_rates"] == "failed"
    assert found["compute index_prices"] == "skipped"
    assert found["backfill perpetuals_ohlcv"] == found["heal"] == found["verify"] == "done"
    assert stages(done)["compute index_prices"]["why"] == "backfill funding_rates failed"
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "is corrupt" in line


def test_a_line_of_the_ledger_that_cannot_be_read_fails_what_needs_it_and_is_found(
    tmp_path, exchange
):
    product = at(tmp_path, exchange.url, ONE)
    product.run("sync")
    (product.lake / "ledger/funding_rates/BTC-PERPETUAL/2025.json").write_bytes(b"{")
    done = product.run("sync", "--json")

    found = {name: one["state"] for name, one in stages(done).items()}
    assert found["backfill perpetuals_ohlcv"] == "done"
    assert found["backfill funding_rates"] == found["verify"] == "failed"
    assert "ledger/funding_rates/BTC-PERPETUAL/2025.json is corrupt" in done.stderr
    assert (done.returncode, summary(done)["verdict"]) == (1, "UNKNOWN")


def test_of_files_nobody_wrote_a_seventh_is_read_each_night(tmp_path, exchange):
    years = (
        ("DERIBIT_LAKE_KEEP__SINCE", "2018-09-01"),
        ("DERIBIT_LAKE_KEEP__DATASETS", '["funding"]'),
    )
    product = at(tmp_path, exchange.url, ONE, *years)
    product.run("sync")
    before = list(verify(Lake(product.lake)))
    for year in range(2018, 2025):  # seven, one of which is read tonight
        path = product.lake / f"clean/funding_rates/BTC-PERPETUAL/{year}.parquet"
        pl.read_parquet(path).with_columns(pl.col("index_price") + 1).write_parquet(path)
    done = product.run("sync", "--json")

    assert before == []
    assert done.returncode == 1
    assert stages(done)["verify"]["state"] == "failed"
    assert stages(done)["verify"]["why"].startswith(
        "1 files are not what the ledger says; the first: "
    )
    assert len(list(verify(Lake(product.lake)))) == 7


@contextmanager
def holding(path):
    """Hold a lock file as another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write("4242")
        file.flush()
        yield


def test_of_two_syncs_the_second_is_refused_at_once_and_told_by_whom(tmp_path, exchange):
    product = at(tmp_path, exchange.url, ONE)
    with holding(product.lake / "operations" / "sync.lock"):
        done = product.run("sync")

    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "a sync of" in line
    assert "is under way in process 4242" in line
    assert done.returncode == 1
    assert read_outcome(Lake(product.lake), "sync") is None


def test_two_syncs_at_once_are_one_after_the_other_where_the_second_waits(tmp_path):
    with running(limits=False, latency_ms=200) as slow:
        product = Product(tmp_path / "lake", slow.url, (SINCE, ONE))
        with in_background(product, "sync") as first:
            while not list(product.lake.glob("raw/get_instruments/**/*.parquet")):
                time.sleep(0.02)
            os.kill(first.pid, signal.SIGSTOP)  # so that it is under way however slow we are
            refused = InProcess(product).run("sync")
            goes_on = threading.Timer(0.5, os.kill, (first.pid, signal.SIGCONT))
            goes_on.start()
            waited = InProcess(product).run("sync", "--wait", "--json")

    assert refused.returncode == 1
    assert f"is under way in process {first.pid};" in refused.stderr
    assert waited.returncode == 0, waited.stderr
    assert summary(waited)["rows"] == 0  # the first had fetched all


def test_a_partition_another_process_writes_is_waited_for_as_long_as_is_said(tmp_path, exchange):
    busy = ("DERIBIT_LAKE_KEEP__BUSY_MINUTES", str(0.5 / 60))
    product = at(tmp_path, exchange.url, ONE, busy)
    lock = product.lake / "ledger" / "perpetuals_ohlcv" / "BTC-PERPETUAL" / "2025.lock"
    with holding(lock):
        short = product.run("sync", "--json")
    whole = product.run("sync", "--json")

    assert short.returncode == 1
    assert "is being written by process 4242" in short.stderr
    assert stages(short)["backfill perpetuals_ohlcv"]["seconds"] >= 0.5
    assert stages(short)["backfill funding_rates"]["state"] == "done"
    assert whole.returncode == 0


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=SLOW), pytest.param(3, marks=SLOW)])
def test_killed_at_several_moments_it_ends_as_if_undisturbed(tmp_path, seed):
    moments = random.Random(seed)  # noqa: S311  (moments, not secrets)
    with running(latency_ms=20, limits=False) as exchange:
        undisturbed = at(tmp_path / "a", exchange.url)
        assert undisturbed.run("sync").returncode == 0
        killed = Product(tmp_path / "b" / "lake", exchange.url, (SINCE,))
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            process = killed.start("sync")
            time.sleep(moments.uniform(0.6, 2.4))
            process.send_signal(number)
            process.wait()
        last = InProcess(killed).run("sync", "--json")

    assert last.returncode == 0, last.stderr
    assert digests(killed.lake) == digests(undisturbed.lake)
    assert digests(killed.lake, "derived") == digests(undisturbed.lake, "derived")
    assert list(verify(Lake(killed.lake))) == []


def test_stopped_it_says_so_and_keeps_that_it_was(tmp_path):
    with running(latency_ms=300, limits=False) as slow:
        product = Product(tmp_path / "lake", slow.url, (SINCE,))
        with in_background(product, "sync") as running_one:
            while not list(product.lake.glob("raw/get_tradingview*/**/*.parquet")):
                time.sleep(0.02)
            code, seconds, _ = running_one.stop()

    assert (code, seconds < 2) == (143, True)
    outcome = read_outcome(Lake(product.lake), "sync")
    assert (outcome.exit_code, outcome.error) == (143, "interrupted")


def test_a_check_is_told_that_a_sync_began_and_how_it_ended(tmp_path, exchange):
    with listening() as good, listening() as refused:
        url = "DERIBIT_LAKE_KEEP__PING_URL"
        done = at(tmp_path, exchange.url, ONE, (url, good.url)).run("sync")
        strange = ("DERIBIT_LAKE_KEEP__INSTRUMENTS", '["XYZ-PERPETUAL"]')
        left = at(tmp_path, exchange.url, strange, (url, refused.url)).run("sync")

    assert (done.returncode, left.returncode) == (0, 2)
    assert (good.whats(), refused.whats()) == (["start", "0"], ["start", "2"])
    assert good.pings[-1].body.startswith("verdict: COMPLETE; ")
    assert refused.pings[-1].body == read_outcome(Lake(tmp_path / "lake"), "sync").error
    assert "XYZ-PERPETUAL" in refused.pings[-1].body
    told = [*(tmp_path / "logs").glob("*"), *(tmp_path / "lake" / "operations").glob("*.json")]
    assert [one for one in told if CHECK in one.read_text(encoding="utf-8")] == []


def test_what_init_writes_is_synced_as_it_is(tmp_path, exchange, monkeypatch):
    monkeypatch.chdir(tmp_path)
    product = InProcess(Product(tmp_path / "lake", exchange.url))
    wrote = product.run("init")
    text = (tmp_path / "deribit-lake.toml").read_text(encoding="utf-8")
    refused = product.run("init")
    edited = text.replace('# since = "…"', 'since = "2025-10-15"', 1)
    (tmp_path / "deribit-lake.toml").write_text(edited, encoding="utf-8")
    done = product.run("sync")
    forced = product.run("init", "--force")

    assert (wrote.returncode, refused.returncode, forced.returncode) == (0, 1, 0)
    assert "--force" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "perpetuals_ohlcv  COMPLETE  2/2    8,640" in done.stdout
    assert (tmp_path / "deribit-lake.toml").read_text(encoding="utf-8") == text


def test_init_writes_where_it_is_told_and_says_where_it_cannot(tmp_path, exchange):
    product = InProcess(Product(tmp_path / "lake", exchange.url))
    done = product.run("init", tmp_path / "mine.toml")
    nowhere = product.run("init", tmp_path / "none" / "mine.toml")

    assert done.returncode == 0
    assert "[keep]" in (tmp_path / "mine.toml").read_text(encoding="utf-8")
    assert nowhere.returncode == 1
    assert "there is no folder" in nowhere.stderr
    assert os.listdir(tmp_path) == ["mine.toml"]  # noqa: PTH208  no more was written


def test_a_sync_may_keep_rates_alone(tmp_path, exchange):
    rates = [(f"DERIBIT_LAKE_{name}_URL", exchange.url) for name in ("TREASURY", "FRED")]
    product = at(tmp_path, exchange.url, ("DERIBIT_LAKE_KEEP__DATASETS", '["rates"]'), *rates)
    done = product.run("sync", "--json")

    assert list(stages(done)) == ["rates", "verify", "status"]
    assert stages(done)["rates"]["requests"] > 0
    assert stages(done)["rates"]["rows"] > 20
    assert done.returncode == (0 if summary(done)["verdict"] == "COMPLETE" else 3)


def test_sources_of_rates_that_are_away_fail_their_stage_alone(tmp_path, exchange):
    gone = [(f"DERIBIT_LAKE_{name}_URL", "http://127.0.0.1:9") for name in ("TREASURY", "FRED")]
    settings = (("DERIBIT_LAKE_KEEP__RATES", "true"), ("DERIBIT_LAKE_RETRY_ATTEMPTS", "1"), *gone)
    done = at(tmp_path, exchange.url, ONE, *settings).run("sync", "--json")

    assert stages(done)["rates"]["state"] == "failed"
    assert stages(done)["backfill perpetuals_ohlcv"]["state"] == "done"
    assert done.returncode == 1


def test_an_expiry_there_is_none_of_is_refused_before_anything_is_fetched(tmp_path):
    told = OPTIONS.replace('["2025-10-17"]', '["2025-10-16", "2031-10-17"]')
    (tmp_path / "own.toml").write_text(told, encoding="utf-8")
    with running(limits=False, option_activity=0.05, options_since="2025-10-01") as exchange:
        product = InProcess(Product(tmp_path / "lake", exchange.url))
        done = product.run("--config", tmp_path / "own.toml", "sync")

    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "2031-10-17" in line
    assert done.returncode == 2
    assert list(product.lake.glob("ledger/option_trades/**/*.json")) == []


def test_a_backup_follows_where_it_is_kept_and_its_failure_is_the_syncs(tmp_path, exchange):
    secret = (("RESTIC_PASSWORD", "correct horse"), ("DERIBIT_LAKE_KEEP__BACKUP", "true"))
    place = ("DERIBIT_LAKE_BACKUP__REPOSITORY", str(tmp_path / "copies"))
    done = at(tmp_path, exchange.url, ONE, *secret, place).run("sync", "--json")
    failed = at(tmp_path, exchange.url, ONE, *secret).run("sync")

    assert (done.returncode, summary(done)["verdict"]) == (0, "COMPLETE")
    assert read_outcome(Lake(tmp_path / "lake"), "backup").exit_code == 0
    assert (tmp_path / "copies" / "snapshots").is_dir()
    assert failed.returncode == 1
    assert "verdict: COMPLETE" in failed.stdout
    assert "error: " in failed.stderr


def test_a_backup_follows_a_sync_that_an_error_ends(tmp_path, exchange):
    secret = (("RESTIC_PASSWORD", "correct horse"), ("DERIBIT_LAKE_KEEP__BACKUP", "true"))
    place = ("DERIBIT_LAKE_BACKUP__REPOSITORY", str(tmp_path / "copies"))
    strange = ("DERIBIT_LAKE_KEEP__INSTRUMENTS", '["XYZ-PERPETUAL"]')
    at(tmp_path, exchange.url, ONE).run("sync")
    done = at(tmp_path, exchange.url, strange, *secret, place).run("sync")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "XYZ-PERPETUAL" in done.stderr.splitlines()[-1]
    assert read_outcome(Lake(tmp_path / "lake"), "backup").exit_code == 0


def test_what_is_held_and_not_kept_does_not_count(tmp_path, exchange):
    product = at(tmp_path, exchange.url)
    assert product.run("sync").returncode == 0
    (product.lake / "clean/perpetuals_ohlcv/ETH-PERPETUAL/2025.parquet").unlink()
    (product.lake / "clean/funding_rates/ETH-PERPETUAL/2025.parquet").unlink()
    found = at(tmp_path, exchange.url, ONE).run("sync", "--json")
    status = product.run("status", "--dataset", "perpetuals_ohlcv")

    told = {one["dataset"]: (one["verdict"], one["parts"]) for one in summary(found)["datasets"]}
    assert told == {
        "perpetuals_ohlcv": ("COMPLETE", 1),
        "funding_rates": ("COMPLETE", 1),
        "index_prices": ("COMPLETE", 1),
    }
    assert status.returncode == 4


def test_what_was_wanted_before_the_first_day_of_now_is_healed(tmp_path, exchange):
    whole = ("DERIBIT_LAKE_KEEP__SINCE", "2024-12-01")
    late = ("DERIBIT_LAKE_KEEP__SINCE", "2025-10-17")
    with running(limits=False, latency_ms=400) as slow:
        killed = Product(tmp_path / "lake", slow.url, (ONE, whole))
        process = killed.start("sync")
        while not (killed.lake / "ledger/perpetuals_ohlcv/BTC-PERPETUAL/2025.json").exists():
            time.sleep(0.01)
        process.kill()
        process.wait()
    done = InProcess(Product(tmp_path / "lake", exchange.url, (ONE, late))).run("sync", "--json")

    assert stages(done)["heal"]["rows"] > 0
    assert done.returncode == 0
    candles = next(one for one in summary(done)["datasets"] if one["dataset"] == "perpetuals_ohlcv")
    assert candles["rows"] == (31 + 290) * 1440


def test_the_verdict_says_what_is_missing(tmp_path, exchange):
    nothing = {name: [] for name in ("ticks", "open", "high", "low", "close", "volume", "cost")}

    def silent(answer):
        return answer.with_result(nothing) if CHART in answer.method else answer

    with relaying(exchange.url, silent) as url:
        done = at(tmp_path, url, ONE).run("sync", "--json")

    candles = next(one for one in summary(done)["datasets"] if one["dataset"] == "perpetuals_ohlcv")
    assert done.returncode == 3
    assert (candles["verdict"], candles["rows"], candles["newest_ms"]) == ("INCOMPLETE", 0, None)
    assert candles["why"].startswith("BTC-PERPETUAL: ")
    assert {one["state"] for one in summary(done)["stages"]} == {"done"}
