"""From trades and rates to Greeks on the command line: two months, killed, queried, verified."""

import json
import random
import shutil
import signal
import time
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest

from etl.catalog import find_computed
from etl.compute.run import Ask
from etl.pipeline import compute_all
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import records, write_record
from lake.paths import open_lake
from lake.read import checksum
from lake.write import publish_table
from quant.kernels.greeks import NAMES, greeks
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running
from validators.contract import check
from validators.schemas.options_greeks import DISCOUNTED, EXCHANGE, IN_COIN, OptionsGreeks

START, END = "2025-05-31", "2025-06-02"  # a Saturday and a Sunday, of two months
ACTIVITY, SINCE = 0.1, "2025-05-30"
WORDS = ("options", "--currency", "BTC,USDC", "--start", START, "--end", END)
RATES = ("rates", "--start", "2025-05-01", "--end", "2025-06-01")


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    with running(option_activity=ACTIVITY, limits=False, options_since=SINCE) as exchange:
        urls = dict.fromkeys(("DERIBIT_LAKE_TREASURY_URL", "DERIBIT_LAKE_FRED_URL"), exchange.url)
        lake = tmp_path_factory.mktemp("greeks") / "lake"
        product = InProcess(Product(lake, exchange.url, tuple(urls.items())))
        for words in (("backfill", *WORDS), ("backfill", *RATES), ("compute", "greeks")):
            done = product.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield product


@pytest.fixture(scope="module")
def held(product):
    files = sorted(product.lake.glob("derived/options_greeks/*/*.parquet"))
    assert len(files) == 4
    return pl.concat([pl.read_parquet(path) for path in files])


def test_every_file_keeps_its_contract_and_its_key(product):
    for path in product.lake.glob("derived/options_greeks/*/*.parquet"):
        check(pl.read_parquet(path), OptionsGreeks)


def test_there_is_a_row_for_every_candle(product, held):
    files = product.lake.glob("derived/options_ohlcv/*/*.parquet")
    candles = pl.concat([pl.read_parquet(path) for path in files])

    key = ["instrument", "timestamp"]
    assert held.select(key).sort(key).equals(candles.select(key).sort(key))
    assert (held["status"] == "ok").mean() > 0.95


def test_greeks_are_near_those_of_the_true_volatility_and_forward(product, held):
    """The simulator knows at what volatility and forward each trade was priced."""
    market = Market(7, milliseconds("2025-07-01"), option_activity=ACTIVITY)
    span = milliseconds(START), milliseconds(END)
    truth = pl.concat([market.option_truth(name, *span) for name in ("BTC", "USDC")])
    files = product.lake.glob("derived/option_iv/*/*.parquet")
    numbered = pl.concat([pl.read_parquet(path) for path in files]).select(
        "instrument", "price", "trade_seq", close_timestamp="timestamp"
    )
    ok = held.filter(status="ok")
    true = ok.join(numbered, on=["instrument", "close_timestamp", "price"]).join(
        truth.rename({"instrument_name": "instrument"}), on=["instrument", "trade_seq"],
        suffix="_true",
    )  # fmt: skip
    assert len(true) >= len(ok)
    sigma, forward = (true[name].to_numpy() for name in ("iv_true", "forward_true"))
    strike = true["instrument"].str.split("-").list.get(2).str.replace("d", ".").cast(float)
    columns = (forward, true["index_price"], strike, true["tenor"], sigma, true["rate"])
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    is_call = true["instrument"].str.ends_with("C").to_numpy()
    is_coin = ~true["instrument"].str.contains("_").to_numpy()
    expected = dict(zip(NAMES, greeks(*arrays, is_call, is_coin), strict=True))
    for name, near in {"delta": 2e-3, "net_delta": 2e-3, "delta_disc": 2e-3}.items():
        off = np.abs(true[name].to_numpy() - expected[name])
        assert np.nanmedian(off) < near, name


def test_the_rate_is_fridays_over_the_weekend(held):
    by_day = held.group_by(pl.col("timestamp").dt.date()).agg(
        pl.col("rate_status").unique(), pl.col("rate_age").unique()
    ).sort("timestamp")  # fmt: skip

    assert by_day["rate_status"].to_list() == [["ok"], ["carried"]]
    assert by_day["rate_age"].to_list() == [[1.0], [2.0]]
    assert held["rate"].is_between(0.03, 0.06).all()


def test_what_is_discounted_and_what_is_in_coin_is_there_where_it_can_be(held):
    ok = held.filter(status="ok")
    is_coin = ~ok["underlying"].str.contains("_")

    assert not is_coin.all()
    assert is_coin.any()
    for name in (*EXCHANGE, *DISCOUNTED):
        assert ok[name].null_count() == 0, name
    for name in IN_COIN:
        assert (ok[name].is_not_null() == is_coin).all(), name


def test_the_lake_answers_for_it_in_sql(product, held):
    sql = "SELECT status, count(*) AS rows FROM options_greeks GROUP BY status"

    rows = json.loads(product.run("query", sql, "--format", "json").stdout)

    assert {row["status"]: row["rows"] for row in rows} == dict(
        held.group_by("status").len().iter_rows()
    )


def test_nothing_is_computed_twice_and_two_processes_make_the_same_bytes(product, tmp_path):
    assert "0 partitions computed" in product.run("compute", "greeks").stdout
    lake = tmp_path / "lake"
    shutil.copytree(product.lake, lake)
    for top in ("derived", "ledger"):
        shutil.rmtree(lake / top / "options_greeks")

    done = Product(lake, product.product.host).run("compute", "greeks", "--workers", "2")

    assert done.returncode == 0, done.stderr
    assert "4 partitions computed" in done.stdout
    assert digests(lake, "derived") == digests(product.lake, "derived")


