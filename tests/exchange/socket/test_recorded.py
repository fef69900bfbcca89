"""Messages have the members that recorded ones have."""

import asyncio
import re

import orjson
import pytest

from tests.exchange.socket.client import connected

FIXTURES = "rest_and_ws_fixtures"
TICKERS_2021 = re.compile(
    r'\{"jsonrpc":"2\.0","method":"subscription","params":\{"channel":"ticker\.'
)


@pytest.fixture(scope="module")
def told(fast):
    """The first data of each channel."""
    channels = (
        "chart.trades.BTC-PERPETUAL.1", "quote.BTC-PERPETUAL", "ticker.BTC-PERPETUAL.100ms",
        "trades.BTC-PERPETUAL.100ms", "deribit_volatility_index.btc_usd",
        "ticker.BTC-25DEC26-100000-C.100ms",
    )  # fmt: skip

    async def talk():
        async with connected(fast.url) as client:
            reply = await client.call("public/subscribe", channels=list(channels))
            await client.until(lambda c: all(c.data(name) for name in channels))
            first = {one["params"]["channel"]: one for one in reversed(client.told)}
            return first | {"reply": reply}

    return asyncio.run(talk())


@pytest.mark.parametrize("name", ["chart", "quote", "ticker", "volatility_index"])
def test_a_message_has_the_members_of_the_recorded_one(recorded, told, name):
    expected = recorded(f"{FIXTURES}/ws_{name}.json")
    channel = expected["params"]["channel"]

    assert shape(told[channel]) == shape(expected)


def test_a_trade_has_the_members_of_the_recorded_one(recorded, told):
    expected = recorded(f"{FIXTURES}/ws_trades.json")
    trade = told[expected["params"]["channel"]]["params"]["data"][0]

    assert trade.keys() == expected["params"]["data"][1].keys()


def test_the_reply_to_a_subscription_is_as_recorded(recorded, told):
    assert told["reply"].keys() == recorded(f"{FIXTURES}/ws_subscribe_response.json").keys()


def test_option_tickers_have_what_those_of_2021_had(recorded, told):
    lines = recorded("ws_session_2021_07/DERIBIT.ws.1.0").splitlines()
    found = [orjson.loads(line.partition(": ")[2]) for line in lines if TICKERS_2021.search(line)]
    ours = told["ticker.BTC-25DEC26-100000-C.100ms"]["params"]["data"]

    assert len(found) == 89
    for each in found:
        data = each["params"]["data"]
        assert data.keys() <= ours.keys()
        assert data["greeks"].keys() == ours["greeks"].keys()
        assert data["stats"].keys() <= ours["stats"].keys()


def test_a_request_for_a_test_is_as_recorded(recorded, fast):
    async def talk():
        async with connected(fast.url) as client:
            await client.call("public/set_heartbeat", interval=10)
            await client.until(lambda c: len(c.told) > 1)
            return client.told

    assert recorded(f"{FIXTURES}/ws_test_request.json") in asyncio.run(talk())


def shape(value):
    """Return the names of a message's members, and of theirs."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return None
