"""The repository of backups: made, locked, listed, and thinned out by age."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import msgspec

from etl.backup.damage import items
from etl.backup.refusal import refusal
from etl.backup.restic import DONE, FAILED, UNREADABLE, Done, Restic
from etl.backup.secrets import shown
from etl.config import Backup
from etl.errors import LockedError, NoRepositoryError, NoSnapshotError

logger = logging.getLogger(__name__)

HOST = "deribit-lake"  # whatever machine it is made on
TAG = "deribit-lake"
POLL_SECONDS = 5.0
LATEST = "latest"
SKEW = timedelta(hours=1)
SHORT = 8  # letters of an id


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One backup, as the repository has it.

    Attributes
    ----------
    id
        What restic calls it.
    time
        When it was made, by the clock of the machine that made it.
    tags
        What we say of it: whose it is, and what is in it.
    """

    id: str
    time: datetime
    tags: tuple[str, ...] | None = ()

    @property
    def short(self) -> str:
        """Its name as people write it."""
        return self.id[:SHORT]

    def told(self, name: str) -> str | None:
        """Return what a tag ``name:…`` says."""
        found = [tag.partition(":")[2] for tag in self.tags or () if tag.startswith(f"{name}:")]
        return found[0] if found else None

    @property
    def lake(self) -> str | None:
        """The identity of the lake it is of."""
        return self.told("lake")

    @property
    def files(self) -> int:
        """How many files the lake had."""
        return int(self.told("files") or 0)

    @property
    def bytes(self) -> int:
        """How large they were together."""
        return int(self.told("bytes") or 0)

    @property
    def is_of_the_future(self) -> bool:
        """Whether it claims to be made later than now, by more than clocks differ."""
        return self.time > datetime.now(UTC) + SKEW

    @property
    def has_database(self) -> bool:
        """Whether it holds the database, too."""
        return "database" in (self.tags or ())

    @property
    def is_whole(self) -> bool:
        """Whether all files could be read."""
        return "unreadable" not in (self.tags or ())


def newest(found: Sequence[Snapshot]) -> Snapshot:
    """Return the last backup of some, one of the future only where there is no other."""
    return max(found, key=lambda one: (not one.is_of_the_future, one.time))