def test_a_new_curve_makes_the_greeks_of_its_days_anew(product, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(product.lake, lake)
    copied = InProcess(replace(product.product, lake=lake))
    blocks = ("--blocks", "--rate-age", "3", "--currency", "USDC")
    assert copied.run("compute", "greeks", *blocks).returncode == 0
    assert copied.run(
        "backfill", "rates", "--start", "2025-01-01", "--end", "2025-11-20"
    ).returncode in {0, 3}

    told = copied.run("status", "--dataset", "options_greeks", "--json")
    assert told.returncode == 4, told.stdout
    advice = [one["why"].split("`")[1] for one in json.loads(told.stdout)["instruments"]]
    assert advice == [
        "deribit-lake compute options_greeks",
        "deribit-lake compute options_greeks --blocks --rate-age 3 --currency USDC",
    ]
    assert copied.run("compute", "greeks", "--currency", "BTC").returncode == 0
    done = copied.run(*advice[1].split()[1:])  # as it was told, and not as is usual

    assert done.returncode == 0, done.stderr
    assert copied.run("status", "--dataset", "options_greeks").returncode == 0
    made = {one.part: record.options for one, record in records(open_lake(lake), "options_greeks")}
    assert made["USDC"] == {"blocks": 1.0, "rate_age": 3.0}


def test_volatilities_of_the_version_before_which_kept_no_index_are_computed_anew(
    product, tmp_path
):
    lake = open_lake(shutil.copytree(product.lake, tmp_path / "lake"))
    for one, record in [*records(lake, "option_iv")]:
        old = pl.read_parquet(lake.derived(one)).drop("index_price")
        publish_table(arrow(old), lake.derived(one))
        write_record(lake, one, msgspec.structs.replace(
            record, version=1, checksum=checksum(arrow(old)))
        )  # fmt: skip
    copied = InProcess(Product(lake.root, product.product.host))

    assert copied.run("status", "--dataset", "option_iv").returncode == 4
    done = copied.run("compute", "greeks")

    assert done.returncode == 0, done.stderr
    assert digests(lake.root, "derived") == digests(product.lake, "derived")


def test_verify_finds_an_altered_digit(product):
    path = product.lake / "derived/options_greeks/BTC/2025-06.parquet"
    sound = path.read_bytes()
    pl.read_parquet(path).with_columns(pl.col("vanna") + 1e-12).write_parquet(path)

    found = product.run("verify")
    path.write_bytes(sound)

    assert found.returncode == 1
    assert "options_greeks" in found.stdout + found.stderr


def test_what_volatilities_were_told_holds_when_nothing_is_computed_by_its_name(product, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(product.lake, lake)
    copied = InProcess(Product(lake, product.product.host))
    assert "4 partitions computed" in copied.run("compute", "iv", "--forward-age", "12").stdout

    done = compute_all(open_lake(lake), [find_computed("iv")], LogProgress(), Ask())

    assert (done.computed, done.unchanged) == (0, 8)
    assert "4 partitions computed" in copied.run("compute", "iv").stdout


def test_volatilities_keep_the_age_of_forwards_they_were_told(product, tmp_path):
    lake = open_lake(shutil.copytree(product.lake, tmp_path / "lake"))
    copied = InProcess(Product(lake.root, product.product.host))
    told = copied.run("compute", "iv", "--forward-age", "0.1", "--currency", "BTC")
    before = digests(lake.root / "derived", "option_iv")

    done = copied.run("compute", "greeks")

    assert (told.returncode, done.returncode) == (0, 0)
    assert digests(lake.root / "derived", "option_iv") == before
    assert {one.part: record.options for one, record in records(lake, "option_iv")} == {
        "BTC": {"forward_age": 0.1}, "USDC": {"forward_age": 6.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ("greeks", "--rate-age", "inf"), ("iv", "--forward-age", "inf"),
        ("basis", "--tolerance", "inf"),
    ],
)  # fmt: skip
def test_an_age_without_end_is_refused_before_a_ledger_holds_it(product, words):
    done = product.run("compute", *words)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {words[1]} inf: expected a finite")


@pytest.mark.parametrize("words", [("--rate-age", "0"), ("--every", "60"), ("--rate-age", "x")])
def test_an_option_that_means_nothing_here_is_refused(product, words):
    done = product.run("compute", "greeks", *words)

    assert done.returncode in {1, 2}
    assert words[0] in done.stderr


def test_without_volatilities_it_says_what_to_run(tmp_path, product):
    lake = InProcess(replace(product.product, lake=tmp_path / "lake"))
    assert lake.run("backfill", *RATES).returncode == 0
    done = lake.run("compute", "greeks")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "run `deribit-lake backfill option_trades`" in done.stderr


@pytest.mark.slow
def test_killed_at_any_moment_a_computation_ends_with_the_same_bytes(product, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(product.lake, lake)
    for name in ("forward_curve", "option_iv", "options_greeks"):
        shutil.rmtree(lake / "derived" / name)
        shutil.rmtree(lake / "ledger" / name)
    killed = Product(lake, product.product.host)
    dice = random.Random(5)  # noqa: S311  (moments, not secrets)
    for _ in range(10):
        process = killed.start("compute", "greeks")
        time.sleep(dice.uniform(0.8, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in lake.glob("derived/**/*.parquet"):
            pl.read_parquet_schema(path)
    done = InProcess(killed).run("compute", "greeks")

    assert done.returncode == 0, done.stderr
    assert digests(lake, "derived") == digests(product.lake, "derived")
