"""Everything that watches a collector, begun and ended together with it."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from etl.collect.board import Board
from etl.collect.health.alarms import Alarms
from etl.collect.health.notify import Notifier
from etl.collect.health.pings import pinging
from etl.collect.health.rates import Rates
from etl.config import Collect
from etl.logs import event

log = logging.getLogger(__name__)

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What watches a board; ``ready()`` says that collection has begun."""

    board: Board
    collect: Collect
    now_ms: Callable[[], int]
    notifier: Notifier
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        """Count from now on."""
        object.__setattr__(self, "rates", Rates(self.board))

    def ready(self) -> None:
        """Tell the init system that we are."""
        self.notifier.ready()

    async def look(self) -> None:
        """Look every second until cancelled.

        What feeds the watchdog goes by here: a loop that stands still feeds it no more.
        """
        alarms, loop = Alarms(self.board, self.collect), asyncio.get_running_loop()
        while True:
            alarms.look(self.now_ms())
            self.rates.note(loop.time())
            self.notifier.tell(self.board, self.now_ms(), loop.time())
            await asyncio.sleep(LOOK_S)

    async def show(self, opened: socket.socket) -> None:
        """Serve the page until cancelled."""
        from etl.collect.health import server  # noqa: PLC0415  (only where there is a page)

        any_host = self.collect.listen_beyond_loopback
        await server.serve(
            server.application(self.board, self.rates, self.now_ms, any_host=any_host), opened
        )


@asynccontextmanager
async def watching(
    collect: Collect, board: Board, now_ms: Callable[[], int]
) -> AsyncIterator[Watch]:
    """Watch a board while the block runs: alarms, pings, page, notices to systemd.

    Parameters
    ----------
    now_ms : callable
        The exchange's clock, which does not jump when ours does.

    Raises
    ------
    UsageError
        If the page cannot be where settings want it: before anything begins.
    """
    from etl.collect.health import server  # noqa: PLC0415  (it takes its time to import)

    opened = server.listen(collect)
    watch = Watch(board, collect, now_ms, Notifier.from_environment(os.environ))
    url = None if collect.ping_url is None else str(collect.ping_url)
    tasks = [_begun(watch.look(), "alarms")]
    if opened is not None:
        tasks.append(_begun(watch.show(opened), "page"))
        host, port = opened.getsockname()[:2]
        told = event("page", host=host, port=port)
        log.info(
            "the page is at http://%s:%d", f"[{host}]" if ":" in host else host, port, extra=told
        )
    try:
        async with pinging(board, url, now_ms):
            try:
                yield watch
            finally:
                watch.notifier.stopping()
    finally:
        await _ended(tasks)
        watch.notifier.close()


def _begun(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Return a task that, should it fail, says so and leaves collection alone."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_say_failure)
    return task


def _say_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        told = event("health_failed", task=task.get_name())
        log.critical("%s stand still", task.get_name(), exc_info=error, extra=told)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
