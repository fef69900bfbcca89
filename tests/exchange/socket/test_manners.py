"""How the socket answers, as measured on the real one in September 2026."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.exchange.option_market.tickers import living
from tests.exchange.running import running
from tests.exchange.socket.client import connected
from tests.exchange.socket.conftest import NOON

NAMES = [
    "ticker.BTC-PERPETUAL.100ms",
    "chart.trades.BTC-PERPETUAL.1",
    "trades.BTC-PERPETUAL.100ms",
    "deribit_volatility_index.btc_usd",
]


def on(exchange, talk, **options):
    async def talked():
        async with connected(exchange.url, **options) as client:
            return await talk(client)

    return asyncio.run(talked())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("get_time", {}),
        ("ticker", {"instrument_name": "BTC-PERPETUAL"}),
        ("get_instruments", {"currency": "BTC", "kind": "future"}),
        ("get_last_trades_by_currency", {"currency": "BTC", "kind": "option"}),
        ("ticker", {"instrument_name": "BTC-NONSENSE"}),
        ("no_such_method", {}),
    ],
)
def test_a_method_answers_as_it_does_over_http(frozen, method, params):
    answer = on(frozen, lambda client: client.call(f"public/{method}", **params))
    asked = httpx.get(f"{frozen.url}/api/v2/public/{method}", params=params, trust_env=False).json()

    assert answer.pop("id") == 1
    assert answer == asked | {"usDiff": answer["usDiff"]}


def test_a_request_without_an_id_is_answered(frozen):
    async def talk(client):
        await client.send({"jsonrpc": "2.0", "method": "public/get_time"})
        return await client.receive()

    answer = on(frozen, talk)

    assert "id" not in answer
    assert answer["result"] == answer["usOut"] // 1000


def test_what_is_no_json_is_error_11050_and_the_socket_stays(frozen):
    async def talk(client):
        await client.send("hello")
        return await client.receive(), await client.result("public/test")

    refused, version = on(frozen, talk)

    assert refused["error"]["code"] == 11050
    assert version == {"version": "1.2.26"}


def test_channels_come_in_another_order_without_unknown_ones(frozen):
    unknown = ["ticker.BTC-NONSENSE.100ms", "chart.trades.BTC-PERPETUAL.7", "nonsense",
               "trades.spot.any.100ms", "trades.BTC_USDC.100ms"]  # fmt: skip

    found = on(frozen, lambda client: client.subscribe(*NAMES, *unknown))
    nothing = on(frozen, lambda client: client.subscribe(*unknown))

    assert sorted(found) == sorted(NAMES)
    assert found != NAMES
    assert nothing == []


def test_a_second_subscription_brings_no_second_snapshot(frozen):
    channel = "incremental_ticker.BTC-PERPETUAL"

    async def talk(client):
        asked = [await client.subscribe(channel) for _ in range(2)]
        await client.call("public/test")
        return asked, client.data(channel)

    asked, told = on(frozen, talk)

    assert asked == [[channel], [channel]]
    assert [each["type"] for each in told] == ["snapshot"]


def test_raw_data_are_for_those_who_log_in(frozen):
    assert (
        on(frozen, lambda c: c.error("public/subscribe", channels=["ticker.BTC-PERPETUAL.raw"]))
        == 13778
    )


def test_more_than_500_channels_are_too_much(frozen):
    many = [f"trades.BTC-{n}.100ms" for n in range(501)]

    assert on(frozen, lambda c: c.error("public/subscribe", channels=many)) == -32600
    assert on(frozen, lambda client: client.subscribe(*many[:500])) == []


def test_a_message_of_more_than_32_kilobytes_is_refused_unread(frozen):
    async def talk(client):
        await client.send({"id": 1, "method": "public/test", "params": {"padding": "x" * 32_768}})
        return await client.receive(), await client.result("public/test")

    refused, version = on(frozen, talk)

    assert refused["error"] == {"code": -32600, "message": "request entity too large"}
    assert version


def test_who_unsubscribes_is_told_no_more(fast):
    gone, kept = "deribit_price_index.btc_usd", "deribit_price_index.eth_usd"

    async def talk(client):
        await client.subscribe(gone, kept)
        await client.until(lambda c: c.data(gone))
        names = await client.result("public/unsubscribe", channels=[gone, "nonsense"])
        client.told.clear()
        await client.until(lambda c: len(c.data(kept)) > 200)
        silence = client.data(gone)
        return names, silence, await client.result("public/unsubscribe_all")

    assert on(fast, talk) == ([gone], [], "ok")


def test_subscribing_has_credits_of_its_own_and_ends_the_session():
    async def talk(client):
        codes = [
            (await client.call("public/subscribe", channels=[])).get("error") for _ in range(11)
        ]
        with pytest.raises(ConnectionClosed):
            await client.call("public/test")
        return codes

    with running(now=NOON) as exchange:
        codes = on(exchange, talk)

    assert codes[:10] == [None] * 10
    assert codes[10]["code"] == 10028


@pytest.mark.parametrize(("offered", "agreed"), [(None, None), ("deflate", "permessage-deflate")])
def test_messages_are_compressed_only_on_offer(frozen, offered, agreed):
    async def talk(client):
        await client.subscribe("ticker.BTC-PERPETUAL.100ms")
        await client.until(lambda c: c.told)
        return client.socket.response.headers.get("Sec-WebSocket-Extensions")

    assert (on(frozen, talk, compression=offered) or "").partition(";")[0] == (agreed or "")


def test_the_33rd_connection_is_refused_with_429(frozen):
    async def talk():
        async with AsyncExitStack() as stack:
            for _ in range(32):
                await stack.enter_async_context(connected(frozen.url))
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(connected(frozen.url))
            return refused.value.response.status_code

    assert asyncio.run(talk()) == 429


def test_a_client_that_does_not_read_is_dropped_after_it_is_told(present):
    rows = living(chain := present.world.options.chain("BTC"), present.now_ms)[:400]
    names = [f"ticker.{chain.names[row]}.100ms" for row in rows]

    def told_too_slow():
        while not exchange.stats()["socket"]["too_slow"]:
            time.sleep(0.2)

    async def talk(client):
        await client.subscribe(*names)
        await asyncio.to_thread(told_too_slow)
        with pytest.raises(ConnectionClosed):
            await client.until(lambda _: False)
        return client.told[-1]["method"]

    with running(
        now=NOON, option_activity=0.03, speed=10, tickers_replay=True, unread_bytes=50_000
    ) as exchange:
        last = on(exchange, talk, max_queue=1)
        closed = exchange.stats()["socket"]["closed"]

    assert last == "connection_too_slow"
    assert closed == {"connection_too_slow": 1}
