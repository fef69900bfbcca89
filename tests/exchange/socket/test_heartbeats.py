"""Heartbeats and ends of connections, in exchange seconds as measured."""

import asyncio
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.exchange.running import running
from tests.exchange.socket.client import connected
from tests.exchange.socket.conftest import NOON, SPEED

SLACK_S = 0.3  # real: another process may be busy


def on(exchange, talk, **options):
    async def talked():
        async with connected(exchange.url, **options) as client:
            return await talk(client)

    return asyncio.run(talked())


def test_a_test_is_requested_after_12_seconds_and_then_every_10_point_6(fast):
    async def talk(client):
        assert await client.result("public/set_heartbeat", interval=10) == "ok"
        started, moments = time.monotonic(), []
        for count in range(1, 4):
            await client.until(lambda c, n=count: _tests(c) == n)
            moments.append((time.monotonic() - started) * SPEED)
        await client.result("public/disable_heartbeat")
        return moments

    for found, expected in zip(on(fast, talk), (12.0, 22.6, 33.2), strict=True):
        assert expected - 0.5 <= found < expected + SLACK_S * SPEED


def _tests(client):
    return sum(each["params"].get("type") == "test_request" for each in client.told)


def test_an_unanswered_test_closes_with_code_4000_ten_seconds_later():
    async def talk(client):
        await client.result("public/set_heartbeat", interval=10)
        await client.until(_tests)
        started = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            await client.until(lambda _: False)
        return closed.value.rcvd, (time.monotonic() - started) * 5

    with running(now=NOON, speed=5) as exchange:
        close, seconds = on(exchange, talk, answers_tests=False)

    assert (close.code, close.reason) == (4000, "heartbeat close")
    assert 9.9 <= seconds < 10 + 5 * SLACK_S


def test_intervals_below_ten_seconds_are_refused(frozen):
    assert on(frozen, lambda c: c.error("public/set_heartbeat", interval=9)) == -32602


def test_an_idle_socket_dies_without_a_word_after_60_point_5_seconds(fast):
    async def talk(client):
        started = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        return closed.value.rcvd, (time.monotonic() - started) * SPEED

    close, seconds = on(fast, talk)

    assert close is None  # which a client reports as 1006
    assert 60 <= seconds < 60.5 + SLACK_S * SPEED


def test_one_quiet_subscription_keeps_a_socket_open(fast):
    async def talk(client):
        await client.subscribe("instrument.creation.option.ETH")
        await asyncio.sleep(80 / SPEED)
        return await client.result("public/test")

    assert on(fast, talk) == {"version": "1.2.26"}
