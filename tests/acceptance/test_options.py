"""Every option trade: fetched, proved by its number, healed, and named where it is lost."""

import json
import os
import random
import shutil
import signal
import time

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from etl.backfill import run
from etl.backfill.seams import stale
from lake.ledger import read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange import options
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.option_market import vices
from tests.exchange.relay import relaying
from tests.exchange.running import running

NOW_MS = 1_760_745_600_000
START, END = "2025-09-27", "2025-10-04"
BOUNDS = milliseconds(f"{START}T00:00"), milliseconds(f"{END}T00:00")
CURRENCIES = ("BTC", "USDC")
WORDS = ("options", "--currency", ",".join(CURRENCIES), "--start", START, "--end", END)
ACTIVITY, SINCE = 0.03, "2025-09-25"
AT_ONCE = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
KEY = ["instrument", "timestamp", "trade_seq"]


@pytest.fixture(scope="module")
def market():
    return Market(7, NOW_MS, option_activity=ACTIVITY)


def truth(market, currency):
    """Return the exchange's own trades as the lake keeps them."""
    sent = market.option_trades(currency, *BOUNDS)
    moment = (pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC"))
    return (
        sent.rename({"instrument_name": "instrument"})
        .with_columns(
            moment, (pl.col("iv") / 100).round(10), pl.col("block_rfq_id").cast(pl.String)
        )
        .sort(KEY)
    )


def held(product, currency):
    files = sorted(product.lake.glob(f"clean/option_trades/{currency}/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in files]).sort(KEY)


def content(product):
    """Return the bytes of all clean trades."""
    paths = sorted(product.lake.glob("clean/option_trades/*/*.parquet"))
    return {str(path.relative_to(product.lake)): path.read_bytes() for path in paths}


def beside(healthy, tmp_path, url):
    """Return a product whose lake has the lists of the healthy one, 100 MB as sent, and no more."""
    lake = tmp_path / "lake"
    for name in ("raw/get_instruments", "clean/instruments", "ledger/instruments"):
        shutil.copytree(healthy.lake / name, lake / name)
    shutil.copy(healthy.lake / "lake.json", lake)
    return InProcess(Product(lake, url, AT_ONCE))


def status(product, *words):
    done = product.run("status", *words, "--json")
    return {one["instrument"]: one for one in json.loads(done.stdout)["instruments"]}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Return a lake that was filled by an exchange in good health, and the exchange's URL."""
    with running(option_activity=ACTIVITY, limits=False, options_since=SINCE) as exchange:
        lake = tmp_path_factory.mktemp("healthy") / "lake"
        product = InProcess(Product(lake, exchange.url, AT_ONCE))
        done = product.run("backfill", *WORDS)
        assert done.returncode == 0, done.stdout + done.stderr
        yield product


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_trades_are_the_exchange_s_own_row_for_row(healthy, market, currency):
    found, expected = held(healthy, currency), truth(market, currency)

    assert len(found) > 2_000
    assert found["other"].null_count() == len(found)
    columns = [name for name in found.columns if name != "other"]
    assert_frame_equal(found.select(columns), expected.select(columns))
    assert status(healthy, "--dataset", "option_trades")[currency]["verdict"] == "COMPLETE"


def test_files_are_sorted_and_have_small_row_groups(healthy):
    path = healthy.lake / "clean/option_trades/BTC/2025-09.parquet"
    file = pq.ParquetFile(path)

    assert pl.read_parquet(path).select(KEY).equals(pl.read_parquet(path).select(KEY).sort(KEY))
    assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= 16_384


def test_verify_replay_and_a_second_run_change_nothing(healthy):
    before = content(healthy)

    assert healthy.run("verify", "--dataset", "option_trades").returncode == 0
    assert healthy.run("replay", "--dataset", "option_trades").returncode == 0
    assert content(healthy) == before
    again = healthy.run("backfill", *WORDS)
    assert "COMPLETE" in again.stdout
    assert " 5 requests in " in again.stdout or int(again.stdout.split()[0]) < 8, again.stdout
    assert content(healthy) == before


@pytest.mark.slow
@pytest.mark.parametrize("fault_seed", [1, 2, 3])
def test_with_every_vice_what_heal_leaves_is_what_a_healthy_exchange_gives(
    healthy, tmp_path, fault_seed
):
    with running(
        option_activity=ACTIVITY, limits=False, faults="all", fault_seed=fault_seed
    ) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        product.run("backfill", *WORDS)
        for _ in range(3):
            done = product.run("heal", "--dataset", "option_trades", "--now")
            if done.returncode == 0:
                break

        assert done.returncode == 0, done.stdout + done.stderr
        assert content(product) == content(healthy)


def test_trades_that_are_lost_are_named_and_nothing_else_is_missing(healthy, market, tmp_path):
    one_in = 150
    with running(option_activity=ACTIVITY, limits=False, lose=one_in) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        done = product.run("backfill", *WORDS)
        assert done.returncode == 3, done.stdout + done.stderr
        told = status(product, "--dataset", "option_trades")
        by_option = status(product, "--by", "instrument")
        named = {
            (gap["of"], number)
            for path in product.lake.glob("ledger/option_trades/*/*.json")
            for gap in json.loads(path.read_bytes())["gaps"]
            if gap.get("of")
            for number in range(gap["first"], gap["first"] + gap["rows"])
        }

    losing = Market(7, NOW_MS, option_activity=ACTIVITY, lose=one_in)
    expected = {row for currency in CURRENCIES for row in provable(losing, market, currency)}
    assert len(expected) > 30
    assert named == expected
    broken = {name for name, one in by_option.items() if one["verdict"] == "INCOMPLETE"}
    assert broken == {name for name, _ in expected}
    assert len(broken) < len(by_option)
    assert {one["verdict"] for one in told.values()} == {"INCOMPLETE"}
    for currency in CURRENCIES:
        lost = losing.lost_trades(currency, *BOUNDS).rename({"instrument_name": "instrument"})
        left = truth(market, currency).join(lost, on=["instrument", "trade_seq"], how="anti")
        assert_frame_equal(held(product, currency).select(KEY), left.select(KEY).sort(KEY))


def provable(losing, market, currency):
    """Return the lost trades that a number of the same option shows: one later, and one before.

    What an option did before the time that is wanted shows nothing, unless it was listed in it.
    """
    lost = losing.lost_trades(currency, *BOUNDS)
    kept = market.option_trades(currency, *BOUNDS).join(
        lost, on=["instrument_name", "trade_seq"], how="anti"
    )
    edges = kept.group_by("instrument_name").agg(
        pl.col("trade_seq").min().alias("low"), pl.col("trade_seq").max().alias("high")
    )
    born = listed(market, currency)
    number = pl.col("trade_seq")
    found = lost.join(edges, on="instrument_name").join(born, on="instrument_name")
    is_inside = number.is_between("low", "high") | ((number < pl.col("low")) & pl.col("is_born"))
    return found.filter(is_inside).select("instrument_name", "trade_seq").iter_rows()


def listed(market, currency):
    """Return which options were listed in the time that is wanted."""
    rows = [
        (one["instrument_name"], one["creation_timestamp"] >= BOUNDS[0])
        for is_expired in (True, False)
        for one in options.records(market, currency, is_expired=is_expired)
    ]
    return pl.DataFrame(rows, schema=["instrument_name", "is_born"], orient="row")


def test_trades_that_no_page_has_at_the_turn_of_a_month_come_by_their_numbers(
    healthy, market, tmp_path
):
    turn = pl.datetime(2025, 10, 1, time_zone="UTC")
    trades = truth(market, "BTC").filter(pl.col("timestamp") >= turn - pl.duration(days=2))
    edges = trades.group_by("instrument", pl.col("timestamp") < turn).agg(
        pl.col("trade_seq").min().alias("first"), pl.col("trade_seq").max().alias("last"), pl.len()
    )
    both = edges.filter(pl.col("len") > 1).sort("len", descending=True)
    name = both.filter(pl.col("instrument").is_duplicated())["instrument"][0]
    number = both.filter(pl.col("instrument") == name, pl.col("timestamp"))["last"][0]

    def without(answer):
        if answer.method != "public/get_last_trades_by_currency_and_time":
            return answer
        gone = {(name, number), (name, number + 1)}
        rows = answer.result["trades"]
        kept = [one for one in rows if (one["instrument_name"], one["trade_seq"]) not in gone]
        return answer.with_result(answer.result | {"trades": kept})

    words = ("options", "--currency", "BTC", "--start")
    with relaying(healthy.product.host, without) as url:
        product = beside(healthy, tmp_path, url)
        product.run("backfill", *words, "2025-09-29", "--end", "2025-10-01")
        done = product.run("backfill", *words, "2025-10-01", "--end", "2025-10-03")

    assert done.returncode == 0, done.stdout + done.stderr
    asked_for = (
        pl.datetime(2025, 9, 29, time_zone="UTC"),
        pl.datetime(2025, 10, 3, time_zone="UTC"),
    )
    expected = trades.filter(pl.col("timestamp").is_between(*asked_for, closed="left"))
    assert_frame_equal(held(product, "BTC").select(KEY), expected.select(KEY))


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_and_ends_with_the_same_bytes(healthy, tmp_path):
    dice = random.Random(5)  # noqa: S311  (moments, not secrets)
    with running(option_activity=ACTIVITY, latency_ms=40) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        for _ in range(12):
            process = product.product.start("backfill", *WORDS)
            time.sleep(dice.uniform(0.8, 6.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
            for path in product.lake.glob("**/*.parquet"):
                pl.read_parquet_schema(path)
        done = product.run("backfill", *WORDS)

        assert done.returncode == 0, done.stdout + done.stderr
        assert content(product) == content(healthy)


def met(frame, vice):
    """Return the options among those of a frame that have a vice."""
    return {name for name in frame["instrument"].unique() if vices.is_met(name, vice)}


@pytest.mark.parametrize(
    ("vice", "reasons"),
    [
        ("restarted", {"came_twice", "contradicted"}),
        ("two_trades", {"came_twice", "contradicted"}),
        ("late", {"timestamp:after_expiry"}),
    ],
)
def test_what_is_wrong_for_good_is_set_aside_with_the_reason(healthy, tmp_path, vice, reasons):
    words = ("options", "--currency", "BTC", "--start", START, "--end", END)
    with running(option_activity=ACTIVITY, limits=False, faults=vice) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        done = product.run("backfill", *words)
        assert done.returncode == 3, done.stdout + done.stderr
        one = status(product, "--dataset", "option_trades")["BTC"]
    files = sorted(product.lake.glob("quarantine/option_trades/BTC/*.parquet"))
    aside = pl.concat([pl.read_parquet(path) for path in files])

    assert set(aside["failed_check"]) <= reasons
    assert (one["verdict"], one["gaps"]["quarantined"] > 0) == ("INCOMPLETE", True)
    whole, kept = (
        frame.filter(~pl.col("instrument").is_in([*met(frame, vice)]))
        for frame in (held(healthy, "BTC"), held(product, "BTC"))
    )
    assert_frame_equal(kept, whole)
    assert {*aside["instrument"]} <= {*met(aside, vice)}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--expiry", "2025-10-01,2025-10-02T00:00,2031-01-01"), "expires on 2031-01-01; nearest:"),
        (("--expiry", "2025-10-03", "--active-only"), "is chosen by expiry 2025-10-03; active at"),
        (("--min-strike", "1000000"), "is chosen by strike from 1e+06"),
        (("--type", "straddle"), "--type 'straddle'; there are: call, put"),
        (("--strikes", "2..1"), "--strikes '2..1' is no range of strike / index: expected e.g."),
        (("--strikes", "near"), "--strikes 'near' is no range"),
        (("--expiry", "soon"), "--expiry 'soon' is not a date"),
        (("--expiry", ""), "--expiry '' names nothing"),
        (("--currency", "DOGE"), "no currency 'DOGE'; there are: BTC, ETH, USDC"),
        (("--currency", "b/c"), "no currency 'b/c'"),
        (("--start", "2031-01-01"), "is in the future"),
        (("--source", "chart"), "--instruments '' names nothing"),
        (("--source", "chart", "--instruments", "BTC-3OCT25-1-C"), "no option 'BTC-3OCT25-1-C'"),
        (
            ("--instruments", "BTC-3OCT25-60000-C"),
            "--instruments names options for --source chart",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_one_line(healthy, words, line):
    before = content(healthy)
    bounds = () if "--start" in words else ("--start", START, "--end", END)
    currency = () if "--currency" in words else ("--currency", "BTC")

    done = healthy.run("backfill", "options", *currency, *bounds, *words)

    assert (done.returncode, line in done.stderr) == (1, True), done.stderr + done.stdout
    assert done.stderr.count("\n") == 1
    assert content(healthy) == before


def test_some_of_a_chain_are_counted_apart(healthy, market):
    words = ("--expiry", "2025-10-03", "--type", "call", "--strikes", "0.9..1.1")
    done = healthy.run("backfill", *WORDS[:2], "BTC", *WORDS[3:], *words, "--json")
    trades = truth(market, "BTC").filter(
        pl.col("instrument").str.starts_with("BTC-3OCT25-"),
        pl.col("instrument").str.ends_with("-C"),
    )
    strike = pl.col("instrument").str.split("-").list.get(2).cast(pl.Float64)
    near = trades.filter((strike / pl.col("index_price")).is_between(0.9, 1.1))

    (one,) = json.loads(done.stdout)["instruments"]
    assert (one["instrument"], one["verdict"]) == ("BTC 2025-10-03", "COMPLETE")
    assert 0 < one["rows"] == len(near) < len(trades)


def test_a_moneyness_no_trade_has_is_said_in_a_line(healthy):
    done = healthy.run("backfill", *WORDS[:2], "BTC", *WORDS[3:], "--strikes", "50..60")

    line = done.stderr.splitlines()[-1]
    assert (done.returncode, "options chosen has strike / index 50.0..60.0" in line) == (1, True)


def test_status_tells_expiries_and_options_apart(healthy, market):
    trades = truth(market, "BTC")

    by_option = status(healthy, "--by", "instrument")
    by_expiry = status(healthy, "--by", "expiry")

    assert sum(one["rows"] for name, one in by_option.items() if name[:4] == "BTC-") == len(trades)
    expired = trades.filter(pl.col("instrument").str.starts_with("BTC-3OCT25-"))
    assert by_expiry["BTC 2025-10-03"]["rows"] == len(expired)
    assert {one["verdict"] for one in by_option.values()} == {"COMPLETE"}
    assert any(one["rows"] == 0 for one in by_option.values())  # most options never trade


def test_candles_of_named_options_come_from_the_chart(healthy, market):
    name = truth(market, "BTC")["instrument"].value_counts(sort=True)["instrument"][0]
    done = healthy.run(
        "backfill", "options", "--source", "chart", "--instruments", name,
        "--start", "2025-09-29", "--end", "2025-10-01",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "options_chart" in done.stdout


def test_months_folded_in_a_process_of_their_own_are_the_same_to_the_byte(
    healthy, tmp_path, monkeypatch
):
    with running(option_activity=ACTIVITY, limits=False) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        folded = []
        monkeypatch.setattr(run, "is_large", lambda *one: folded.append(one) or True)
        done = product.run("backfill", *WORDS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(folded) == 4
    assert content(product) == content(healthy)


def test_a_folding_process_that_is_killed_ends_the_run_in_one_line(healthy, tmp_path, monkeypatch):
    with running(option_activity=ACTIVITY, limits=False) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        with monkeypatch.context() as patch:
            patch.setattr(run, "is_large", lambda *_: True)
            patch.setattr(run, "settle_for", killed)
            done = product.run("backfill", *WORDS)
        again = product.run("backfill", *WORDS)

    assert (done.returncode, done.stderr.count("error: ")) == (1, 1), done.stderr
    assert "the process that folds was killed" in done.stderr
    assert again.returncode == 0, again.stdout + again.stderr
    assert content(product) == content(healthy)


def killed(_loan, _came):
    """Die as a process does that the system takes for too large."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_month_another_process_writes_does_not_keep_the_others_from_being_held_together(
    healthy, tmp_path
):
    words = ("backfill", "options", "--currency", "BTC")
    september, october = (
        Partition("option_trades", "BTC", f"2025-{month}") for month in ("09", "10")
    )
    with running(option_activity=ACTIVITY, limits=False) as exchange:
        product = beside(healthy, tmp_path, exchange.url)
        lake = Lake(product.lake)
        product.run(*words, "--start", "2025-10-01", "--end", END)
        with locked(lake, [october]):
            done = product.product.run(*words, "--start", START, "--end", "2025-10-01")
        held = [(september, read_record(lake, september)), (october, read_record(lake, october))]

        # October was held against nothing, and has to be held against September now.
        assert stale(held) == [october]
        assert done.returncode == 4, done.stdout + done.stderr
        assert product.run(*words, "--start", START, "--end", END).returncode == 0
    assert status(product, "--dataset", "option_trades")["BTC"]["verdict"] == "COMPLETE"
