"""Pings of a collector: who stops hearing them knows that data are old."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etl.collect.board import Board
from etl.collect.health.ages import ages_line, format_age
from etl.collect.health.overview import verdict
from etl.logs import event
from etl.pings import connection, post

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

EVERY_S, AGAIN_S, TICK_S = 60.0, 20.0, 1.0
A_MINUTE = 4
"""Pings within a minute before more have to wait: the fifth is kept for the end."""


@dataclass(slots=True)
class Pinger:
    """Tells a check how one run is doing. Its address is a secret, and never logged."""

    board: Board
    url: str = field(repr=False)
    now_ms: Callable[[], int]
    client: "httpx.AsyncClient" = field(repr=False)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    _trouble: str = ""
    _told: frozenset[str] = frozenset()
    _due_s: float = 0.0
    _sent: deque[float] = field(default_factory=lambda: deque(maxlen=A_MINUTE))

    async def keep(self) -> None:
        """Ping until cancelled: at the start, every minute, and at once when alarms change."""
        await self.send("/start", self._line())
        while True:
            await self._tick()
            await asyncio.sleep(TICK_S)

    async def end(self, status: int) -> None:
        """Tell how the run ended."""
        await self.send(f"/{status}", f"ended with exit status {status}; {self._line()}")

    async def send(self, suffix: str, body: str) -> bool:
        """Send one ping and return whether it counts; trouble is logged once, and counted."""
        self._sent.append(asyncio.get_running_loop().time())
        trouble = await post(self.client, self.url, suffix, run=self.run, body=body)
        self.board.counts["pings_failed" if trouble else "pings"] += 1
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(trouble)
        return not trouble

    async def _tick(self) -> None:
        """Send what is due; after trouble and after changes sooner, yet within five a minute."""
        clock, ringing = asyncio.get_running_loop().time(), frozenset(self.board.alarms)
        is_due = clock >= self._due_s or ringing != self._told
        is_full = len(self._sent) == A_MINUTE and clock - self._sent[0] < EVERY_S
        if not is_due or is_full:
            return
        if verdict(self.board, self.now_ms()) not in {"fresh", "alarm"}:
            return
        suffix, body = "", self._line()
        if ringing:
            suffix, body = "/fail", failure(self.board, self.now_ms())
        counts = await self.send(suffix, body)
        self._due_s = clock + (EVERY_S if counts else AGAIN_S)
        self._told = ringing

    def _line(self) -> str:
        return ages_line(self.board, self.now_ms())

    def _say(self, trouble: str) -> None:
        host = urlsplit(self.url).hostname
        if trouble:
            told = event("pings_failed", host=host, reason=trouble)
            log.warning("pings to %s do not count: %s", host, trouble, extra=told)
        else:
            log.info("pings to %s count again", host, extra=event("pings_again", host=host))


def failure(board: Board, now_ms: int) -> str:
    """Return what rings, a line each, and last how old what is."""
    lines = [
        f"{alarm.name}: {alarm.text}; it rings for {format_age(now_ms - alarm.rung_ms)}"
        for alarm in board.alarms.values()
    ]
    return "\n".join([*lines, ages_line(board, now_ms)])


@asynccontextmanager
async def pinging(board: Board, url: str | None, now_ms: Callable[[], int]) -> AsyncIterator[None]:
    """Ping a check while the block runs, and tell it how that ended; no address, no pings.

    Raises
    ------
    UsageError
        If the environment names certificates that are not there.
    """
    if url is None:
        yield
        return
    async with connection(url) as client:
        pinger = Pinger(board, url, now_ms, client)
        task = asyncio.create_task(pinger.keep(), name="pings")
        status = 1
        try:
            yield
            status = 0
        except asyncio.CancelledError:  # whoever stops a collector has it end with 0
            status = 0
            raise
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await pinger.end(status)
