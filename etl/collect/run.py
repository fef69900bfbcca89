"""Run a collector: what is listed, sockets, journal, live day, REST, folds, all in one group.

Any of its tasks that fails for good ends the others; then what came is written, and the error goes
to whoever started it. A stop (SIGTERM, Ctrl-C) is an end like any other, without an error.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from etl.backfill.window import first_of
from etl.catalog import find_fetched
from etl.collect import folding
from etl.collect.board import Board, LiveGap
from etl.collect.channels import Channel
from etl.collect.clock import ExchangeClock
from etl.collect.confirm import LATE_MS, Confirmer, Part
from etl.collect.desk import Desk
from etl.collect.garbage import seldom_collected
from etl.collect.going import kept_going
from etl.collect.health.watching import watching
from etl.collect.intake import Intake
from etl.collect.nights import Nights
from etl.collect.prices import MINUTE_MS
from etl.collect.publishing import Changed, Publisher
from etl.collect.settling import Settler
from etl.collect.sockets import Sockets
from etl.collect.universe import Universe
from etl.collect.writing import Writer
from etl.config import Settings
from etl.deribit.client import DeribitClient, open_client
from etl.instruments.answers import read_answer
from etl.instruments.lists import fetch_listing, living_request
from etl.instruments.record import Instrument
from lake import raw
from lake.errors import DiskFullError, LeaseLostError
from lake.lock import is_taken_over, locked_file
from lake.paths import Lake
from lake.raw import Attempt
from lake.span import DAY_MS
from lake.store.files import COLLECTOR_LOCK, free_bytes
from lake.store.place import Place

if TYPE_CHECKING:
    from etl.collect.feeding import Feed

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 12.0  # after a gap: what happened at its end is visible by then
CLOSE_MS = 5_000  # after a minute: candles that are still open are asked for
DRAIN_S = 20.0
LIST_EVERY_S = 3_600.0  # the lists are read again, should a creation or a state not have been told
EXPIRED_MS = 60_000
LOCK_EVERY_S = 2.0


class Collector:
    """A collector, put together."""

    def __init__(self, settings: Settings, lake: Lake, client: DeribitClient) -> None:
        told = settings.collect
        self.settings, self.lake, self.client = settings, lake, client
        self.clock = ExchangeClock()
        self.board = Board(self.clock.now_ms())
        self.universe = Universe(told)
        self.intake = Intake(self.board, self.clock)
        self.desk = Desk(self.board, self.clock, self.universe, self._listed, self._ended)
        self.sockets = Sockets(
            settings,
            self.board,
            self.clock,
            self.intake,
            lost=self._lost,
            hushed=self.desk.hushed,
        )
        folder = lake.here / "journal"
        self.confirmer = Confirmer(client, self.clock, folder, self.desk.answered, self.desk.looked)
        self.publisher = Publisher(lake, self.desk, self.clock, self._changed)
        self.feed = self._fed() if told.database else None
        self.writer = Writer(lake, self.intake, self.board, round(told.least_free_gb * 1e9))
        self.settler = Settler(lake, told.keep_tickers)
        self.nights = Nights(
            settings,
            lake,
            universe=self.universe,
            desk=self.desk,
            publisher=self.publisher,
            confirmer=self.confirmer,
        )
        self._ended_ms: dict[str, int] = {}  # when what is still asked for ended
        self._missed = asyncio.Event()
        self._missed_parts: set[Part] = set()

    def _fed(self) -> "Feed":
        from etl.collect.feeding import Feed  # noqa: PLC0415  (the driver takes its time)

        return Feed(self.settings, self.desk, self.board, self.clock)

    async def prepare(self) -> None:
        """Learn what is listed, and take up what an earlier collector left.

        Raises
        ------
        UsageError
            If the settings name what is not listed.
        """
        found, now_ms = await self._read_lists(), self.clock.now_ms()
        self.universe.fill(found, now_ms)
        boundary = folding.boundary_ms(now_ms, self.settings.collect.fold_at)
        self.confirmer.floor_ms = boundary
        await asyncio.to_thread(self.publisher.load)
        await asyncio.to_thread(self.nights.begin, boundary)
        for channel in self.universe.channels():
            self._subscribe([channel])
        self._watch_parts()
        asked = len(self.intake.routes), len(self.sockets.all)
        logger.info("%d channels are asked for, over %d sockets", *asked)

    async def run(self) -> None:
        """Collect until cancelled, or until something fails for good."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.writer.run(self.settler.take))
                tasks.create_task(self.settler.run(self.nights.fold_messages))
                tasks.create_task(self.sockets.run())
                tasks.create_task(self.publisher.run())
                tasks.create_task(self._confirm())
                tasks.create_task(self._fill())
                tasks.create_task(self._close())
                tasks.create_task(self.nights.run())
                tasks.create_task(self._follow())
                tasks.create_task(self._stay_alone())
                if self.feed is not None:
                    tasks.create_task(self.feed.run())
        except BaseExceptionGroup as group:
            raise first_of(group) from group
        finally:
            self.board.is_draining = True
            await self._drain()

    async def _drain(self) -> None:
        """Bring to disk what came, so far as it can be: what is in the journal is kept."""
        await self.writer.drain()
        try:
            async with asyncio.timeout(DRAIN_S):
                await kept_going("the live day cannot be written", self.publisher.publish)
                if self.feed is not None:
                    await self.feed.drain()
        except TimeoutError:
            logger.warning("the live day is as of a minute ago; the next start brings it up to now")

    async def _read_lists(self) -> list[Instrument]:
        """Return what is listed."""
        listing = await fetch_listing(self.client, self.lake)
        self.clock.heard(listing.now_ms * 1000)
        found = list(listing.instruments.values())
        if {"tickers", "marks"} & {*self.settings.collect.kinds}:
            attempt = await self.client.call(living_request(self.lake, "option"))
            records = (one for _, one in read_answer(attempt.body or b""))
            found += [one for one in records if isinstance(one, Instrument)]
        return found

    def _subscribe(self, channels: Collection[Channel]) -> None:
        for channel in channels:
            self.intake.routes[channel.name] = self.desk.route(channel)
        self.sockets.add(channels)

    def _watch_parts(self) -> None:
        asks = folding.asks_of(self.universe, 0, 0)
        for ask in asks:
            names = ask.choice.names or ask.choice.currencies
            if ask.dataset == "futures_ohlcv":
                names = self.universe.futures
            for name in names:
                self.confirmer.watch(find_fetched(ask.dataset), name)

    def _listed(self, one: Instrument) -> None:
        name = one.instrument_name
        if name in self.universe.instruments or name in self.universe.options:
            return
        if self.universe.add(one):
            logger.info("%s is listed", name)
            found = [*self.universe.channels_of(one), *self.universe.channels_about(one)]
            self._subscribe([each for each in found if each.name not in self.intake.routes])
            self._watch_parts()

    def _ended(self, name: str) -> None:
        one = self.universe.end(name)
        if one is None:
            return
        logger.info("%s has ended", name)
        self._ended_ms[name] = self.clock.now_ms()
        channels = list(self.universe.channels_of(one))
        self.sockets.remove(channels)
        for channel in channels:
            self.intake.routes.pop(channel.name, None)
            if channel.kind != "tickers":  # those are watched by currency
                self.board.forget(channel.kind, channel.subject)
            else:
                self.desk.tickers.pop(channel.name, None)

    def _lost(self, channels: Collection[Channel], start_ms: int, end_ms: int, reason: str) -> None:
        """Take note of a stretch that was not heard, and have it filled."""
        self.board.maintenance = False  # whoever opens a socket again is back
        kinds = {one.kind for one in channels} - {"followed", "other"} if reason else set()
        for kind in sorted(kinds):
            self.board.lost(LiveGap(kind, start_ms, end_ms, reason))
        self.desk.heard_again(channels, end_ms)
        subjects = {one.subject for one in channels}
        for part in [one for one in self.confirmer.parts if one.name in subjects]:
            self.confirmer.missed(part, start_ms)
            self._missed_parts.add(part)
        self._missed.set()

    async def _fill(self) -> None:
        """Ask for what was missed, a moment after it can be had."""
        while True:
            await self._missed.wait()
            await asyncio.sleep(LOOK_AGAIN_S + LATE_MS / 1000)
            self._missed.clear()
            parts, self._missed_parts = self._missed_parts, set()
            before, gaps = self.board.counts["filled"], list(self.board.gaps)
            await self.confirmer.look(sorted(parts))
            await kept_going("the live day cannot be written", self.publisher.publish)
            filled = self.board.counts["filled"] - before
            for number, gap in enumerate(self.board.gaps):
                if gap in gaps and gap.rows is None:
                    self.board.gaps[number] = gap._replace(rows=filled)

    async def _close(self) -> None:
        """Ask for candles of the last minute that nothing closed: nobody traded since."""
        while True:
            late_ms = self.clock.now_ms() % MINUTE_MS
            await asyncio.sleep((MINUTE_MS - late_ms + CLOSE_MS) / 1000)
            minute_ms = self.clock.now_ms() // MINUTE_MS * MINUTE_MS
            open_ = self.desk.candles.overdue(sorted(self.universe.instruments), minute_ms)
            parts = [Part(self.universe.dataset_of(name), name) for name in open_]
            await self.confirmer.look(parts, late_ms=CLOSE_MS // 2)
            await kept_going("the live day cannot be written", self.publisher.publish)

    async def _confirm(self) -> None:
        """Ask for everything at start, and then every so many minutes."""
        while True:
            await self.confirmer.look()
            self._forget_expired()
            await asyncio.sleep(self.settings.collect.confirm_minutes * 60)

    def _forget_expired(self) -> None:
        """Ask no more for what ended, once all of it was asked for, or for a day in vain."""
        known = {*self.universe.instruments, *self.universe.told.currencies}
        known |= {*self.universe.dvol_indices}
        now_ms = self.clock.now_ms()
        for part in [one for one in self.confirmer.parts if one.name not in known]:
            ended_ms = self._ended_ms.setdefault(part.name, now_ms)
            if self.confirmer.until[part] > ended_ms or now_ms - ended_ms > DAY_MS:
                self.confirmer.forget(part)
        names = {part.name for part in self.confirmer.parts}
        self._ended_ms = {name: at for name, at in self._ended_ms.items() if name in names - known}

    async def _follow(self) -> None:
        """End what expired, and read the lists again now and then."""
        loop = asyncio.get_running_loop()
        read_at = loop.time()
        while True:
            await asyncio.sleep(10)
            self.board.skew_ms = self.clock.skew_ms
            now_ms = self.clock.now_ms()
            for one in self.universe.expired(now_ms - EXPIRED_MS):
                self._ended(one.instrument_name)
            if loop.time() - read_at > LIST_EVERY_S:
                read_at = loop.time()
                await kept_going("the lists cannot be read", self._read_lists_again)

    async def _stay_alone(self) -> None:
        """End where another collector has the lake: this one was not heard of for too long.

        Raises
        ------
        LeaseLostError
            If another has it. A lease that merely lapsed, for the bucket cannot be reached, is
            taken again when it can.
        """
        while True:
            if is_taken_over(_lock_of(self.lake)):
                message = (
                    f"another collector has taken {self.lake.root} over, for this one could not be "
                    f"heard of: what it had not published is in the journal in {self.lake.here}, "
                    "and the next one that runs here publishes it"
                )
                raise LeaseLostError(message)
            await asyncio.sleep(LOCK_EVERY_S)

    async def _read_lists_again(self) -> None:
        """Take up what nobody told of; what a list lacks may be there all the same."""
        for one in await self._read_lists():
            if one.life.end_ms > self.clock.now_ms():
                self._listed(one)

    def _changed(self, changed: Changed) -> None:
        """Take rows that are new or other than before: the database wants them."""
        if self.feed is not None:
            self.feed.told(changed)


@asynccontextmanager
async def _opened(settings: Settings, lake: Lake) -> AsyncIterator[Collector]:
    """Open the exchange for a collector: what REST answers is journalled, lists are staged."""
    loop = asyncio.get_running_loop()
    collectors: list[Collector] = []

    def stage(attempt: Attempt, folder: Place) -> None:
        if folder.name != "journal":
            raw.stage([attempt], folder)
        elif attempt.body is not None and collectors:
            name = f"{attempt.host} {attempt.params}"
            loop.call_soon_threadsafe(
                collectors[0].intake.answered, attempt.fetched_at, name, attempt.body
            )

    async with open_client(settings, stage) as client:
        collectors.append(Collector(settings, lake, client))
        yield collectors[0]


@contextmanager
def _alone(lake: Lake) -> Iterator[None]:
    """Be the only collector of a lake, and of the folder of this machine its journal lies in."""
    with ExitStack() as locks:
        if not isinstance(lake.root, Path):
            here = lake.here / "journal" / _lock_of(lake).name
            locks.enter_context(locked_file(here, f"the journal in {here.parent}"))
        locks.enter_context(locked_file(_lock_of(lake), "the live day of this lake"))
        yield


def _lock_of(lake: Lake) -> Place:
    return lake.root / COLLECTOR_LOCK


async def _run(settings: Settings, lake: Lake) -> None:
    async with (
        _opened(settings, lake) as collector,
        watching(settings.collect, collector.board, collector.clock.now_ms) as watch,
    ):
        await collector.prepare()
        seldom_collected()
        watch.ready()
        await collector.run()


async def collect(settings: Settings, lake: Lake) -> None:
    """Collect until a signal says to stop.

    Raises
    ------
    UsageError
        If the settings name what cannot be collected.
    PartitionBusyError
        If another collector has the lake.
    LeaseLostError
        If another has taken it over.
    DiskFullError
        If there is too little room.
    """
    least = round(settings.collect.least_free_gb * 1e9)
    if free_bytes(lake.here) < least:
        raise DiskFullError(lake.here, least)
    with _alone(lake):
        task = asyncio.ensure_future(_run(settings, lake))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            logger.info("stopped: what came is on disk")
