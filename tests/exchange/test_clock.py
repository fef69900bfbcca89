"""The exchange's clock, and numbers that are computed one by one as they are in arrays."""

import time

import httpx
import numpy as np
import pytest

from tests.exchange import noise, tickers
from tests.exchange.clock import Clock
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import BY_NAME
from tests.exchange.running import NOW, running

NOW_US = 1_792_326_896_000_000
DAY_MS = 86_400_000


def test_a_fast_clock_has_passed_so_many_times_the_real_time():
    clock = Clock(NOW_US, started_s=time.time() - 10, speed=120)

    assert clock.read_us() - NOW_US == pytest.approx(1_200e6, abs=60e6)
    assert clock.delay(60) == 0.5


def test_the_real_clock_is_the_machine_s():
    assert Clock.real().read_us() == pytest.approx(time.time() * 1e6, abs=1e6)


def test_a_frozen_clock_stands_and_its_seconds_are_real_ones():
    clock = Clock.frozen(NOW_US // 1000)

    assert clock.read_us() == NOW_US
    assert clock.delay(60) == 60


def test_two_exchanges_that_started_at_one_moment_agree():
    started = time.time()
    with (
        running(now=NOW, speed=50, started=started) as one,
        running(now=NOW, speed=50, started=started) as other,
    ):
        asked, told = time.time(), []
        for exchange in (one, other):
            url = f"{exchange.url}/api/v2/public/get_time"
            told.append(httpx.get(url, trust_env=False).json()["result"])
        elapsed_ms = 50_000 * (time.time() - started)

    low, high = milliseconds(NOW) + 50_000 * (asked - started) - 1, milliseconds(NOW) + elapsed_ms
    assert low <= told[0] <= told[1] <= high


def test_credits_refill_in_exchange_time():
    with (
        running(now=NOW, speed=100) as exchange,
        httpx.Client(base_url=exchange.url, trust_env=False) as client,
    ):
        codes = [client.get("/api/v2/public/get_time").status_code for _ in range(130)]

    assert set(codes) == {200}  # 130 calls take longer than the 0.3 s that 30 of them refill in


def test_one_number_s_noise_is_that_of_an_array():
    key, counter = noise.key(7, "clock"), np.arange(1 << 40, (1 << 40) + 100, dtype=np.uint64)
    exponents = np.linspace(-11, 11, 101)

    assert [noise.bits_of(int(key), n) for n in counter.tolist()] == noise.bits(
        key, counter
    ).tolist()
    assert [noise.exponential_of(x) for x in exponents.tolist()] == (
        noise.exponential(exponents).tolist()
    )


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL", "BTC-26DEC25"])
def test_a_ticker_has_the_best_of_the_book_and_the_last_day(market, name):
    now = market.at(milliseconds("2025-10-17T12:34:56.789"))
    instrument = BY_NAME[name]
    ticker = tickers.ticker(now, instrument)
    book = tickers.order_book(now, instrument, 1)
    day = now.candles(name, now.now_ms - DAY_MS, now.now_ms)

    assert [book["bids"][0], book["asks"][0]] == [
        [ticker["best_bid_price"], ticker["best_bid_amount"]],
        [ticker["best_ask_price"], ticker["best_ask_amount"]],
    ]
    assert ticker["last_price"] == day["close"][-1]
    assert (ticker["stats"]["high"], ticker["stats"]["low"]) == (
        day["high"].max(),
        day["low"].min(),
    )
    assert ticker["stats"]["volume"] == pytest.approx(day["volume"].sum(), abs=1e-7)
    assert ticker["stats"]["volume_usd"] == pytest.approx(day["cost"].sum(), abs=1e-2)
