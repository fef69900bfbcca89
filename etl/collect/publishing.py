"""Publish the live day: at set seconds of every minute, what is new of it, file by file."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from etl.collect.chain import chain_at
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.rows import LiveRows
from lake.arrow import arrow
from lake.errors import CorruptFileError, DiskFullError, LakeError, MissingColumnError
from lake.live import live_files, publish_live, read_live, tidy_live
from lake.paths import Lake
from lake.span import DAY_MS, period_of
from lake.store.files import remove
from lake.store.place import Place
from validators.contract import key_of
from validators.schemas.option_tickers import OptionTickers

logger = logging.getLogger(__name__)

AT_S = (3.0, 15.0, 40.0)
"""Seconds of a minute; besides, whoever asks REST for what did not close publishes what comes."""
MINUTE_S = 60.0
LIVE_LIMIT_MS = 300_000
"""For the live day of a lake in a bucket to be written again: then the bucket cannot be reached."""
TICKERS = "option_tickers"

Changed = dict[str, pl.DataFrame]
"""Rows that are new or other than before, by dataset."""


class Publisher:
    """The one who writes the live day; `told` is handed what changed."""

    def __init__(
        self, lake: Lake, desk: Desk, clock: ExchangeClock, told: Callable[[Changed], None]
    ) -> None:
        self._lake = lake
        self._desk = desk
        self._clock = clock
        self._told = told
        self._chain_ms = 0  # the minute whose end the newest chain is of
        self._turn = asyncio.Lock()  # of whoever works on the live rows
        if not isinstance(lake.root, Path):
            desk.board.live_limit_ms = LIVE_LIMIT_MS
        self._unwritten: dict[str, set[str]] = {}  # days that are not on disk as they are
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Publish until cancelled.

        Raises
        ------
        DiskFullError
            If there is no room.
        """
        while True:
            await asyncio.sleep(_wait_s(self._clock.now_ms()))
            try:
                await self.publish()
            except LakeError as error:
                if isinstance(error, DiskFullError):
                    raise
                logger.error("the live day cannot be written: %s", error)  # noqa: TRY400  (a line)

    async def publish(self) -> None:
        """Bring what came into the live rows, and what changed of them to disk."""
        await self._whole(self._publish())

    async def _whole(self, work: Coroutine[None, None, None]) -> None:
        """Do work on the live rows, to its end though whoever waits for it be cancelled.

        A thread cannot be: another that began beside it would take rows from under it.
        """
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        await asyncio.shield(task)

    async def _publish(self) -> None:
        async with self._turn:
            gathered = self._desk.gather()
            changed, counts = await asyncio.to_thread(self._desk.merge, gathered)
            self._desk.board.counts.update(counts)
            self._told(changed)  # though the disk should refuse: it is asked again
            await asyncio.to_thread(self._write, changed)
            if self._chain_ms < self._desk.minute_ms:
                await asyncio.to_thread(self._write_chain, dict(self._desk.tickers))
        self._desk.board.published_ms = self._clock.now_ms()

    def load(self) -> None:
        """Take up the live days an earlier collector left."""
        tidy_live(self._lake)
        for name, live in self._desk.live.items():
            try:
                held = read_live(self._lake, name)
                if held is not None:
                    _check_columns(held, live, live_files(self._lake, name)[0])
            except (CorruptFileError, MissingColumnError) as error:
                logger.warning("%s; its live days are asked for anew", error)
                for path in live_files(self._lake, name):
                    remove(path)
                continue
            if held is not None:
                live.load(pl.DataFrame(held))

    async def settle(self, before_ms: int, keys: dict[str, pl.DataFrame]) -> None:
        """Let go of rows of a time before a moment that are published in clean."""
        await self._whole(self._let_go(before_ms, keys))

    async def _let_go(self, before_ms: int, keys: dict[str, pl.DataFrame]) -> None:
        async with self._turn:
            await asyncio.to_thread(self._settle, before_ms, keys)

    def _settle(self, before_ms: int, keys: dict[str, pl.DataFrame]) -> None:
        for name, known in keys.items():
            live = self._desk.live[name]
            days = {*_days(live.frame)}
            live.forget(known, before_ms)
            self._unwritten.setdefault(name, set()).update(days)
        self._write({})

    def _write(self, changed: Changed) -> None:
        """Publish the days of what changed, and those that could not be published before."""
        for name, rows in changed.items():
            self._unwritten.setdefault(name, set()).update(_days(rows))
        for name in list(self._unwritten):
            self._publish_days(name, self._desk.live[name].frame, self._unwritten[name])
            del self._unwritten[name]

    def _write_chain(self, tickers: dict[str, bytes]) -> None:
        """Publish the chain of options as it is quoted now, in place of the one before."""
        self._chain_ms = self._desk.minute_ms
        rows = chain_at(tickers, self._chain_ms)
        if rows.is_empty():
            return
        (day,) = _days(rows)
        publish_live(self._lake, TICKERS, day, arrow(rows), key_of(OptionTickers))
        for path in live_files(self._lake, TICKERS):
            if path.stem != day:
                remove(path)

    def _publish_days(self, name: str, rows: pl.DataFrame, days: Collection[str]) -> None:
        for day in sorted(days):
            some = rows.filter(_is_of(day))
            publish_live(self._lake, name, day, arrow(some), self._desk.live[name].key)


def _check_columns(held: pa.Table, live: LiveRows, path: Place) -> None:
    """Refuse what an earlier version published that knew fewer columns.

    Raises
    ------
    MissingColumnError
        If a column is not there.
    """
    for name in live.frame.columns:
        if name not in held.column_names:
            raise MissingColumnError(path, name)


def _wait_s(now_ms: int) -> float:
    second = now_ms / 1000 % MINUTE_S
    return min((at - second) % MINUTE_S or MINUTE_S for at in AT_S)


def _days(rows: pl.DataFrame) -> set[str]:
    ticks = rows["timestamp"].dt.epoch("ms").to_numpy() // DAY_MS
    return {period_of(int(day) * DAY_MS, "day") for day in {*ticks.tolist()}}


def _is_of(day: str) -> pl.Expr:
    first = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return pl.col("timestamp").dt.date() == first.date()
