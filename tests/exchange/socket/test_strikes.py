"""What goes wrong on sockets: on a schedule of the exchange's time, or when a test says so."""

import asyncio
from itertools import pairwise

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.exchange.running import running
from tests.exchange.socket.client import connected
from tests.exchange.socket.conftest import NOON, SPEED
from tests.exchange.socket.frames import notifications
from tests.exchange.socket.strikes import Strike, Strikes, named, windows

INDEX, OTHER = "deribit_price_index.btc_usd", "deribit_price_index.eth_usd"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_792_326_896_000


@pytest.fixture
def struck():
    with running(now=NOON, option_activity=0.03, speed=SPEED, limits=False) as exchange:
        yield exchange


def on(exchange, talk, **options):
    async def talked():
        async with connected(exchange.url, **options) as client:
            return await talk(client)

    return asyncio.run(talked())


async def strike(exchange, do, **told):
    return await asyncio.to_thread(exchange.strike, do, **told)


def test_a_cut_is_code_1006_and_told_with_its_moment(struck):
    async def talk(client):
        await client.subscribe(INDEX)
        moments = await strike(struck, "cut")
        with pytest.raises(ConnectionClosed) as closed:
            await client.until(lambda _: False)
        return moments, closed.value.rcvd

    moments, close = on(struck, talk)
    stats = struck.stats()["socket"]

    assert close is None
    assert stats["closed"] == {"cut": 1}
    assert stats["strikes"][0]["do"] == "cut"
    assert stats["strikes"][0]["at_ms"] == moments["at_ms"]
    assert stats["strikes"][0]["sockets"] == 1


def test_a_silent_socket_beats_and_answers_and_brings_nothing(struck):
    async def talk(client):
        await client.subscribe(INDEX)
        await client.until(lambda c: c.data(INDEX))
        await client.result("public/set_heartbeat", interval=10)
        moments = await strike(struck, "silence", seconds=60)
        await client.until(lambda c: sum("type" in one["params"] for one in c.told) >= 6)
        assert await client.result("public/test")
        await client.until(lambda c: c.data(INDEX)[-1]["timestamp"] > moments["until_ms"])
        return moments, [one["timestamp"] for one in client.data(INDEX)]

    moments, told = on(struck, talk)

    assert not [ms for ms in told if moments["at_ms"] + 3_500 < ms < moments["until_ms"] - 3_500]


@pytest.mark.parametrize("do", ["freeze", "stale"])
def test_a_frozen_channel_has_nothing_new_while_others_go_on(struck, do):
    async def talk(client):
        await client.subscribe(INDEX, OTHER)
        await client.until(lambda c: c.data(INDEX) and c.data(OTHER))
        moments = await strike(struck, do, channel=INDEX, seconds=60)
        await client.until(lambda c: c.data(OTHER)[-1]["timestamp"] > moments["until_ms"] + 9_000)
        return moments, *(
            [one["timestamp"] for one in client.data(name)] for name in (INDEX, OTHER)
        )

    moments, told, other = on(struck, talk)
    missed = len(other) - len(set(told))
    repeated = len(told) - len(set(told))

    # A wake brings a few seconds of a channel at once, so that either may be ahead.
    assert len(other) == len(set(other))
    assert missed == pytest.approx(60, abs=15)
    assert repeated == (0 if do == "freeze" else pytest.approx(60, abs=15))
    assert told[-1] > moments["until_ms"]


def test_a_wrong_clock_shows_in_answers_and_timestamps_of_the_moment(struck):
    async def talk(client):
        await client.subscribe(INDEX)
        moments = await strike(struck, "clock", seconds=120, draw=3)
        wrong = await client.call("public/get_time")
        await client.until(
            lambda c: c.data(INDEX)[-1:] and c.data(INDEX)[-1]["timestamp"] > wrong["result"]
        )
        return moments, wrong

    moments, wrong = on(struck, talk)

    assert 90_000 <= wrong["result"] - moments["at_ms"] < 110_000
    assert wrong["usOut"] // 1000 - moments["at_ms"] >= 90_000


