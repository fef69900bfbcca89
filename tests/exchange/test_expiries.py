"""Dated futures: their calendar, their lives, their prices."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.exchange.forward import AVERAGED
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import ALL_FUTURES, BY_NAME, INSTRUMENTS

MINUTE_MS = 60_000
DAY_MS = 86_400_000
SHOWN = ("SOL-24JUN22", "BTC-24SEP21", "BTC-23JUL21", "ETH-30JUL21", "BTC-3JAN25", "BTC-28MAR25")


@pytest.fixture(params=SHOWN)
def future(request):
    return BY_NAME[request.param]


@pytest.mark.parametrize(
    ("name", "listed", "period"),
    [
        ("BTC-24SEP21", "2020-12-25", "month"),
        ("BTC-31DEC21", "2021-03-26", "month"),
        ("BTC-25SEP26", "2025-09-26", "month"),
        ("BTC-30JUL21", "2021-05-28", "month"),
        ("ETH-23JUL21", "2021-07-09", "week"),
        ("BTC-21SEP26", "2026-09-17", "day"),
        ("BTC-2AUG26", "2026-08-01", "day"),
        ("SOL_USDC-30OCT26", "2026-07-31", "month"),
        ("SOL-24JUN22", "2022-04-29", "month"),
    ],
)
def test_a_recorded_future_is_listed_on_its_day(name, listed, period):
    future = BY_NAME[name]

    assert datetime.fromtimestamp(future.creation_ms / 1000, UTC).date().isoformat() == listed
    assert future.settlement_period == period


def test_everything_but_the_first_expires_at_eight_and_all_but_days_on_fridays():
    first, *others = sorted(ALL_FUTURES, key=lambda one: one.expiration_ms)

    assert (first.name, first.expiration_ms) == ("BTC-15JUL16", 1_468_594_800_000)
    for future in others:
        expiry = datetime.fromtimestamp(future.expiration_ms / 1000, UTC)
        assert (expiry.hour, expiry.minute) == (8, 0)
        assert future.settlement_period == "day" or expiry.strftime("%a") == "Fri"


def test_names_and_numbers_are_unique():
    assert len(BY_NAME) == len(INSTRUMENTS)
    assert len({each.instrument_id for each in INSTRUMENTS}) == len(INSTRUMENTS)


def test_a_future_has_every_minute_of_its_life_and_none_besides(market, future):
    candles = market.candles(future.name, 0, future.expiration_ms + DAY_MS)

    assert candles["ticks"][0] == future.first_trade_ms // MINUTE_MS * MINUTE_MS
    assert candles["ticks"][-1] == future.expiration_ms - MINUTE_MS
    assert np.array_equal(
        candles["ticks"], market.minutes(future.name, 0, future.expiration_ms + DAY_MS)
    )


def test_a_future_ends_at_its_delivery_price(market, future):
    price = market.delivery_price(future.perpetual, future.expiration_ms)
    last = market.candles(future.name, future.expiration_ms - MINUTE_MS, future.expiration_ms)

    assert last["close"][0] == pytest.approx(price, rel=1e-3)


def test_a_delivery_price_is_the_average_of_the_last_half_hour(market):
    expiry = milliseconds("2021-09-24T08:00")
    moments = range(expiry - AVERAGED * MINUTE_MS, expiry, MINUTE_MS)
    index = [market.at(moment).index_price("BTC-PERPETUAL") for moment in moments]

    delivered = market.delivery_price("BTC-PERPETUAL", expiry)

    assert delivered == pytest.approx(sum(index) / AVERAGED, abs=0.011)


def test_a_far_future_moves_with_the_perpetual_at_a_carry(market):
    window = (milliseconds("2021-03-01"), milliseconds("2021-03-08"))
    far, near = (
        market.candles(name, *window)["close"] for name in ("BTC-24SEP21", "BTC-PERPETUAL")
    )
    basis = np.log(far / near) / (205 / 365)

    assert -0.1 < np.median(basis) < 0.3
    assert np.std(basis) < 0.03


def test_about_half_of_the_minutes_of_a_week_are_fillers(market):
    future = BY_NAME["BTC-23JUL21"]
    candles = market.candles(future.name, 0, future.expiration_ms)

    assert 0.5 < (candles["volume"] == 0).mean() < 0.6


@pytest.fixture
def late(open_exchange):
    return open_exchange(now="2025-01-03T12:00:00Z")


def names(result):
    return {each["instrument_name"] for each in result}


def test_www_lists_what_expired_within_a_day(late):
    expired = names(late.result("get_instruments", currency="BTC", kind="future", expired="true"))

    assert expired == {"BTC-3JAN25"}
    assert "BTC-3JAN25" not in names(late.result("get_instruments", currency="BTC", kind="future"))


def test_an_expired_future_is_archivized_and_still_has_candles(late):
    record = late.result("get_instrument", instrument_name="BTC-3JAN25")
    end = record["expiration_timestamp"]
    chart = late.result(
        "get_tradingview_chart_data", instrument_name="BTC-3JAN25", resolution="1",
        start_timestamp=end - 2 * MINUTE_MS, end_timestamp=end + 9 * MINUTE_MS,
    )  # fmt: skip

    assert (record["is_active"], record["state"]) == (False, "archivized")
    assert chart["ticks"] == [end - 2 * MINUTE_MS, end - MINUTE_MS]
    assert late.error("ticker", instrument_name="BTC-3JAN25") == (400, 13019)


def test_a_future_has_no_funding(late):
    window = {"start_timestamp": 0, "end_timestamp": 1}
    refused = late.error("get_funding_rate_history", instrument_name="BTC-28MAR25", **window)

    assert refused == (400, 10031)


def test_delivery_prices_page_from_the_newest(late, market):
    first = late.result("get_delivery_prices", index_name="btc_usd", offset=0, count=2)
    second = late.result("get_delivery_prices", index_name="btc_usd", offset=2, count=2)
    dates = [each["date"] for page in (first, second) for each in page["data"]]

    assert dates == ["2025-01-03", "2025-01-02", "2025-01-01", "2024-12-31"]
    assert first["data"][0]["delivery_price"] == market.delivery_price(
        "BTC-PERPETUAL", milliseconds("2025-01-03T08:00")
    )


def on_history(late, **params):
    answer = late.send("GET", "/history/api/v2/public/get_instruments", params=params)
    return names(answer.json()["result"])


def test_the_history_host_lists_everything_that_ever_expired(late):
    asked = {"currency": "BTC", "kind": "future", "expired": "true"}
    expired = on_history(late, **asked, include_old="true")

    assert {"BTC-24SEP21", "BTC-28JUN19", "BTC-3JAN25"} <= expired
    assert "BTC-28MAR25" not in expired
    assert on_history(late, **asked) == {"BTC-3JAN25"}


def test_the_history_host_has_few_methods(late):
    answer = late.send("GET", "/history/api/v2/public/get_delivery_prices", params={})

    assert answer.json()["error"]["code"] == -32601
