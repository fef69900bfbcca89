"""Bring what came to disk: twice a second into the journal, which begins anew every few minutes."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from etl.collect.board import Board
from etl.collect.intake import Intake
from lake.errors import DiskFullError, LakeError
from lake.journal import Journal
from lake.paths import Lake
from lake.store.files import free_bytes

logger = logging.getLogger(__name__)

WRITE_S = 0.25
ROLL_S = 600.0  # a journal of ten minutes is turned into Parquet while the next is written
ROLL_BYTES = 512 << 20
AGAIN_S = 1.0  # after the disk refused
FREE_EVERY_S = 10.0


class Writer:
    """The one who writes the journal."""

    def __init__(self, lake: Lake, intake: Intake, board: Board, least_free: int) -> None:
        self._lake = lake
        self._intake = intake
        self._board = board
        self._least_free = least_free
        self._thread = ThreadPoolExecutor(1, "journal")
        self._journal: Journal | None = None
        self._opened_at = 0.0
        self._checked_at = 0.0

    async def run(self, done: Callable[[Path], None]) -> None:
        """Write until cancelled; `done` is told of each journal that nothing more comes into.

        Raises
        ------
        DiskFullError
            If less room is left than is to be left.
        """
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._write()
                if self._is_old(loop.time()):
                    done(self._finish())
            except LakeError as error:
                if isinstance(error, DiskFullError):
                    raise
                logger.error("the journal cannot be written: %s", error)  # noqa: TRY400  (one line)
                await asyncio.sleep(AGAIN_S)
            self._look(loop.time())
            await asyncio.sleep(max(0.0, WRITE_S - (loop.time() - began)))

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        if self._journal is None:  # before anything is handed over: it may fail, or be cancelled
            now_us = time.time_ns() // 1000
            self._journal = await loop.run_in_executor(
                self._thread, Journal.open, self._lake, now_us
            )
            self._opened_at = loop.time()
        since_s, messages = self._board.kept_s, self._intake.handed_over()
        self._board.writing_since_ms = self._board.kept_ms if messages else None
        if messages:
            self._journal.append(messages)
        if self._journal.pending:
            await loop.run_in_executor(self._thread, self._journal.write)
        waited_s = time.monotonic() - since_s if messages else 0.0
        self._board.unwritten_ms, self._board.writing_since_ms = round(waited_s * 1000), None
        if messages:
            self._board.waits.add(waited_s)
        self._intake.written()

    def _is_old(self, now: float) -> bool:
        journal = self._journal
        return journal is not None and (
            now - self._opened_at > ROLL_S or journal.bytes > ROLL_BYTES
        )

    def _finish(self) -> Path:
        journal, self._journal = self._journal, None
        if journal is None:
            message = "no journal is open"
            raise RuntimeError(message)
        journal.close()
        return journal.path

    def _look(self, now: float) -> None:
        """See to it that some room is left on the disk.

        Raises
        ------
        DiskFullError
            If it is not.
        """
        if now - self._checked_at < FREE_EVERY_S:
            return
        self._checked_at = now
        self._board.free_bytes = free = free_bytes(self._lake.here)
        if free < self._least_free:
            raise DiskFullError(self._lake.here, self._least_free)

    async def drain(self) -> None:
        """Write what is left, and close."""
        try:
            await self._write()
        finally:
            self._thread.shutdown()  # first, for it may be writing what was given up waiting for
            if self._journal is not None:
                self._finish()
