"""Kinds without a market here are listed as the exchange lists them."""

import pytest

from etl.instruments.names import parse_name
from tests.exchange import spot_and_combos
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market

NOW = milliseconds("2025-10-18")
MARKET = Market(7, NOW)
KINDS = ("spot", "future_combo", "option_combo")


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_says_its_kind(kind):
    found = spot_and_combos.records(MARKET, kind, "any", is_expired=False)

    assert len(found) >= 5
    assert {parse_name(one["instrument_name"]).kind for one in found} == {kind}
    assert len({one["instrument_name"] for one in found}) == len(found)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_combos_expire_and_their_names_are_not_used_twice(kind):
    found = [
        one
        for is_expired in (False, True)
        for one in spot_and_combos.records(MARKET, kind, "any", is_expired=is_expired)
    ]

    assert len({one["instrument_name"] for one in found}) == len(found)
    assert all(one["creation_timestamp"] < one["expiration_timestamp"] for one in found)
    assert any(one["expiration_timestamp"] <= NOW for one in found)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_combo_has_the_members_of_a_recorded_one(recorded, kind):
    theirs = recorded(f"rest_and_ws_fixtures/http_get_instruments_{kind}.json")["result"]
    ours = spot_and_combos.records(MARKET, kind, "BTC", is_expired=False)

    assert ours[0].keys() == theirs[0].keys()
    assert {one["settlement_currency"] for one in ours} == {"BTC"}


def test_spot_has_neither_expiry_nor_settlement(client):
    (btc, *_) = client.result("get_instruments", currency="BTC", kind="spot")

    assert btc["instrument_name"] == "BTC_USDC"
    assert not {"expiration_timestamp", "settlement_currency", "settlement_period"} & btc.keys()


def test_pairs_routed_to_coinbase_say_so_and_have_no_candles(open_exchange):
    client = open_exchange(now="2026-11-28T00:00:00Z")
    pairs = client.result("get_instruments", currency="any", kind="spot")
    routed = {one["instrument_name"] for one in pairs if one.get("is_cbe_routed")}
    window = {"start_timestamp": 0, "end_timestamp": 1, "resolution": "1"}

    assert routed == {f"{base}_USDC" for base in ("BTC", "ETH", "SOL", "XRP", "BNB", "PAXG")}
    for name in routed:
        refused = client.error("get_tradingview_chart_data", instrument_name=name, **window)
        assert refused == (400, 11060)
    assert {one["state"] for one in pairs} == {"open", "locked"}


def test_a_spread_lives_while_both_of_its_legs_do(client):
    living = client.result("get_instruments", currency="BTC", kind="future_combo")
    names = [one["instrument_name"] for one in living]

    assert {"BTC-FS-24OCT25_PERP", "BTC-FS-31OCT25_24OCT25"} <= set(names)
    assert all(one["expiration_timestamp"] > NOW for one in living)
