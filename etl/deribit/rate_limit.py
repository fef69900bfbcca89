"""Spend the exchange's credits at the rate they come, together with other processes."""

import asyncio
import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

LONGEST_WAIT = 3_600  # seconds; a level that takes longer to pay for was never ours
_STATE = struct.Struct("<dd")  # level [credits], moment [s, monotonic: one clock for the machine]


class CreditBucket:
    """A bucket of credits that refills at a constant rate, kept in a file all processes share.

    A request reserves its cost at once and waits until the refill has paid for it, so requests are
    served first come, first served, over all processes.

    Parameters
    ----------
    path
        File that holds the level; one per host of the exchange.
    capacity, refill
        Size of the bucket [credits] and rate it fills at [credits/s].
    clock, sleep
        Monotonic seconds, and how to wait for some.
    """

    def __init__(
        self,
        path: Path,
        *,
        capacity: float,
        refill: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._path = path
        self._capacity = capacity
        self._refill = refill
        self._clock = clock
        self._sleep = sleep

    async def acquire(self, cost: float) -> None:
        """Wait until `cost` credits are ours."""
        level = self._spend(cost)
        if level < 0:
            await self._sleep(-level / self._refill)

    def drain(self) -> None:
        """Take the bucket for empty: the exchange said so, and it knows better."""
        self._spend(0, at_most=0.0)

    def _spend(self, cost: float, *, at_most: float = float("inf")) -> float:
        """Take `cost` from the level, which may go below zero, and return what is left."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:  # noqa: PTH123  (a descriptor, no path)
            fcntl.flock(file, fcntl.LOCK_EX)
            level = min(self._level(file), at_most) - cost
            file.seek(0)
            file.write(_STATE.pack(level, self._clock()))
            file.truncate()
        return level

    def _level(self, file: BinaryIO) -> float:
        data = file.read(_STATE.size + 1)
        if len(data) != _STATE.size:
            return self._capacity
        level, moment = _STATE.unpack(data)
        elapsed = self._clock() - moment
        is_sane = -LONGEST_WAIT * self._refill <= level <= self._capacity  # NaN is neither
        if not is_sane or not elapsed >= 0:  # garbage, or the machine was restarted since
            return self._capacity
        return float(min(level + elapsed * self._refill, self._capacity))


def shared_bucket_path(host: str, kind: str) -> Path:
    """Return the file all processes of this user share for the credits of `host`."""
    folder = Path(tempfile.gettempdir()) / f"deribit-lake-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{host.replace(':', '_').replace('/', '_')}.{kind}"
