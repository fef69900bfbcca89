"""Options are listed: a hundred thousand that expired, each with a name that says what it is."""

import pytest

from etl.instruments.names import parse_name
from tests.exchange import options
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market

NOW = milliseconds("2025-10-18")
MARKET = Market(7, NOW)


def test_as_many_expired_as_are_on_record():
    found = options.records(MARKET.at(milliseconds("2025-05-15")), "BTC", is_expired=True)

    assert len(found) == pytest.approx(114_851, rel=0.05)


def test_all_currencies_together_have_more_than_three_hundred_thousand():
    found = options.records(MARKET, "any", is_expired=True)

    assert {one["settlement_currency"] for one in found} == {"BTC", "ETH", "USDC", "SOL"}
    assert 300_000 < len(found) < 500_000
    assert len({one["instrument_id"] for one in found}) == len(found)
    assert len({one["instrument_name"] for one in found}) == len(found)
    assert all(one["expiration_timestamp"] <= NOW for one in found)


@pytest.mark.parametrize("is_expired", [False, True])
def test_a_name_says_what_its_record_says(is_expired):
    found = options.records(MARKET, "any", is_expired=is_expired)[::97]

    for one in found:
        name = parse_name(one["instrument_name"])
        assert name.kind == "option"
        assert float(name.strike) == pytest.approx(one["strike"], rel=1e-12)
        assert name.option_type == one["option_type"]
        if not one["instrument_name"].startswith("BTC-15JUL16"):
            assert name.expiry.timestamp() * 1000 == one["expiration_timestamp"]


def test_linear_ones_have_decimal_strikes():
    names = {one["instrument_name"] for one in options.records(MARKET, "USDC", is_expired=True)}

    words = {name.split("-")[2] for name in names if name.startswith("XRP_USDC-30JUN23-")}

    assert {"0d25", "0d265"} <= words
    assert any(len(word) == 5 for word in words)


def test_www_lists_what_expired_lately_and_history_everything(client):
    asked = {"currency": "BTC", "kind": "option", "expired": "true"}
    lately = client.result("get_instruments", **asked)

    assert {one["expiration_timestamp"] for one in lately} == {milliseconds("2025-10-17T08:00")}


def test_a_record_has_the_members_of_a_recorded_one(recorded):
    theirs = recorded("rest_results_2026_09/instruments_option.json")
    ours = options.records(MARKET, "BTC", is_expired=False)

    assert ours[0].keys() == theirs[0].keys()
