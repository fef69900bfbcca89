"""When days are folded: at start those that are over, then one every night; messages every hour."""

import asyncio
import logging
from functools import partial

from etl.collect import folding
from etl.collect.confirm import Confirmer
from etl.collect.desk import LIVE, Desk
from etl.collect.going import kept_going
from etl.collect.publishing import Publisher
from etl.collect.universe import Universe
from etl.config import Settings
from lake.errors import CorruptFileError
from lake.paths import Lake
from lake.span import DAY_MS

logger = logging.getLogger(__name__)

AGAIN_S = 600.0


class Nights:
    """Has days folded, one fold at a time, and lets go of live rows that clean then has."""

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        *,
        universe: Universe,
        desk: Desk,
        publisher: Publisher,
        confirmer: Confirmer,
    ) -> None:
        self._settings = settings
        self._lake = lake
        self._universe = universe
        self._desk = desk
        self._publisher = publisher
        self._confirmer = confirmer
        self._folding = asyncio.Lock()  # each fold is gigabytes

    def begin(self, boundary: int) -> None:
        """Learn up to when the lake is folded; where nothing says it, by what it holds."""
        try:
            found = folding.read_folded(self._lake)
        except CorruptFileError as error:
            logger.warning("%s; it is taken from what there is", error)
            found = None
        if found is None:
            oldest = self._desk.oldest_ms() or boundary
            begun = folding.begun_ms(self._lake, LIVE, boundary)
            found = min(begun, oldest // DAY_MS * DAY_MS, boundary)
            folding.write_folded(self._lake, found)
        self._desk.board.folded_ms = found

    async def run(self) -> None:
        """Bring days that are over into clean, now and every night."""
        told = self._settings.collect
        while True:
            until = folding.boundary_ms(self._desk.clock.now_ms(), told.fold_at)
            folded = await kept_going("what is folded cannot be told", self._folded)
            if folded is None:
                await asyncio.sleep(AGAIN_S)
                continue
            folded = folded or until
            if folded < until and self._desk.board.unfolded_since_ms is None:
                self._desk.board.unfolded_since_ms = self._desk.clock.now_ms()
            if folded < until and not await kept_going(
                "folding; tried again later", partial(self._fold_days, folded, until)
            ):
                await asyncio.sleep(AGAIN_S)
                continue
            wait_ms = (
                folding.next_ms(self._desk.clock.now_ms(), told.fold_at) - self._desk.clock.now_ms()
            )
            await asyncio.sleep(max(wait_ms / 1000, 1.0))

    async def _folded(self) -> int:
        """Return up to when the lake is folded, 0 where nothing says it."""
        return await asyncio.to_thread(folding.read_folded, self._lake) or 0

    async def fold_messages(self) -> None:
        """Bring what only sockets send into clean, as far as it is settled."""
        async with self._folding:
            errors = await folding.fold_apart(self._settings, [])
        for error in errors:
            logger.warning("folding: %s; tried again in an hour", error)

    async def _fold_days(self, start_ms: int, until_ms: int) -> bool:
        asks = folding.asks_of(self._universe, start_ms, until_ms)
        asks += folding.asks_beyond(asks, self._desk.held(until_ms), start_ms, until_ms)
        async with self._folding:
            errors = await folding.fold_apart(self._settings, asks)
        for error in errors:
            logger.warning("folding: %s; tried again later", error)
        since_ms = min(start_ms, self._desk.oldest_ms() or start_ms)
        keys = await asyncio.to_thread(folding.published_keys, self._lake.root, LIVE, since_ms)
        await self._publisher.settle(until_ms, keys)  # of what is in clean, whatever is not
        if errors:
            return False
        self._confirmer.floor_ms = max(self._confirmer.floor_ms, until_ms)
        await asyncio.to_thread(folding.write_folded, self._lake, until_ms)
        self._desk.board.folded_ms, self._desk.board.unfolded_since_ms = until_ms, None
        logger.info("folded %d datasets", len(asks))
        return True
