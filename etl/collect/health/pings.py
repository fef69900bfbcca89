"""Pings by the protocol of Healthchecks.io: who stops hearing them knows that data are old.

Its rules: a POST to the check's address means success, with ``/start``, ``/fail`` or an exit status
behind it what they say; ``rid`` tells runs apart; 100 kB of a body are kept; more than five pings a
minute are ignored, and so is a check that does not exist, both with status 200.

References
----------
Healthchecks.io, "Pinging API", https://healthchecks.io/docs/http_api/
"""

import asyncio
import logging
import os
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
from etl.deribit.surroundings import certificates, proxy_of
from etl.logs import event

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

EVERY_S, AGAIN_S, TIMEOUT_S, TICK_S = 60.0, 20.0, 10.0, 1.0
A_MINUTE = 4
"""Pings within a minute before more have to wait: the fifth is kept for the end."""
BODY_BYTES = 100_000
IGNORED = {"OK (not found)": "there is no such check", "OK (rate limited)": "too many pings"}


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
        trouble = await self._post(suffix, body)
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

    async def _post(self, suffix: str, body: str) -> str:
        """Return what went wrong, in words without the address; empty if nothing did."""
        kept = body.encode()[:BODY_BYTES].decode(errors="ignore").encode()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self.client.post(self._address(suffix), content=kept)
        except Exception as error:  # noqa: BLE001  whatever happens to a ping, collection goes on
            return type(error).__name__
        if not answer.is_success:
            return f"HTTP {answer.status_code}"
        return IGNORED.get(answer.text.strip(), "")

    def _address(self, suffix: str) -> "httpx.URL":
        import httpx  # noqa: PLC0415

        url = httpx.URL(self.url)
        path = url.path.rstrip("/") + suffix
        return url.copy_with(path=path).copy_merge_params({"rid": self.run})

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
    async with _connection(url) as client:
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


def _connection(url: str) -> "httpx.AsyncClient":
    import httpx  # noqa: PLC0415

    proxy = proxy_of(url, os.environ)
    return httpx.AsyncClient(
        timeout=TIMEOUT_S,
        headers={"User-Agent": "deribit-lake"},
        verify=certificates(os.environ),
        proxy=proxy.read() if proxy else None,
        trust_env=False,
    )
