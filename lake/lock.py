"""One writer per partition: an advisory lock that dies with its process, or a lease in a bucket."""

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
from lake.store import lease
from lake.store.place import ObjectPlace, Place
from lake.write import disk_errors

POLL_SECONDS = 0.2
WRITTEN, RUN = "is being written by", "is being run by"
CURE = "wait for it to end, or give --wait"
NO_WAIT = "wait for it to end"
"""What can be done where a command knows no `--wait`."""
Wait = bool | float
"""Whether to wait for another writer: for ever, or for so many seconds."""
Loan = lease.Loan
borrowed = lease.borrowed


@contextmanager
def locked(lake: Lake, partitions: Iterable[Partition], *, wait: Wait = False) -> Iterator[None]:
    """Hold the locks of all `partitions`, in order, so that two writers cannot deadlock.

    Seconds of waiting are for all of them together.

    Raises
    ------
    PartitionBusyError
        If another process holds one of them and is not waited for, or for too long; it names the
        holder's pid.
    """
    ends = _end(wait)
    with ExitStack() as held:
        for partition in sorted(partitions):
            left = wait if ends is None else max(0.0, ends - time.monotonic())
            held.enter_context(locked_file(lake.lock(partition), str(partition), wait=left))
        yield


def lent(lake: Lake, partition: Partition) -> lease.Loan | None:
    """Return what lends the lock of a partition to a process that writes it in our name.

    None where nothing is to be sent along: a lock of this machine dies with us, and so does it.
    """
    place = lake.lock(partition)
    return lease.lent(place) if isinstance(place, ObjectPlace) else None


@contextmanager
def locked_file(
    path: Place, name: str, *, wait: Wait = False, doing: str = WRITTEN, cure: str = CURE
) -> Iterator[None]:
    """Hold one lock; `name` is what a message calls it, `doing` what its holder is to it.

    `cure` is what a message says can be done.

    Raises
    ------
    PartitionBusyError
        As `locked`.
    """
    if isinstance(path, ObjectPlace):
        seconds = (None if wait else 0.0) if isinstance(wait, bool) else wait
        with lease.held(path, name, seconds=seconds, doing=doing, cure=cure):
            yield
    else:
        with locked_here(path, name, wait=wait, doing=doing, cure=cure):
            yield


@contextmanager
def locked_here(
    path: Path, name: str, *, wait: Wait = False, doing: str = WRITTEN, cure: str = CURE
) -> Iterator[IO[str]]:
    """Hold a lock of this machine, as `locked_file`.

    Yields
    ------
    IO
        Its file: a process that is started with it holds the lock, too, until it ends.

    Raises
    ------
    PartitionBusyError
        As `locked`.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    ends = _end(wait)
    with file:
        while not _try(file):
            if not wait or (ends is not None and time.monotonic() >= ends):
                message = f"{name} {doing} process {_holder(file)}; {cure}"
                raise PartitionBusyError(message)
            time.sleep(POLL_SECONDS)
        with disk_errors(path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield file


def check_held(lake: Lake, partition: Partition) -> None:
    """Raise where the lock of a partition, which this process held, may be another's by now.

    Raises
    ------
    LeaseLostError
        If it may. A lock of this machine is held as long as its process lives.
    """
    place = lake.lock(partition)
    held = lease.lease_of(place) if isinstance(place, ObjectPlace) else None
    if held is not None:
        held.check()


def is_taken_over(path: Place) -> bool:
    """Whether another process has a lock that this one held: a lease that lapsed can be taken."""
    held = lease.lease_of(path) if isinstance(path, ObjectPlace) else None
    return held is not None and held.is_lost


def _end(wait: Wait) -> float | None:
    """Return until when to wait, on the monotonic clock [s]; None for ever, or not at all."""
    return None if isinstance(wait, bool) else time.monotonic() + wait


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
