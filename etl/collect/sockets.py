"""All sockets of a collector: channels spread over them, and what stood still begun anew."""

import asyncio
import logging
from collections.abc import Iterable

from etl.collect.board import Board
from etl.collect.channels import Channel
from etl.collect.clock import ExchangeClock
from etl.collect.intake import Intake
from etl.collect.socket import Hushed, Lost, Pace, Socket
from etl.config import Settings

logger = logging.getLogger(__name__)

RENEWED_EVERY_S = 300.0  # a channel that stands still is subscribed to again, not more often
LOOK_S = 5.0


class Sockets:
    """The sockets, by number from 1."""

    def __init__(
        self,
        settings: Settings,
        board: Board,
        clock: ExchangeClock,
        intake: Intake,
        *,
        lost: Lost,
        hushed: Hushed,
    ) -> None:
        self._settings = settings
        self._board = board
        self._clock = clock
        self._intake = intake
        self._lost = lost
        self._pace = Pace()
        self._tasks: asyncio.TaskGroup | None = None
        self._renewed: dict[str, float] = {}
        self._hushed = hushed
        self.all: list[Socket] = []

    def add(self, channels: Iterable[Channel]) -> None:
        """Subscribe to channels, each on the first socket that has room."""
        most = self._settings.collect.channels_per_socket
        for channel in channels:
            socket = next((one for one in self.all if len(one.wanted) < most), None)
            socket = socket or self._open()
            socket.want([channel])
            if source := self._board.sources.get((channel.kind, channel.subject)):
                source.comes_over(socket.number)

    def remove(self, channels: Iterable[Channel]) -> None:
        """Subscribe to channels no more."""
        names = {one.name for one in channels}
        for socket in self.all:
            if mine := names & socket.wanted.keys():
                socket.drop(mine)

    def _open(self) -> Socket:
        socket = Socket(
            len(self.all) + 1,
            self._settings.socket_url,
            board=self._board,
            clock=self._clock,
            pace=self._pace,
            take=self._intake.take,
            lost=self._lost,
            hushed=self._hushed,
            most_bytes=round(self._settings.collect.most_message_megabytes * 1e6),
        )
        self.all.append(socket)
        self._intake.sockets.append(socket)
        if self._tasks is not None:
            self._tasks.create_task(socket.run())
        return socket

    async def run(self) -> None:
        """Keep all of them until cancelled, and begin anew what stands still."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for socket in self.all:
                tasks.create_task(socket.run())
            while True:
                await asyncio.sleep(LOOK_S)
                self._renew()

    def _renew(self) -> None:
        """Subscribe again to channels whose data are too old, on sockets that hear others."""
        now = asyncio.get_running_loop().time()
        lately = self._renewed.items()
        self._renewed = {name: at for name, at in lately if now - at < RENEWED_EVERY_S}
        stale = {(one.kind, one.subject) for one in self._board.stale(self._clock.now_ms())}
        for socket in self.all:
            if not stale or socket.wire is None:
                continue
            names = [
                name
                for name, channel in socket.wanted.items()
                if (channel.kind, channel.subject) in stale and name not in self._renewed
            ]
            if names:
                self._renewed |= dict.fromkeys(names, now)
                self._board.counts["renewed"] += len(names)
                words = "socket %d: %d channels stand still and are begun anew, as %s"
                logger.warning(words, socket.number, len(names), names[0])
                socket.renew(names)
