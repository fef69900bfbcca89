"""Rows wait for the database in the live day, and nowhere else."""

import asyncio

from etl.collect.board import Board
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.feeding import Feed
from etl.collect.messages import IndexPrice
from etl.collect.universe import Universe
from etl.config import Collect, Settings


def test_what_waits_for_a_database_that_is_away_needs_no_room(monkeypatch):
    monkeypatch.setattr("etl.collect.feeding.AGAIN_S", 0.01)
    settings = Settings(dsn="postgresql://nobody@127.0.0.1:1/none")
    board, clock = Board(0), ExchangeClock()
    desk = Desk(board, clock, Universe(Collect()), lambda _: None, lambda _: None)
    feed = Feed(settings, desk, board, clock)
    desk.minutes.take("btc_usd", IndexPrice(1_760_745_600_000, 1.0))
    desk.merge(desk.gather())
    changed = {name: live.frame for name, live in desk.live.items()}

    async def run():
        task = asyncio.ensure_future(feed.run())
        for _ in range(5):
            feed.told(changed)
            async with asyncio.timeout(10):
                while feed._waiting:  # noqa: ASYNC110, SLF001
                    await asyncio.sleep(0.01)
        assert feed._whole == set(feed._tables)  # noqa: SLF001  all live rows go when it is back
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert "127.0.0.1" in board.database.error
    assert board.database.waiting_since_ms is not None
