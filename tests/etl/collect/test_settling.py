"""Journals become Parquet, and none that cannot be read stands in the way of the others."""

import asyncio

from etl.collect.settling import Settler
from lake.journal import Journal, journals
from lake.messages import socket_files
from lake.paths import open_lake

US = 1_760_745_600_000_000


def test_a_journal_that_cannot_be_read_stands_in_the_way_of_no_other(tmp_path):
    lake = open_lake(tmp_path, create=True)
    unreadable = tmp_path / "journal" / f"{US - 1:016}-00000000.arrow"
    unreadable.mkdir(parents=True)
    journal = Journal.open(lake, US)
    journal.append([(US, 1, "quote", "quote.BTC-PERPETUAL", b"{}")])
    journal.write()
    journal.close()

    async def run():
        told = asyncio.Event()

        async def settled():
            told.set()

        task = asyncio.ensure_future(Settler(lake, "minute").run(settled))
        async with asyncio.timeout(10):
            await told.wait()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert len(socket_files(lake, "quote", "2025-10-18")) == 1
    assert journals(lake) == [unreadable]


def test_a_journal_that_cannot_be_settled_now_is_settled_the_next_time(tmp_path):
    lake = open_lake(tmp_path, create=True)
    away = tmp_path / "away.arrow"
    journal = Journal.open(lake, US)
    journal.append([(US, 1, "quote", "quote.BTC-PERPETUAL", b"{}")])
    journal.write()
    journal.close()

    async def run():
        settler = Settler(lake, "minute")
        journal.path.rename(away)
        await settler.settle_all()
        away.rename(journal.path)
        await settler.settle_all()

    asyncio.run(run())
    assert len(socket_files(lake, "quote", "2025-10-18")) == 1
    assert journals(lake) == []
