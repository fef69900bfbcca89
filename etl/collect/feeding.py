"""Send live rows to the database as they come; when it was away, all of them again.

Nothing waits for the database: what it lacks lies in the live day, and goes there when it is back.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from etl.collect.board import Board
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.publishing import Changed
from etl.config import Settings
from etl.database.live import LiveWriter, Sent
from etl.database.parts import has_table
from etl.errors import DatabaseError, ExactError
from lake.arrow import arrow

logger = logging.getLogger(__name__)

AGAIN_S = 5.0  # after the database was away, or busy
AT_ONCE = 20_000  # rows in one transaction: a second, where they are new


class Feed:
    """The one who sends rows; what is not sent yet is kept by dataset, or known to be all."""

    def __init__(self, settings: Settings, desk: Desk, board: Board, clock: ExchangeClock) -> None:
        self._desk = desk
        self._board = board
        self._clock = clock
        self._writer = LiveWriter(settings)
        self._waiting: dict[str, list[pl.DataFrame]] = {}
        self._tables = [name for name, live in desk.live.items() if has_table(live.dataset)]
        self._whole = set(self._tables)  # of these all live rows are to be sent
        self._woken = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "feed")
        board.database.is_wanted = True

    def told(self, changed: Changed) -> None:
        """Take rows that are new or other than before."""
        for name in self._tables:
            if name in changed:
                self._waiting.setdefault(name, []).append(changed[name])
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        database = self._board.database
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                is_done = await self._send_all()
            except (DatabaseError, ExactError) as error:
                is_done = False
                if database.error != str(error):
                    logger.error("the database: %s; collecting goes on", error)  # noqa: TRY400
                database.error = str(error)
            if is_done:
                if database.error:
                    logger.info("the database is back, and has all live rows")
                database.error, database.waiting_since_ms = "", None
                database.sent_ms = self._clock.now_ms()
                continue
            self._whole.update(self._tables)  # what waits is among all there is: it needs no room
            self._waiting.clear()
            if database.waiting_since_ms is None:
                database.waiting_since_ms = self._clock.now_ms()
            await asyncio.sleep(AGAIN_S)
            self._woken.set()

    async def _send_all(self) -> bool:
        """Send what waits, and tell whether nothing does any more."""
        for name in self._tables:
            is_whole, waiting = name in self._whole, self._waiting.pop(name, [])
            if not (is_whole or waiting):
                continue
            rows = self._desk.live[name].frame if is_whole else pl.concat(waiting)
            self._whole.add(name)  # until all of it is there
            if (sent := await self._send(name, rows)).is_busy:
                return False
            self._whole.discard(name)
            if sent.marked and not is_whole:  # a load was here, and may have taken rows back
                self._whole.add(name)
                self._woken.set()
        return True

    async def _send(self, name: str, rows: pl.DataFrame) -> Sent:
        live = self._desk.live[name]
        latest = rows.unique(live.key, keep="last", maintain_order=True)
        loop, total = asyncio.get_running_loop(), Sent()
        for part in latest.iter_slices(AT_ONCE):
            sent = await loop.run_in_executor(
                self._thread, self._writer.send, live.dataset, arrow(part)
            )
            if sent.is_busy:
                return sent
            total = Sent(
                total.inserted + sent.inserted,
                total.updated + sent.updated,
                total.marked + sent.marked,
            )
        return total

    async def drain(self) -> None:
        """Send what waits, if the database is there, and let go of it."""
        try:
            await self._send_all()
        except (DatabaseError, ExactError) as error:
            logger.warning("the database: %s; it is brought up to date at the next start", error)
        finally:
            self._thread.submit(self._writer.close)
            self._thread.shutdown(wait=False)
