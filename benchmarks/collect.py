"""What the collector takes of the tickers of the whole chain on one core, and brings to disk.

The collector's own parts, sockets to settled Parquet, in this process on one core; the flood on the
other. A message counts when the journal that holds it is synchronised; its wait is from reception
to that moment. Journals are settled meanwhile: smaller ones than in the field, and at once.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.flood import flooding
from benchmarks.machine import cores, show
from benchmarks.memory import rss_mb
from etl.collect import writing
from etl.collect.board import Board
from etl.collect.channels import Channel
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.garbage import seldom_collected
from etl.collect.health.watching import watching
from etl.collect.intake import Intake
from etl.collect.publishing import Publisher
from etl.collect.settling import OF_TICKERS
from etl.collect.sockets import Sockets
from etl.collect.universe import Universe
from etl.config import Settings, load_settings
from lake.journal import Message, journals, read_journal
from lake.messages import settle
from lake.paths import Lake, open_lake

RATE = 20_000.0  # messages a second: what is asked of it
SECONDS, FULL_SECONDS = 300.0, 60.0
ROLL_S = 30.0  # in place of ten minutes, so that many journals are settled in a run
MOST_MS = 60_000
EACH = 8  # of so many messages the wait of one is counted
HEAD = [
    "the flood", "messages/s to disk", "a second of CPU", "MB/s", "core", "wait p50 ms", "p99 ms",
    "most ms", "memory MB", "MB/min", "paused", "unsettled",
]  # fmt: skip


class Stopwatch:
    """Stands between an intake and its writer, and counts how long messages wait for the disk."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._received = np.empty(0, np.int64)
        self.messages = self._messages = 0
        self.of_ms = np.zeros(MOST_MS + 1, np.int64)  # messages by their wait

    def handed_over(self) -> Sequence[Message]:
        """Hand over what is to be written."""
        found = self._intake.handed_over()
        self._received = np.array([one[0] for one in found[::EACH]], np.int64)
        self._messages = len(found)
        return found

    def written(self) -> None:
        """Take note that it is on disk."""
        waits = (time.time_ns() // 1000 - self._received) // 1000
        self.of_ms += np.bincount(np.minimum(waits, MOST_MS), minlength=MOST_MS + 1)
        self.messages += self._messages
        self._intake.written()

    def begin(self) -> None:
        """Count from here on."""
        self.messages = 0
        self.of_ms[:] = 0

    def wait_ms(self, share: float) -> int:
        """Return the wait that a share of messages does not exceed [ms]."""
        return int(np.searchsorted(np.cumsum(self.of_ms), share * self.of_ms.sum()))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run came to, of the seconds that were measured."""

    seconds: float
    messages: int
    megabytes: float
    cpu: float  # seconds of it
    wait_ms: tuple[int, int, int]  # half of the messages, 99 of 100, all
    memory: tuple[float, float]  # in the end [MB], and how it grew over the second half [MB/min]
    paused: int
    unsettled: int  # journals

    def row(self, name: str) -> list[str]:
        """Return a row under `HEAD`."""
        return [
            name,
            f"{self.messages / self.seconds:,.0f}",
            f"{self.messages / self.cpu:,.0f}",
            f"{self.megabytes / self.seconds:.1f}",
            f"{self.cpu / self.seconds:.0%}",
            *(f"{wait:,}" for wait in self.wait_ms),
            f"{self.memory[0]:.0f}",
            f"{self.memory[1]:+.2f}",
            str(self.paused),
            str(self.unsettled),
        ]


class Parts:
    """The parts of a collector that tickers go through."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        told, clock = settings.collect, ExchangeClock()
        self.settings, self.lake, self.clock = settings, lake, clock
        self.board = Board(clock.now_ms())
        self.intake = Intake(self.board, clock)
        self.desk = Desk(self.board, clock, Universe(told), _nothing, _nothing)
        self.watch = Stopwatch(self.intake)
        self.writer = writing.Writer(lake, self.watch, self.board, 0)  # type: ignore[arg-type]
        self.closed: asyncio.Queue[Path] = asyncio.Queue()
        self.settled = 0  # messages
        self.publisher = Publisher(lake, self.desk, clock, _nothing)
        self.sockets = Sockets(
            settings, self.board, clock, self.intake, lost=_nothing, hushed=self.desk.hushed
        )

    def subscribe(self, names: Sequence[str]) -> None:
        """Ask for the tickers of options."""
        for name in names:
            currency = "USDC" if "_USDC" in name else name.partition("-")[0]
            channel = Channel(f"ticker.{name}.100ms", "tickers", currency)
            self.intake.routes[channel.name] = self.desk.route(channel)
            self.sockets.add([channel])

    async def _settle(self) -> None:
        """Settle each journal when it is closed; the collector waits for the hour to do it."""
        while True:
            journal = await self.closed.get()
            work = asyncio.to_thread(settle, self.lake, journal, OF_TICKERS)
            settling = asyncio.ensure_future(work)
            try:
                await asyncio.shield(settling)
            finally:  # a thread goes on though this task be cancelled
                self.settled += (await settling).messages

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run them; in the end all that came is on disk."""
        works = (
            self.writer.run(self.closed.put_nowait),
            self._settle(),
            self.sockets.run(),
            self.publisher.run(),
        )
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            async with watching(self.settings.collect, self.board, self.clock.now_ms):
                yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.writer.drain()


def measured(address: str, root: Path, seconds: float) -> Figures:
    """Return what our parts did with a flood, in so many seconds.

    Raises
    ------
    RuntimeError
        If what lies in journals and in what they were settled to is not what was received.
    """
    writing.ROLL_S = ROLL_S
    settings = load_settings(host=f"http://{address}", root=root, collect={"listen": ""})
    parts = Parts(settings, open_lake(root, create=True))
    figures = asyncio.run(_measured(parts, _names(address), seconds))
    left = sum(batch.num_rows for path in journals(parts.lake) for batch in read_journal(path))
    if parts.settled + left != parts.board.counts["messages"]:
        came = parts.board.counts["messages"]
        message = f"{parts.settled} settled, {left} in journals, {came} received"
        raise RuntimeError(message)
    return figures


def _names(address: str) -> list[str]:
    found: list[str] = httpx.get(f"http://{address}/chain", trust_env=False).json()
    return found


async def _measured(parts: Parts, names: Sequence[str], seconds: float) -> Figures:
    async with parts.running():
        parts.subscribe(names)
        seldom_collected()
        sources = parts.board.sources.values()
        while sum(one.messages for one in sources) < 2 * len(names):  # noqa: ASYNC110  (no event)
            await asyncio.sleep(0.1)
        await asyncio.sleep(min(10.0, seconds / 5))
        parts.watch.begin()
        before = parts.board.counts.copy()
        began, cpu, memory = time.monotonic(), time.process_time(), []
        while time.monotonic() - began < seconds:
            await asyncio.sleep(1.0)
            memory.append((time.monotonic() - began, rss_mb()))
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        watch, counts = parts.watch, parts.board.counts
        return Figures(
            took, watch.messages, (counts["bytes"] - before["bytes"]) / 1e6, cpu,
            (watch.wait_ms(0.5), watch.wait_ms(0.99), int(np.flatnonzero(watch.of_ms)[-1])),
            (memory[-1][1], slope(memory[len(memory) // 2 :]) * 60),
            counts["paused"] - before["paused"],
            len(journals(parts.lake)) - 1,
        )  # fmt: skip


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how steep the line of least squares through some points is."""
    at, found = np.array(points).T
    return float(np.polyfit(at, found, 1)[0])


def _nothing(*_told: object) -> None:
    """Be told, and do nothing."""


def main() -> None:
    """Print what was sustained at the rate that is asked for, and at full speed."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--seconds", type=float, default=SECONDS, help="at the stated rate")
    told.add_argument("--full-seconds", type=float, default=FULL_SECONDS, help="at full speed")
    told.add_argument("--rate", type=float, default=RATE, help="messages a second")
    options = told.parse_args()
    ours, theirs = cores()
    os.sched_setaffinity(0, {ours})
    rows = []
    for seconds, rate in ((options.seconds, options.rate), (options.full_seconds, 0.0)):
        if seconds:
            with tempfile.TemporaryDirectory() as name, flooding(theirs, rate) as address:
                figures = measured(address, Path(name) / "lake", seconds)
                rows.append(figures.row(_called(rate, seconds)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    show(f"Tickers of the whole chain, one core; most memory {peak} MB", HEAD, rows)


def _called(rate: float, seconds: float) -> str:
    speed = f"{rate:,.0f} a second" if rate else "as fast as it is read"
    return f"{speed}, {seconds:,.0f} s"


if __name__ == "__main__":
    main()
