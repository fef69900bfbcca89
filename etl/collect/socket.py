"""A socket that comes back: opened again whenever it ends, with all its channels.

It asks for heartbeats and answers them; compares what it subscribed to with what the exchange says
it did; ends a connection over which nothing comes, or only heartbeats; and tells of every stretch
it did not hear.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import msgspec

from etl.collect.board import Board, Line
from etl.collect.channels import Channel, calls
from etl.collect.clock import ExchangeClock
from etl.collect.messages import read_names
from etl.collect.wire import Wire, connect
from etl.errors import DeribitError, EtlError

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10  # the least that is taken
SILENT_S = 35.0  # no frame at all: heartbeats come every ten seconds
DEAF_S = 60.0  # heartbeats, and no data, where some kind of data never pauses
NEVER_PAUSE = frozenset({"candles", "index", "tickers", "funding", "quotes"})
LOOK_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
STEADY_S = 60.0  # after which a connection counts as good, and the next pause is short again
REFUSED_AGAIN_S = 600.0  # how long a channel that was left out is left alone

Lost = Callable[[Collection[Channel], int, int, str], None]
"""Told which channels were not heard from when to when [ms], and why; at first, since now."""

Hushed = Callable[[Iterable[Channel]], None]
"""Told which channels are not heard from now on."""


@dataclass
class Pace:
    """Calls of public/subscribe: 3,000 credits of 30,000, refilled at 10,000 a second."""

    every_s: float = 0.32
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def wait(self) -> None:
        """Wait until one more call may be sent."""
        async with self.turn:
            await asyncio.sleep(self.every_s)


class Socket:
    """One connection of the collector, whatever happens to it."""

    def __init__(  # noqa: PLR0913  (what it shares with the others)
        self,
        number: int,
        url: str,
        *,
        board: Board,
        clock: ExchangeClock,
        pace: Pace,
        take: Callable[["Socket", Wire, bytes], None],
        lost: Lost,
        hushed: Hushed,
        most_bytes: int,
    ) -> None:
        self.number = number
        self.wanted: dict[str, Channel] = {}
        self.wire: Wire | None = None
        self._url = url
        self._board = board
        self._clock = clock
        self._pace = pace
        self._take = take
        self._lost = lost
        self._hushed = hushed
        self._most_bytes = most_bytes
        self._held: set[str] = set()
        self._stale: set[str] = set()
        self._left_out: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._frame_ms: int | None = None
        self.line = board.lines.setdefault(number, Line(number))

    def want(self, channels: Iterable[Channel]) -> None:
        """Subscribe to channels as well, now and after every reconnect."""
        self.wanted |= {one.name: one for one in channels}
        self._tell()

    def drop(self, names: Iterable[str]) -> None:
        """Subscribe to channels no more."""
        for name in names:
            self.wanted.pop(name, None)
        self._tell()

    def renew(self, names: Collection[str]) -> None:
        """Subscribe to channels anew, which stood still: what is held already is no news there."""
        self._stale |= set(names)
        self._tell()

    def end(self, why: str) -> None:
        """End the connection; it is opened again."""
        if self.wire is not None:
            self.wire.end(why)

    def _tell(self) -> None:
        self.line.channels = len(self.wanted)
        self._changed.set()

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        pause = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                why = await self._live()
            except (EtlError, TimeoutError) as error:
                why = str(error)
            if loop.time() - began > STEADY_S:
                pause = FIRST_PAUSE_S
            self.line.up_since_ms = None
            self.line.reconnects += 1
            if why != self.line.last_end:
                logger.warning("socket %d: %s; opening it again", self.number, why)
            self.line.last_end = why
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _live(self) -> str:
        """Open, subscribe, and hear until it ends; return why it did."""
        self.wire = wire = await connect(self._url, self._taken, most_bytes=self._most_bytes)
        self._held, self._stale = set(), set()
        self._left_out = {}
        try:
            answer = await wire.call("public/set_heartbeat", {"interval": HEARTBEAT_S})
            if answer.us_out:
                self._clock.heard(answer.us_out)
            await self._sync(wire)
            self._opened()
            return await self._keep(wire)
        finally:
            wire.end("let go")
            self.wire = None
            self._hushed(self.wanted.values())

    def _opened(self) -> None:
        now_ms = self._clock.now_ms()
        self.line.up_since_ms = now_ms
        before = now_ms if self._frame_ms is None else self._frame_ms
        self._frame_ms = now_ms
        logger.info("socket %d: %d channels", self.number, len(self._held))
        self._lost(list(self.wanted.values()), before, now_ms, self.line.last_end)

    async def _keep(self, wire: Wire) -> str:
        """Follow what is wanted and watch what comes until the connection ends."""
        while not wire.ended.done():
            await asyncio.wait({wire.ended}, timeout=LOOK_S)
            if self._changed.is_set() or self._is_due():
                await self._sync(wire)
            self._watch(wire)
        return wire.ended.result()

    def _watch(self, wire: Wire) -> None:
        now = asyncio.get_running_loop().time()
        silent, deaf = now - wire.frame_at, now - wire.data_at
        self._frame_ms = self.line.frame_ms = self._clock.now_ms() - round(deaf * 1000)
        if silent > SILENT_S:
            wire.end(f"nothing came for {silent:.0f} s")
        elif deaf > DEAF_S and any(one.kind in NEVER_PAUSE for one in self.wanted.values()):
            wire.end(f"heartbeats, and no data for {deaf:.0f} s")

    def _is_due(self) -> bool:
        now = asyncio.get_running_loop().time()
        return any(now - at > REFUSED_AGAIN_S for at in self._left_out.values())

    async def _sync(self, wire: Wire) -> None:
        """Subscribe to what is wanted and not held; end what is held and not wanted, or stale."""
        self._changed.clear()
        now = asyncio.get_running_loop().time()
        self._left_out = {
            name: at for name, at in self._left_out.items() if now - at <= REFUSED_AGAIN_S
        }
        gone = sorted((self._held - self.wanted.keys()) | (self._held & self._stale))
        self._stale = set()
        await self._call(wire, "public/unsubscribe", gone)
        self._held -= set(gone)
        new = [name for name in self.wanted if name not in self._held | self._left_out.keys()]
        got = await self._call(wire, "public/subscribe", new)
        self._held |= got
        refused = [name for name in new if name not in got and name in self.wanted]
        if refused:
            self._left_out |= dict.fromkeys(refused, now)
            self._board.counts["refused_channel"] += len(refused)
            shown = ", ".join(refused[:3])
            words = "socket %d: the exchange left out %d of %d channels: %s"
            logger.warning(words, self.number, len(refused), len(new), shown)

    async def _call(self, wire: Wire, method: str, names: list[str]) -> set[str]:
        """Return the channels the exchange says it took, over as many calls as that needs."""
        got: set[str] = set()
        for number, frame in calls(method, names, wire.next_id(len(names))):
            await self._pace.wait()
            try:
                answer = await wire.ask(number, method, frame)
                got |= set(read_names(answer.result))
            except DeribitError as error:
                logger.warning("socket %d: %s", self.number, error)
            except msgspec.DecodeError as error:
                logger.warning("socket %d: an answer to %s: %s", self.number, method, error)
        return got

    def _taken(self, wire: Wire, message: bytes) -> None:
        self._take(self, wire, message)
