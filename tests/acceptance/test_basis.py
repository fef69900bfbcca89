"""The basis of simulated futures, from a lake that was filled over a socket."""

import json

import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running
from validators.contract import check, key_of
from validators.schemas.futures_basis import FuturesBasis
from validators.schemas.futures_curve import FuturesCurve
from validators.table import facts_of

START, END = "2023-12-25", "2024-01-15"
PERIOD = ("--start", START, "--end", END)


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    with running(limits=False) as exchange:
        settings = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
        lake = tmp_path_factory.mktemp("basis") / "lake"
        product = InProcess(Product(lake, exchange.url, settings))
        product.run("backfill", "futures", "--currency", "BTC", *PERIOD)
        product.run("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL", *PERIOD)
        product.run("backfill", "index", "--index", "btc_usd", *PERIOD)
        done = product.run("compute", "basis")
        assert done.returncode == 0, done.stderr
        yield product


def derived(product, dataset="futures_basis"):
    return pl.read_parquet(product.lake / "derived" / dataset / "BTC" / "*.parquet")


def test_every_candle_of_every_future_has_its_row(product):
    clean = pl.read_parquet(product.lake / "clean" / "futures_ohlcv" / "*" / "*.parquet")
    rows = derived(product)

    key = ["instrument", "timestamp"]
    assert rows.select(key).sort(key).equals(clean.select(key).sort(key))
    assert (rows["status"] == "ok").mean() > 0.9
    assert rows["index_basis"].is_not_null().sum() > 1_000


@pytest.mark.parametrize("model", [FuturesBasis, FuturesCurve])
def test_every_file_keeps_its_contract_and_no_two_rows_share_a_key(product, model):
    files = list((product.lake / "derived" / facts_of(model).name).rglob("*.parquet"))

    assert files
    for file in files:
        check(pl.read_parquet(file).sort(key_of(model)), model)


def test_at_expiry_a_future_is_worth_its_delivery_price(product):
    market = Market(7, milliseconds("2025-10-18"))
    last = derived(product).group_by("instrument").agg(pl.all().sort_by("timestamp").last())
    found = last.filter(
        pl.col("timestamp") < pl.lit(END).str.to_datetime(time_zone="UTC") - pl.duration(days=1)
    )

    off, perpetual_off = [], []
    for row in found.to_dicts():
        moment = round(row["timestamp"].timestamp() * 1000) + 60_000
        delivered = market.delivery_price("BTC-PERPETUAL", moment)
        off.append(abs(row["future_price"] / delivered - 1))
        perpetual_off.append(abs(row["perpetual_price"] / delivered - 1))

    assert len(off) >= 3
    assert max(off) < 8e-4  # the last trade is some minutes old, and on one side of the book
    assert sum(off) < 0.3 * sum(perpetual_off)


def test_the_age_of_a_price_is_known_across_a_month(product):
    rows = derived(product)
    first = rows.filter(
        pl.col("timestamp") == pl.lit("2024-01-01").str.to_datetime(time_zone="UTC")
    )
    clean = pl.read_parquet(product.lake / "clean" / "futures_ohlcv" / "*" / "*.parquet")
    for row in first.to_dicts():
        before = clean.filter(
            pl.col("instrument") == row["instrument"],
            pl.col("timestamp") <= row["timestamp"],
            pl.col("volume") > 0,
        )["timestamp"].max()
        age = (row["timestamp"] - before).total_seconds() / 60
        assert (row["status"] == "stale_future") == (age > 60)


def test_the_term_structure_lies_between_its_neighbours(product):
    curve = derived(product, "futures_curve").filter(pl.col("status") == "ok")
    carries = derived(product).select("timestamp", "instrument", "carry")
    around = curve
    for side in ("shorter", "longer"):
        around = around.join(
            carries.rename({"carry": f"{side}_carry"}),
            left_on=["timestamp", side], right_on=["timestamp", "instrument"],
        )  # fmt: skip

    assert len(around) == len(curve) > 10_000
    assert set(curve["maturity_days"].unique()) >= {7.0, 30.0}


def test_a_second_run_computes_nothing_and_a_deleted_month_comes_back_the_same(product):
    before = digests(product.lake, "derived")
    again = json.loads(product.run("compute", "basis", "--json").stdout)
    (product.lake / "derived" / "futures_basis" / "BTC" / "2024-01.parquet").unlink()
    once = json.loads(product.run("compute", "basis", "--json").stdout)

    assert again["computed"] == 0
    assert (once["computed"], once["unchanged"]) == (1, again["unchanged"] - 1)
    assert digests(product.lake, "derived") == before


def test_the_lake_answers_for_it_in_sql_and_verifies_it(product):
    query = "SELECT count(*) AS n FROM futures_basis JOIN futures_curve USING (timestamp)"
    answer = product.run("query", query, "--format", "json")
    verified = product.run("verify")

    assert json.loads(answer.stdout)[0]["n"] > 0
    assert verified.returncode == 0


def test_an_underlying_that_is_not_held_is_refused(product):
    done = product.run("compute", "basis", "--currency", "DOGE")

    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].endswith("there are: BTC")


def test_a_lake_without_futures_says_what_to_run(tmp_path):
    done = InProcess(Product(tmp_path / "lake", "http://127.0.0.1:9")).run("compute", "basis")

    assert done.returncode != 0
    assert "backfill futures" in done.stderr


def test_a_lake_without_the_perpetual_says_so_and_gives_reasons(tmp_path):
    with running(limits=False) as exchange:
        product = InProcess(Product(tmp_path / "lake", exchange.url))
        product.run(
            "backfill",
            "futures",
            "--currency",
            "BTC",
            "--start",
            "2024-01-01",
            "--end",
            "2024-01-03",
        )
        done = product.run("compute", "basis")

    assert done.returncode == 0
    assert "no candles of BTC-PERPETUAL" in done.stdout
    assert derived(product)["status"].unique().to_list() == ["no_perpetual"]
