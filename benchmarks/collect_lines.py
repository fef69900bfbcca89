"""Lines on disk, as somebody who collects with a library would write them: what peers share.

Lines go to the file together, synchronised, as often as our own journal. This module imports
nothing of ours: it runs in environments that have nothing but the library, too.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

WRITE_S = 0.25
WARM_S = 5.0


class Lines:
    """Lines that wait for the disk, and how many are there."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._waiting: list[bytes] = []
        self.count = 0

    def add(self, line: bytes) -> None:
        """Take a line, without its end."""
        self._waiting.append(line)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            began = time.monotonic()
            waiting, self._waiting = self._waiting, []
            await asyncio.to_thread(self._write, waiting)
            self.count += len(waiting)
            await asyncio.sleep(max(0.0, WRITE_S - (time.monotonic() - began)))

    def _write(self, lines: list[bytes]) -> None:
        self._file.write(b"\n".join([*lines, b""]) if lines else b"")
        self._file.flush()
        os.fdatasync(self._file.fileno())


async def told(count: Callable[[], int], seconds: float) -> tuple[int, float, float]:
    """Return how much came to disk once something had, in how many seconds, and of CPU."""
    while not count():  # noqa: ASYNC110  (of a library there is no event)
        await asyncio.sleep(0.1)
    await asyncio.sleep(min(WARM_S, seconds / 2))
    began, cpu, before = time.monotonic(), time.process_time(), count()
    await asyncio.sleep(seconds)
    return count() - before, time.monotonic() - began, time.process_time() - cpu


def say(messages: float, seconds: float, cpu: float) -> None:
    """Print what was measured, for the process that began this one."""
    print(json.dumps({"messages": messages, "seconds": seconds, "cpu": cpu}), flush=True)
