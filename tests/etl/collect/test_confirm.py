"""Whoever asks REST for live rows: what is forgotten meanwhile, and what cannot be asked."""

import asyncio

from etl.catalog import find_fetched
from etl.collect.clock import ExchangeClock
from etl.collect.confirm import AT_ONCE, Confirmer, Part
from etl.errors import UnavailableError
from lake.raw import Attempt

NOW_MS = 1_760_745_600_000
START_MS = NOW_MS - 3_600_000
CANDLES = find_fetched("perpetuals_ohlcv")


class Away:
    """An exchange that answers nothing, once it is let go."""

    def __init__(self):
        self.asked = 0
        self.is_over = asyncio.Event()

    async def call(self, _request):
        self.asked += 1
        await self.is_over.wait()
        message = "it is away"
        raise UnavailableError(message)


def confirmer(client, folder):
    found = Confirmer(client, ExchangeClock(), folder, lambda *_: None, lambda *_: None)
    for number in range(AT_ONCE + 3):
        found.watch(CANDLES, f"P{number}-PERPETUAL")
    return found


def test_what_is_forgotten_while_it_waits_its_turn_is_not_asked_for(tmp_path):
    async def run():
        client = Away()
        mine = confirmer(client, tmp_path)
        looking = asyncio.ensure_future(mine.look())
        while client.asked < AT_ONCE:  # noqa: ASYNC110  (no event says it)
            await asyncio.sleep(0)
        for part in list(mine.parts):
            mine.forget(part)
        client.is_over.set()
        await looking
        assert client.asked == AT_ONCE

    asyncio.run(run())


def test_what_could_not_be_asked_is_asked_again_from_the_same_place(tmp_path, caplog):
    async def run():
        client = Away()
        client.is_over.set()
        mine = confirmer(client, tmp_path)
        before = dict(mine.until)
        await mine.look()
        await mine.look()
        assert mine.until == before
        assert client.asked == 2 * len(before)

    asyncio.run(run())
    assert caplog.text.count("P0-PERPETUAL: it is away; asked again later") == 1


def test_a_gap_that_is_told_while_it_is_looked_at_is_looked_at_again(tmp_path):
    async def run():
        mine = confirmer(Away(), tmp_path)
        part = Part(CANDLES.name, "P0-PERPETUAL")
        mine.until[part] = 1_000
        mine.missed(part, 400)
        mine.missed(part, 700)
        assert mine.until[part] == 400

    asyncio.run(run())


class Interrupted:
    """An exchange that has nothing, and while it says so a socket ends."""

    def __init__(self):
        self.mine = None

    async def call(self, _request):
        for part in list(self.mine.parts):
            self.mine.missed(part, START_MS)
        body = b'{"result":{"status":"no_data"},"usOut":%d}' % (NOW_MS * 1000)
        return Attempt(
            attempt_id="1", fetched_at=NOW_MS * 1000, host="", params="{}", window_start=0,
            window_end=0, outcome="ok", us_out=NOW_MS * 1000, body=body,
        )  # fmt: skip


def test_a_gap_that_is_told_during_a_look_stays_to_be_looked_at(tmp_path):
    async def run():
        client = Interrupted()
        looked = []
        mine = Confirmer(
            client, ExchangeClock(), tmp_path, lambda *_: None, lambda *told: looked.append(told)
        )
        client.mine = mine
        mine.clock.heard(NOW_MS * 1000)
        mine.watch(CANDLES, "BTC-PERPETUAL")
        (part,) = mine.parts
        mine.until[part] = START_MS + 1
        await mine.look()
        assert mine.until[part] == START_MS
        assert looked == []
        await mine.look()
        assert mine.until[part] > START_MS
        assert [one for one, _ in looked] == [part]

    asyncio.run(run())