@dataclass(frozen=True, slots=True)
class Repository:
    """Backups through restic; `sleep` waits for whoever has locked them [s]."""

    restic: Restic
    settings: Backup
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def address(self) -> str:
        """Where it is, as a message may show it."""
        return shown(self.restic.repository)

    def snapshots(self, lake: str | None = None) -> list[Snapshot]:
        """Return the backups of a lake, or of all lakes, oldest first.

        Raises
        ------
        NoRepositoryError
            If there is no repository.
        BackupError
            If restic refuses.
        """
        tag = TAG if lake is None else f"{TAG},lake:{lake}"
        done = self._patiently(lambda: self.restic.call("snapshots", "--tag", tag))
        found = msgspec.convert(done.messages, list[Snapshot])
        return sorted(found, key=lambda one: one.time)

    def ensure(self, lake: str) -> list[Snapshot]:
        """Return the backups of a lake; make the repository where there is none."""
        try:
            return self.snapshots(lake)
        except NoRepositoryError:
            self.restic.call("init")
            logger.info("made the repository %s", self.address)
            return []

    def choose(self, name: str, lake: str | None) -> Snapshot:
        """Return the backup of that name; the latest of a lake, or of the only one there is.

        Raises
        ------
        NoSnapshotError
            If there is none, or the repository has several lakes and none is named.
        """
        found = self.snapshots()
        if name != LATEST:
            chosen = [one for one in found if one.id.startswith(name)]
            if len(chosen) != 1:
                known = ", ".join(one.short for one in found[-5:]) or "none"
                message = f"{self.address} has no backup {name}: expected one of {known}"
                raise NoSnapshotError(message)
            return chosen[0]
        lakes = {one.lake for one in found}
        if lake is None and len(lakes) > 1:
            last = {one.lake: one.short for one in found}
            message = (
                f"{self.address} has backups of {len(lakes)} lakes: give --snapshot, "
                f"the last of each are {', '.join(last.values())}"
            )
            raise NoSnapshotError(message)
        mine = [one for one in found if lake in {None, one.lake}]
        if not mine:
            of = f" of the lake {lake}" if lake else ""
            message = f"{self.address} has no backup{of}: `backup run` makes one"
            raise NoSnapshotError(message)
        return newest(mine)

    def last_with_database(self, lake: str | None) -> Snapshot | None:
        """Return the last backup of a lake that holds the database, None where none does."""
        found = [one for one in self.snapshots(lake) if one.has_database]
        return newest(found) if found else None

    def add(
        self,
        folder: Path,
        names: Sequence[str],
        tags: Sequence[str],
        *,
        parent: Snapshot | None,
        held: IO[Any],
        copies: bool = False,
    ) -> Done:
        """Back up what is in a folder under some names, and return what restic says of it.

        A file that is as its parent has it is not read; of one that is a copy made anew each time
        the number on the disk differs, and does not count.
        """
        words = [f"--tag={','.join([TAG, *tags])}", f"--host={HOST}", "--ignore-ctime"]
        words += ["--ignore-inode"] if copies else []
        if parent is not None:
            words.append(f"--parent={parent.id}")
        return self._patiently(
            lambda: self.restic.call(
                "backup",
                *words,
                *names,
                folder=folder,
                accept=(DONE, UNREADABLE),
                stall_seconds=self.settings.stall_minutes * 60,
                held=held,
            )
        )

    def restore(self, snapshot: Snapshot, folder: Path, options: Sequence[str]) -> Done:
        """Restore a backup into a folder; with exit code 1 some files, that are named, are not."""

        def call() -> Done:
            words = ("restore", snapshot.id, f"--target={folder}", *options)
            done = self.restic.call(*words, accept=(DONE, FAILED))
            if done.code == FAILED and not items(done):
                raise refusal(done.code, done.said, self.address)
            return done

        return self._patiently(call)

    def files(self, snapshot: str) -> list[tuple[str, int]]:
        """Return path and size [bytes] of every file of a backup, by its id.

        Raises
        ------
        DamagedError
            If the lists of files are damaged.
        """
        done = self._patiently(lambda: self.restic.call("ls", snapshot))
        nodes = (one for one in done.messages if one.get("type") == "file")
        return [(str(one["path"]), int(one.get("size") or 0)) for one in nodes]

    def check(self, subset: str) -> None:
        """Have restic check the repository's books, and read a part of its data, as ``1/4``.

        Raises
        ------
        BackupError
            If something is wrong with them.
        """
        self._patiently(lambda: self.restic.call("check", f"--read-data-subset={subset}"))

    def mark(self, snapshot: str, tag: str) -> None:
        """Say something of a backup; restic gives it a new name."""
        self._patiently(lambda: self.restic.call("tag", f"--add={tag}", snapshot))

    def thin_out(self, lake: str, found: Sequence[Snapshot], *, held: IO[Any]) -> int:
        """Forget the backups of a lake that are too old to be kept, and return how many.

        Where some claim to be of the future nothing is forgotten: by the clock that made them they
        are the last of their days, and would push out those that are right.
        """
        if odd := [one for one in found if one.is_of_the_future]:
            logger.warning(
                "%d backups are of the future (%s): the clock was wrong; nothing is forgotten",
                len(odd),
                odd[-1].time.isoformat(timespec="seconds"),
            )
            return 0
        kept = self.settings
        words = [
            f"--keep-daily={kept.keep_daily}",
            *([f"--keep-weekly={kept.keep_weekly}"] if kept.keep_weekly else []),
            *([f"--keep-monthly={kept.keep_monthly}"] if kept.keep_monthly else []),
        ]
        done = self._patiently(
            lambda: self.restic.call(
                "forget", f"--tag={TAG},lake:{lake}", "--group-by=", *words, "--prune", held=held
            )
        )
        return sum(len(group.get("remove") or ()) for group in done.messages)

    def _patiently(self, call: Callable[[], Done]) -> Done:
        """Call restic; take a stale lock away, and wait for one that is held.

        Raises
        ------
        LockedError
            If it is held for longer than the settings allow; it says by whom.
        """
        deadline: float | None = None
        while True:
            try:
                return call()
            except LockedError:
                self.restic.call("unlock")  # of a process that is no more; never one that lives
                try:
                    return call()
                except LockedError as error:
                    minutes = self.settings.lock_minutes
                    deadline = deadline or time.monotonic() + minutes * 60
                    if time.monotonic() >= deadline:
                        message = f"{error}; waited {minutes:g} minutes (backup.lock_minutes)"
                        raise LockedError(message) from error
                    self.sleep(POLL_SECONDS)
