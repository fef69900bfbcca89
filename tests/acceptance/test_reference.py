"""Index prices, delivery prices and the volatility index, end to end against the simulator."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange import volatility_index
from tests.exchange.deliveries import READINGS, delivery_days
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.relay import relaying
from tests.exchange.running import running

NOW = "2025-10-18"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def market():
    return Market(7, milliseconds(NOW))


@pytest.fixture
def product(tmp_path, exchange):
    settings = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
    return InProcess(Product(tmp_path / "lake", exchange.url, settings))


def read(product, dataset, top="clean"):
    return pl.read_parquet(product.lake / top / dataset / "*" / "*.parquet")


def verdicts(done):
    return {one["instrument"]: one["verdict"] for one in json.loads(done.stdout)["instruments"]}


def test_the_volatility_index_is_whole_and_in_decimals(product):
    done = product.run(
        "backfill", "dvol", "--currency", "BTC,ETH", "--start", "2024-01-01", "--end", "2024-01-08",
        "--json",
    )  # fmt: skip

    rows = read(product, "volatility_index").filter(pl.col("instrument") == "eth_usd")
    start = milliseconds("2024-01-01")
    expected = volatility_index.index(7, "ETH", start + 60_000 * np.arange(7 * 1_440))
    assert verdicts(done) == {"btc_usd": "COMPLETE", "eth_usd": "COMPLETE"}
    assert rows["timestamp"].dt.epoch("ms").to_list() == list(
        range(start, start + 7 * DAY_MS, 60_000)
    )
    np.testing.assert_allclose(rows["open"].to_numpy(), expected / 100, rtol=1e-15)


@pytest.mark.parametrize("fault_seed", [1, 2])
def test_faulty_pages_end_in_the_same_bytes(product, tmp_path, fault_seed):
    wishes = [
        ("dvol", "--currency", "BTC", "--start", "2024-01-01", "--end", "2024-01-08"),
        ("deliveries", "--index", "btc_usd", "--start", "2023-01-01"),
        ("index", "--index", "btc_usd", "--start", "2024-01-01", "--end", "2024-02-01"),
    ]
    with running(limits=False, faults="all", fault_seed=fault_seed) as faulty:
        settings = (
            ("DERIBIT_LAKE_CONFIRM_AFTER", "0"),
            ("DERIBIT_LAKE_RETRY_SECONDS", "30"),
            ("DERIBIT_LAKE_PROBE_SECONDS", "0.1"),
        )
        other = InProcess(Product(tmp_path / "other", faulty.url, settings))
        for wish in wishes:
            product.run("backfill", *wish)
            other.run("backfill", *wish)
        for _ in range(4):
            healed = other.run("heal")

    assert healed.returncode == 0
    assert digests(other.lake) == digests(product.lake)


@pytest.mark.slow
def test_three_years_of_minutes_of_the_volatility_index_have_each_minute_once(product):
    done = product.run(
        "backfill", "dvol", "--currency", "BTC", "--start", "2022-01-01", "--end", "2025-01-01",
        "--json",
    )  # fmt: skip

    ticks = read(product, "volatility_index")["timestamp"].dt.epoch("ms").sort()
    assert verdicts(done) == {"btc_usd": "COMPLETE"}
    assert len(ticks) == 1_096 * 1_440
    assert set(ticks.diff().drop_nulls().unique()) == {60_000}


def test_nothing_is_asked_of_a_time_before_the_volatility_index(product, exchange):
    before = exchange.stats()["requests"]

    done = product.run(
        "backfill", "dvol", "--start", "2018-01-01", "--end", "2021-03-26",
        "--resolution", "3600", "--json",
    )  # fmt: skip

    assert set(verdicts(done).values()) == {"COMPLETE"}
    assert exchange.stats()["requests"] - before == 3
    assert len(read(product, "volatility_index_3600")) == 2 * 48


def test_a_currency_without_a_volatility_index_is_refused(product):
    done = product.run("backfill", "dvol", "--currency", "SOL")

    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode != 0
    assert [line.partition(": public/")[0] for line in said] == ["error: sol_usd"]
    assert not list(product.lake.glob("ledger/**/*.json"))
    assert product.run("replay", "--dataset", "dvol").returncode == 0
    assert not list(product.lake.glob("ledger/**/*.json"))


def test_one_instrument_that_is_refused_leaves_the_verdict_of_all_unknown(product, exchange):
    def with_one_more(answer):
        if "get_instruments" not in answer.method:
            return answer
        named = {"instrument_name": "BTC_X-PERPETUAL", "instrument_id": 999}
        return answer.with_result([*answer.result, {**answer.result[0], **named}])

    with relaying(exchange.url, with_one_more) as url:
        other = InProcess(replace(product.product, host=url))
        words = ("--instruments", "BTC_X-PERPETUAL,BTC-PERPETUAL", "--start", "2025-10-17")
        done = other.run("backfill", "perpetuals", *words)

    assert done.returncode == 4
    assert "BTC_X-PERPETUAL" in done.stderr
    assert "the exchange refuses it" in done.stdout
    assert product.run("replay").returncode == product.run("status").returncode == 0


@pytest.mark.parametrize("reading", READINGS)
def test_every_delivery_price_of_the_list_is_held_whatever_days_it_has(tmp_path, market, reading):
    with running(limits=False, deliveries=reading) as lister:
        product = InProcess(Product(tmp_path / "lake", lister.url))
        planned = json.loads(product.run("plan", "deliveries", "--json").stdout)["requests"]
        done = product.run("backfill", "deliveries", "--json")
        asked = lister.stats()["by_method"]["public/get_delivery_prices"]
        again = product.run("backfill", "deliveries", "--json")
        asked_again = lister.stats()["by_method"]["public/get_delivery_prices"] - asked

    for index, perpetual in (("btc_usd", "BTC-PERPETUAL"), ("eth_usd", "ETH-PERPETUAL")):
        rows = read(product, "delivery_prices").filter(pl.col("instrument") == index)
        moments = rows["timestamp"].dt.epoch("ms").to_list()
        days = delivery_days(perpetual, reading, milliseconds(NOW))
        assert moments == [day * DAY_MS + 8 * HOUR_MS for day in reversed(days)]
        assert rows["delivery_price"][-1] == market.delivery_price(perpetual, moments[-1])
    assert set(verdicts(done).values()) == set(verdicts(again).values()) == {"COMPLETE"}
    assert planned <= asked <= 3 * planned
    assert asked_again == 0


def test_contradictory_delivery_prices_are_both_set_aside(tmp_path):
    with running(limits=False, faults="contradictory") as liar:
        product = InProcess(Product(tmp_path / "lake", liar.url))
        done = product.run(
            "backfill", "deliveries", "--index", "btc_usd", "--start", "2025-10-01", "--json"
        )

    quarantined = pl.read_parquet(
        product.lake / "quarantine" / "delivery_prices" / "btc_usd" / "2025.parquet"
    )
    (status,) = json.loads(done.stdout)["instruments"]
    day = datetime(2025, 10, 10, 8, tzinfo=UTC)
    assert done.returncode == 3
    assert status["gaps"] == {"quarantined": 1}
    assert quarantined["failed_check"].unique().to_list() == ["one_price_a_day"]
    assert quarantined["delivery_price"].n_unique() == 2
    assert day not in read(product, "delivery_prices")["timestamp"].to_list()


def test_index_prices_are_what_funding_rates_tell(product, market):
    done = product.run(
        "backfill", "index", "--start", "2023-12-30", "--end", "2024-01-03", "--json"
    )

    rows = read(product, "index_prices", "derived").filter(pl.col("instrument") == "btc_usd")
    start, end = milliseconds("2023-12-30"), milliseconds("2024-01-03")
    truth = market.funding("BTC-PERPETUAL", start, end)
    assert verdicts(done) == {"btc_usd": "COMPLETE", "eth_usd": "COMPLETE"}
    assert rows["timestamp"].dt.epoch("ms").to_list() == [
        start - HOUR_MS, *truth["timestamp"].tolist()
    ]  # fmt: skip
    assert rows["price"].to_list()[1:] == truth["index_price"].tolist()
    assert rows["source"].to_list() == ["funding_previous"] + ["funding"] * 96


def test_index_prices_follow_a_replay_and_are_verified(product):
    product.run("backfill", "index", "--start", "2024-01-01", "--end", "2024-01-03")
    before = digests(product.lake)
    replayed = product.run("replay")
    verified = product.run("verify")
    status = product.run("status", "--json")

    assert replayed.returncode == verified.returncode == status.returncode == 0
    after = digests(product.lake)  # the instruments are folded now, too
    assert {path: after[path] for path in before} == before


def test_an_unknown_index_is_refused_and_the_known_ones_are_named(product):
    done = product.run("backfill", "index", "--index", "doge_usd")

    assert done.returncode != 0
    assert "doge_usd" in done.stderr
    assert "btc_usd" in done.stderr
    assert not (product.lake / "clean").exists()
