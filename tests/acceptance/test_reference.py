"""Index prices, delivery prices and the volatility index, end to end against the simulator."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.exchange import volatility_index
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
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
    return Product(tmp_path / "lake", exchange.url, settings)


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
        settings = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"), ("DERIBIT_LAKE_RETRY_SECONDS", "30"))
        other = Product(tmp_path / "other", faulty.url, settings)
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

    assert done.returncode != 0
    assert "sol_usd" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_day_has_its_delivery_price(product, market):
    done = product.run("backfill", "deliveries", "--json")

    rows = read(product, "delivery_prices").filter(pl.col("instrument") == "btc_usd")
    found = dict(zip(rows["timestamp"].dt.epoch("ms"), rows["delivery_price"], strict=True))
    assert set(verdicts(done).values()) == {"COMPLETE"}
    assert set(rows["timestamp"].diff().drop_nulls()) == {
        rows["timestamp"][1] - rows["timestamp"][0]
    }
    for day in ("2019-03-29", "2024-02-29", "2025-10-17"):
        moment = milliseconds(day) + 8 * HOUR_MS
        assert found[moment] == market.delivery_price("BTC-PERPETUAL", moment)


def test_contradictory_delivery_prices_are_both_set_aside(tmp_path):
    with running(limits=False, faults="contradictory") as liar:
        product = Product(tmp_path / "lake", liar.url)
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