def test_a_break_is_said_then_all_are_cut_and_nobody_is_served(struck):
    async def talk(client):
        await client.subscribe("platform_state")
        await strike(struck, "maintenance", seconds=1_200)
        with pytest.raises(ConnectionClosed):
            await client.until(lambda _: False)
        return client.data("platform_state")

    async def refused():
        with pytest.raises(InvalidStatus) as refusal:
            async with connected(struck.url):
                pass
        return refusal.value.response

    told = on(struck, talk)
    handshake = asyncio.run(refused())
    answer = httpx.get(f"{struck.url}/api/v2/public/test", trust_env=False)

    assert told.count({"maintenance": True}) == 1
    assert handshake.status_code == 503
    assert handshake.body.startswith(b"<html>")
    assert answer.status_code in {502, 503}
    assert answer.headers["content-type"].startswith("text/html")
    assert struck.stats()["socket"]["closed"] == {"maintenance": 1}


def test_a_break_of_the_switch_begins_and_ends_when_it_says():
    strikes = Strikes(maintenance=windows("2026-10-18T12:00/2026-10-18T13:00:00Z"))
    start, end = strikes.maintenance[0]

    assert end - start == HOUR_MS
    assert [strikes.is_away(ms) for ms in (start, start + 2_000, end - 1, end)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [one.do for one in strikes.begins(start, start + 60_000)] == ["maintenance"]


def test_a_schedule_is_a_function_of_time_and_its_mean_is_kept():
    faults = Strikes(named("cut:600"), seed=1)
    whole = faults.due(START_MS, START_MS + 10 * DAY_MS)
    starts = range(START_MS, START_MS + 10 * DAY_MS, HOUR_MS)
    pieces = [one for start in starts for one in faults.due(start, start + HOUR_MS)]

    assert whole == pieces
    assert len(whole) == pytest.approx(1_440, rel=0.1)
    assert Strikes(named("cut:600"), seed=2).due(START_MS, START_MS + DAY_MS) != whole[:144]


def test_scheduled_cuts_reach_sockets():
    async def talk(client):
        await client.subscribe(INDEX)
        with pytest.raises(ConnectionClosed):
            await client.until(lambda _: False)
        return client.data(INDEX)[-1]["timestamp"]

    with running(now=NOON, speed=SPEED, socket_faults="cut:60", fault_seed=3) as exchange:
        last = on(exchange, talk)
        struck = exchange.stats()["socket"]["strikes"]

    assert struck[0]["do"] == "cut"
    assert abs(struck[0]["at_ms"] - last) < 5_000


def test_disorder_keeps_every_message_and_brings_older_updates_late_and_some_twice():
    name = "chart.trades.BTC-PERPETUAL.1"
    sent = notifications(name, [orjson.dumps({"tick": n}) for n in range(2_000)])
    strikes = Strikes(named("unordered,repeated"), seed=5)
    got = [one for at in range(0, 2_000, 7) for one in strikes.altered(name, sent[at : at + 7], at)]
    other = Strikes(named("unordered,repeated"), seed=5).altered(name, sent, 0)
    ticks = [orjson.loads(one)["params"]["data"]["tick"] for one in got]

    assert got == other
    assert set(range(1_999)) <= set(ticks)
    assert 50 < sum(b < a for a, b in pairwise(ticks)) < 200
    assert 50 < len(ticks) - len(set(ticks)) < 200


def test_a_freeze_lasts_as_long_as_it_says():
    strikes = Strikes()
    strikes.record(Strike("freeze", 0, 1_000, channel=INDEX), 1)

    assert strikes.altered(INDEX, [b"{}"], 999) == []
    assert strikes.altered(INDEX, [b"{}"], 1_000) == [b"{}"]
    assert strikes.altered(OTHER, [b"{}"], 999) == [b"{}"]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (named, "cuts", "unknown socket fault 'cuts'"),
        (named, "cut:0", "'cut:0' is not NAME"),
        (named, "cut:1:2:3", "is not NAME, NAME:SECONDS or NAME:SECONDS:LASTING"),
        (windows, "2026-10-18T13:00/2026-10-18T12:00", "ends before it begins"),
    ],
)
def test_a_switch_that_cannot_be_read_is_refused(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_an_unknown_strike_is_refused(frozen):
    answer = httpx.post(f"{frozen.url}/_exchange/socket", json={"do": "smash"}, trust_env=False)

    assert answer.status_code == 400
    assert "'smash' is not one of" in answer.json()["error"]
