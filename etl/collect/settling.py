"""Make hourly Parquet of journals nobody writes any more, one after the other, beside the rest."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lake.errors import DiskFullError, LakeError
from lake.journal import journals
from lake.messages import KEEP_ALL, Settled, Thin, last_a_minute, settle
from lake.paths import Lake

logger = logging.getLogger(__name__)

HOUR_S, AFTER_S = 3_600.0, 700.0  # the journal of an hour's last minutes is closed by then
OF_TICKERS: Mapping[str, Thin] = {"ticker": last_a_minute}


class Settler:
    """The one who settles journals."""

    def __init__(self, lake: Lake, tickers: Literal["minute", "all"]) -> None:
        self._lake = lake
        self._thin = OF_TICKERS if tickers == "minute" else KEEP_ALL
        self._waiting = deque(journals(lake))
        self._thread = ThreadPoolExecutor(1, "settle")

    def take(self, journal: Path) -> None:
        """Settle a journal with the others of its hour."""
        self._waiting.append(journal)

    async def run(self, settled: Callable[[], Awaitable[None]]) -> None:
        """Settle what was left at once, and every hour what came in it; then say so.

        What is settled and not folded is newer than what is published: so both go together.

        Raises
        ------
        DiskFullError
            If there is no room.
        """
        while True:
            if self._waiting:
                await self.settle_all()
                await settled()
            await asyncio.sleep(HOUR_S - (time.time() - AFTER_S) % HOUR_S)

    async def settle_all(self) -> None:
        """Settle what waits; one that cannot be waits for the next hour, and keeps no other."""
        for _ in range(len(self._waiting)):
            journal = self._waiting.popleft()
            try:
                await self._settle(journal)
            except (LakeError, OSError, pa.ArrowException) as error:
                self._waiting.append(journal)
                if isinstance(error, DiskFullError):
                    raise
                logger.error("%s; tried again in an hour", error)  # noqa: TRY400  (one line)

    async def _settle(self, journal: Path) -> None:
        loop = asyncio.get_running_loop()
        done: Settled = await loop.run_in_executor(
            self._thread, settle, self._lake, journal, self._thin
        )
        lost = done.damage.inside + done.damage.torn
        if lost:
            logger.warning("%s: %d bytes at its end were never whole", journal.name, lost)
        logger.info("%s: %d of %d messages kept", journal.name, done.kept, done.messages)
