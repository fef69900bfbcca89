"""What came reaches the disk, whatever the disk did meanwhile."""

import asyncio
import time

from etl.collect.board import Board
from etl.collect.clock import ExchangeClock
from etl.collect.intake import Intake
from etl.collect.writing import Writer
from lake.journal import journals, read_journal
from lake.paths import open_lake


def test_messages_wait_while_no_journal_can_be_opened(tmp_path):
    lake = open_lake(tmp_path, create=True)
    in_the_way = tmp_path / "journal"
    in_the_way.write_bytes(b"")

    async def run():
        board = Board(0)
        intake = Intake(board, ExchangeClock())
        writer = Writer(lake, intake, board, 0)
        intake.answered(1, "asked", b"before")
        task = asyncio.ensure_future(writer.run(lambda _: None))
        await asyncio.sleep(0.3)
        in_the_way.unlink()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        intake.answered(2, "asked", b"after")
        await writer.drain()

    asyncio.run(run())
    (path,) = journals(lake)
    assert [one.as_py() for batch in read_journal(path) for one in batch["message"]] == [
        b"before",
        b"after",
    ]


def test_how_long_messages_wait_is_told_by_no_clock_that_can_be_set(tmp_path):
    """Messages say that they came an hour ago, and in an hour, as where our clock is set."""
    lake = open_lake(tmp_path, create=True)

    async def run():
        board = Board(0)
        intake = Intake(board, ExchangeClock())
        writer = Writer(lake, intake, board, 0)
        for hours in (-1, 1):
            intake.answered(time.time_ns() // 1000 + hours * 3_600_000_000, "asked", b"")
            await writer.drain() if hours == 1 else await writer._write()  # noqa: SLF001
            assert 0 <= board.unwritten_ms < 5_000
        assert 0 <= board.waits.total_s < 10

    asyncio.run(run())


def test_what_is_on_disk_makes_room_to_read_on(tmp_path, monkeypatch):
    monkeypatch.setattr("etl.collect.intake.MOST_WAITING", 100)
    monkeypatch.setattr("etl.collect.intake.RESUMED_AT", 50)
    lake = open_lake(tmp_path, create=True)

    async def run():
        board = Board(0)
        intake = Intake(board, ExchangeClock())
        writer = Writer(lake, intake, board, 0)
        for number in range(3):
            intake.answered(number, "asked", b"x" * 200)
            await writer._write()  # noqa: SLF001
        await writer.drain()
        return board.counts["paused"]

    assert asyncio.run(run()) == 3  # each time anew: in between there was room
