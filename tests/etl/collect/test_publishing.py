"""The live day: what was heard is in it, whoever was cancelled and whatever the disk refused."""

import asyncio
import json
from collections import defaultdict

import pyarrow as pa
import pytest

from etl.collect.board import Board
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.messages import IndexPrice
from etl.collect.publishing import Publisher
from etl.collect.universe import Universe
from etl.config import Collect
from lake.errors import NotWritableError
from lake.live import live_files, publish_live, read_live
from lake.paths import open_lake

AT_MS = 1_760_745_600_000


class Publishing:
    """A publisher of a lake, and what it told."""

    def __init__(self, lake):
        self.lake, self.clock = lake, ExchangeClock()
        universe = Universe(Collect())
        self.desk = Desk(Board(0), self.clock, universe, lambda _: None, lambda _: None)
        self.told = defaultdict(int)
        self.publisher = Publisher(lake, self.desk, self.clock, self._changed)

    def _changed(self, changed):
        for name, rows in changed.items():
            self.told[name] += len(rows)

    def hear(self):
        self.clock.heard(AT_MS * 1000)
        self.desk.minutes.take("btc_usd", IndexPrice(AT_MS, 1.0))

    def published(self):
        found = read_live(self.lake, "index_prices")
        return 0 if found is None else found.num_rows


def test_what_a_cancelled_publication_had_in_hand_is_published(tmp_path):
    one = Publishing(open_lake(tmp_path, create=True))

    async def run():
        one.hear()
        task = asyncio.ensure_future(one.publisher.publish())
        for _ in range(5):
            await asyncio.sleep(0)  # it is in a thread by now
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.publisher.publish()

    asyncio.run(run())
    assert one.published() == one.told["index_prices"] == 1


def test_what_the_disk_refused_is_told_at_once_and_written_when_it_takes_it(tmp_path):
    one = Publishing(open_lake(tmp_path, create=True))
    in_the_way = tmp_path / "live" / "index_prices"
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.write_bytes(b"")

    async def run():
        one.hear()
        with pytest.raises(NotWritableError):
            await one.publisher.publish()
        assert one.told["index_prices"] == 1
        in_the_way.unlink()
        await one.publisher.publish()

    asyncio.run(run())
    assert one.published() == 1


def test_live_days_of_a_version_that_knew_fewer_columns_are_asked_for_anew(tmp_path):
    lake = open_lake(tmp_path, create=True)
    at = pa.array([AT_MS * 1000], pa.int64()).cast(pa.timestamp("us", "UTC"))
    old = pa.table({"timestamp": at, "instrument": ["btc_usd"]})
    publish_live(lake, "index_prices", "2025-10-18", old, ["timestamp", "instrument"])
    one = Publishing(lake)
    one.publisher.load()
    assert one.published() == len(one.desk.live["index_prices"].frame) == 0


def test_of_the_chain_the_newest_alone_is_live_whatever_day_it_is_of(tmp_path):
    one = Publishing(open_lake(tmp_path, create=True))
    name = "ticker.BTC-27MAR26-100000-C.agg2"

    async def run():
        for at_ms in (AT_MS - 60_000, AT_MS):  # the last minute of a day, and its end
            for _ in range(7):
                one.clock.heard((at_ms + 1) * 1000)
            ticker = {"timestamp": at_ms - 1, "instrument_name": "BTC-27MAR26-100000-C"}
            one.desk.tickers[name] = json.dumps({"params": {"data": ticker}}).encode()
            await one.publisher.publish()

    asyncio.run(run())
    (path,) = live_files(one.lake, "option_tickers")
    assert path.stem == "2025-10-18"
    assert read_live(one.lake, "option_tickers").num_rows == 1
