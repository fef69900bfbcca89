"""One writer per partition: an advisory lock that dies with its process."""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from lake.errors import PartitionBusyError
from lake.partition import Partition
from lake.paths import Lake
from lake.write import disk_errors

POLL_SECONDS = 0.2


@contextmanager
def locked(lake: Lake, partitions: Iterable[Partition], *, wait: bool = False) -> Iterator[None]:
    """Hold the locks of all `partitions`, in order, so that two writers cannot deadlock.

    Raises
    ------
    PartitionBusyError
        If another process holds one of them and `wait` is false; it names the holder's pid.
    """
    with ExitStack() as held:
        for partition in sorted(partitions):
            held.enter_context(locked_file(lake.lock(partition), str(partition), wait=wait))
        yield


@contextmanager
def locked_file(path: Path, name: str, *, wait: bool = False) -> Iterator[None]:
    """Hold one lock; `name` is what a message calls it.

    Raises
    ------
    PartitionBusyError
        As `locked`.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        while not _try(file):
            if not wait:
                message = (
                    f"{name} is being written by process {_holder(file)}; "
                    "wait for it to end, or give --wait"
                )
                raise PartitionBusyError(message)
            time.sleep(POLL_SECONDS)
        with disk_errors(path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
