"""Settlements and deliveries: pages that fit together, and events at the right moment."""

import pytest

from tests.exchange.incidents import milliseconds

DAY_MS = 86_400_000
BY_CURRENCY = "get_last_settlements_by_currency"


def test_pages_that_follow_the_continuation_are_one_long_page(client):
    whole = client.result(BY_CURRENCY, currency="BTC", count=50)["settlements"]
    pages, token = [], {}
    while len(pages) < 50:
        answer = client.result(BY_CURRENCY, currency="BTC", count=10, **token)
        pages += answer["settlements"]
        token = {"continuation": answer["continuation"]}

    assert pages == whole
    moments = [event["timestamp"] for event in whole]
    assert moments == sorted(moments, reverse=True)


def test_a_future_is_delivered_once_at_its_delivery_price(client):
    name = "BTC-29MAR24"
    events = client.result("get_last_settlements_by_instrument", instrument_name=name, count=1000)
    delivered = [event for event in events["settlements"] if event["type"] == "delivery"]
    prices = client.result("get_delivery_prices", index_name="btc_usd", count=1000)["data"]
    price = next(one["delivery_price"] for one in prices if one["date"] == "2024-03-29")

    assert events["continuation"] is None
    assert [event["index_price"] for event in delivered] == [price]
    assert delivered[0] == events["settlements"][0]
    assert delivered[0]["timestamp"] // 1000 == milliseconds("2024-03-29") // 1000 + 8 * 3600


def test_a_search_starts_below_its_moment_and_a_type_is_alone(client):
    start = milliseconds("2024-04-01")

    events = client.result(
        BY_CURRENCY, currency="ETH", type="delivery", search_start_timestamp=start, count=3
    )["settlements"]

    assert {event["type"] for event in events} == {"delivery"}
    assert all(event["timestamp"] < start for event in events)
    assert events[0]["instrument_name"] == "ETH-29MAR24"


@pytest.mark.parametrize("token", ["***", "bm90IGEgbnVtYmVy"])
def test_a_continuation_it_never_gave_is_refused(client, token):
    answer = client.get(BY_CURRENCY, currency="BTC", continuation=token)

    assert answer.json()["error"]["data"]["param"] == "continuation"
