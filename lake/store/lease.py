"""Locks of a lake in a bucket: an object with an owner, who says every few seconds that he lives.

Nobody's clock is trusted: a lease has lapsed where the store's own clock says that its object has
not been written for as long as the lease lasts, or where its owner ran on this machine and is gone.
An owner counts from before he asked, on a clock that only goes forward and does so while a machine
sleeps; so he stops before others may begin. And what he puts is refused where another put something
meanwhile (`ObjectStore.put`).
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lake.errors import (
    ConflictError,
    LakeError,
    LeaseLostError,
    PartitionBusyError,
    UnreachableStoreError,
)
from lake.store.objects import SOON, Found, ObjectStore
from lake.store.place import ObjectPlace

POLL_SECONDS = 0.5
RENEWALS = 3  # in the time of a lease
AT_ONCE = 16  # renewals: a run may hold the locks of a thousand partitions
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
CLOCK_STEP_S = 1.0  # the store tells time in whole seconds

logger = logging.getLogger(__name__)


class Owner(msgspec.Struct, frozen=True):
    """Who holds a lock; of a free one nobody does."""

    host: str = ""
    boot: str = ""  # of the machine, so that a process number means one process
    pid: int = 0
    started: int = 0  # of the process, in ticks since the machine began
    nonce: str = ""
    lease_seconds: float = 0.0
    renewed: int = 0

    @property
    def is_nobody(self) -> bool:
        """Whether the lock is free."""
        return not self.pid

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it is, or was, a process of this machine since it started last."""
        return bool(self.boot) and (self.host, self.boot) == (socket.gethostname(), _boot())

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended."""
        if not self.is_of_this_machine:
            return False
        started = _started(self.pid)
        return started is not None and started != self.started


class Lease:
    """A lock this process holds; make one by `held`."""

    def __init__(self, place: ObjectPlace, name: str, owner: Owner, tag: str, begun: float) -> None:
        self.place = place
        self.name = name
        self._owner = owner
        self._tag = tag
        self._ends = begun + owner.lease_seconds
        self._is_lost = False
        self._lock = threading.Lock()

    @property
    def nonce(self) -> str:
        """What tells this holding of the lock from every other."""
        return self._owner.nonce

    @property
    def is_lost(self) -> bool:
        """Whether another process has it, or it was set free; one that has lapsed may come back."""
        return self._is_lost

    @property
    def due(self) -> float:
        """When it is to be renewed, by `_clock_s` [s]."""
        return self._ends - self._owner.lease_seconds * (1 - 1 / RENEWALS)

    def check(self) -> None:
        """Raise where this process may not write any more, or cannot know that it may.

        Raises
        ------
        LeaseLostError
            If another process has taken the lock over, or its store cannot be reached.
        """
        if _clock_s() > self._ends - self._owner.lease_seconds / RENEWALS:
            self.renew()
        if self._is_lost or _clock_s() >= self._ends:
            message = (
                f"the lease of {self.name} lapsed while this process was held up, and another may "
                "be writing it: nothing was written since; run the command again"
            )
            raise LeaseLostError(message)

    def renew(self) -> None:
        """Say that the owner lives; where the store is not reached, until the lease lapses."""
        with self._lock:
            if self._is_lost:
                return
            begun = _clock_s()
            owner = msgspec.structs.replace(self._owner, renewed=self._owner.renewed + 1)
            try:
                self._tag = self.place.store.put_if(
                    self.place.key, _encode(owner), self._tag, owner.lease_seconds * SOON
                )
            except ConflictError:
                self._is_lost = True
            except UnreachableStoreError:
                return
            else:
                self._owner, self._ends = owner, begun + owner.lease_seconds

    def release(self) -> None:
        """Set the lock free, unless it has lapsed, or will, as where the store is not reached.

        It is asked once: a run may hold a thousand locks.
        """
        with self._lock:
            if self._is_lost:
                return
            self._is_lost = True
            if _clock_s() >= self._ends:
                return
            seconds = self._owner.lease_seconds * SOON
            try:
                self.place.store.put_if(self.place.key, free(), self._tag, seconds)
            except (ConflictError, UnreachableStoreError):
                return


class _Keeper:
    """Renews the leases of this process in a thread of its own."""

    def __init__(self) -> None:
        self._leases: dict[tuple[ObjectStore, str], Lease] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._pid = 0

    def add(self, lease: Lease) -> None:
        with self._lock:
            self._leases[lease.place.store, lease.place.key] = lease
            if self._pid != os.getpid():  # threads do not come along into a fork
                self._pid, self._woken = os.getpid(), threading.Event()
                threading.Thread(target=self._run, args=(self._woken,), daemon=True).start()
        self._woken.set()

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._leases.pop((lease.place.store, lease.place.key), None)

    def find(self, place: ObjectPlace) -> Lease | None:
        with self._lock:
            return self._leases.get((place.store, place.key))

    def _run(self, woken: threading.Event) -> None:
        while True:
            woken.clear()
            with self._lock:
                leases = list(self._leases.values())
            now = _clock_s()
            if due := [one for one in leases if one.due <= now]:
                with ThreadPoolExecutor(min(AT_ONCE, len(due))) as pool:
                    list(pool.map(_renew, due))
            pause = max(0.0, min((one.due for one in leases), default=0.0) - _clock_s())
            # one that could not be renewed is due still, and is tried again soon
            woken.wait(max(pause, POLL_SECONDS) if leases else None)


_keeper = _Keeper()


@contextmanager
def held(
    place: ObjectPlace, name: str, *, seconds: float | None, doing: str, cure: str
) -> Iterator[Lease]:
    """Hold a lock, and wait for it so many seconds; None is for ever.

    Raises
    ------
    PartitionBusyError
        If another process holds it, and does not end in that time; it names the holder.
    """
    ends = None if seconds is None else _clock_s() + seconds
    waiting = _Waiting(place)
    while (lease := _taken(place, name, waiting)) is None:
        if ends is not None and _clock_s() >= ends:
            message = f"{name} {doing} {_holder(place)}; {cure}"
            raise PartitionBusyError(message)
        time.sleep(POLL_SECONDS)
    _keeper.add(lease)
    try:
        yield lease
    finally:
        _keeper.remove(lease)
        lease.release()


@dataclass(frozen=True, slots=True)
class Loan:
    """A lock that one process holds and another one writes under, in its name; it can be sent."""

    place: ObjectPlace
    name: str
    nonce: str

    @property
    def is_lost(self) -> bool:
        """Whether another process has it, or it was set free."""
        found = read_owner(self.place)
        return found is None or found[0].nonce != self.nonce

    def check(self) -> None:
        """Raise where the lender's lock is another's by now.

        Raises
        ------
        LeaseLostError
            If it is.
        """
        if self.is_lost:
            message = (
                f"the lease of {self.name} lapsed while this process worked under it: nothing was "
                "written since; run the command again"
            )
            raise LeaseLostError(message)


_borrowed: dict[tuple[ObjectStore, str], Loan] = {}


def lent(place: ObjectPlace) -> Loan | None:
    """Return what lends a lock of this process to another one, None where it holds none."""
    lease = _keeper.find(place)
    return Loan(place, lease.name, lease.nonce) if lease is not None else None


@contextmanager
def borrowed(loan: Loan | None) -> Iterator[None]:
    """Write under a lock that another process lent; without a loan, under none."""
    if loan is None:
        yield
        return
    key = loan.place.store, loan.place.key
    _borrowed[key] = loan
    try:
        yield
    finally:
        del _borrowed[key]


def lease_of(place: ObjectPlace) -> Lease | Loan | None:
    """Return the lease of a lock that this process holds or borrowed, None where it has none."""
    return _keeper.find(place) or _borrowed.get((place.store, place.key))


class _Waiting:
    """What a waiter knows of a lock that another has: when it lapses, if it is not renewed."""

    def __init__(self, place: ObjectPlace) -> None:
        self._place = place
        self._tag = ""
        self._lapses = 0.0

    def has_lapsed(self, owner: Owner, there: Found) -> bool:
        """Whether the lock has not been written for as long as its lease lasts.

        The store's clock is asked once: what is written while one looks on was written since.
        """
        if there.etag != self._tag:
            store = self._place.store
            age = 0.0 if self._tag else store.now_s(self._place.key) - there.changed_s
            lasts = lasting(owner, store)
            self._tag, self._lapses = there.etag, _clock_s() + lasts - age
        return _clock_s() > self._lapses


def _renew(lease: Lease) -> None:
    """Renew a lease; where the store refuses, whoever writes under it is told."""
    try:
        lease.renew()
    except LakeError as error:
        logger.warning("the lease of %s is not renewed: %s", lease.name, error)


def _taken(place: ObjectPlace, name: str, waiting: _Waiting) -> Lease | None:
    """Return the lease of a lock that is free, or whose owner is gone; None where it is held."""
    tag = None
    if (found := read_owner(place)) is not None:
        owner, there = found
        if not (owner.is_nobody or owner.is_gone or waiting.has_lapsed(owner, there)):
            return None
        tag = there.etag
    ours = Owner(
        socket.gethostname(),
        _boot(),
        os.getpid(),
        _started(os.getpid()) or 0,
        secrets.token_hex(8),
        place.store.lease_seconds,
    )
    begun = _clock_s()
    try:
        return Lease(place, name, ours, place.store.put_if(place.key, _encode(ours), tag), begun)
    except ConflictError:
        return None


def read_owner(place: ObjectPlace) -> tuple[Owner, Found] | None:
    """Return who holds a lock, and what the store says of it; None where it was never held."""
    try:
        found, data = place.store.get_seen(place.key)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=Owner), found
    except msgspec.DecodeError:
        return Owner(pid=-1), found  # not ours to judge: it lapses after our own lease


def _holder(place: ObjectPlace) -> str:
    found = read_owner(place)
    if found is None or found[0].is_nobody:
        return "another process"
    return f"process {found[0].pid} of {found[0].host or 'another machine'}"


def lasting(owner: Owner, store: ObjectStore) -> float:
    """Return how long a lock outlives its owner's last word, by a clock of whole seconds [s]."""
    return (owner.lease_seconds or store.lease_seconds) + 2 * CLOCK_STEP_S


def free() -> bytes:
    """Return what a lock holds that nobody has; it is as long each time."""
    return _encode(Owner(nonce=secrets.token_hex(8)))


def _encode(owner: Owner) -> bytes:
    return msgspec.json.encode(owner)


def _boot() -> str:
    """Return which start of this machine, and of the container in it, this is; empty if untold."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Return when a process of this machine began [ticks], 0 where there is none.

    None where there is one that is not shown: ProtectProc= of a unit, and hidepid, hide those of
    other users.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if _is_there(pid) else 0
    state, *rest = told.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(rest[18])  # it has ended, and its parent has not looked


def _is_there(pid: int) -> bool:
    """Whether there is a process of that number, be it somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _clock_s() -> float:
    """Return a clock that only goes forward, while the machine sleeps, too [s]."""
    return time.clock_gettime(_CLOCK)
