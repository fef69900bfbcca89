"""Send what a look found, until nobody wrote meanwhile.

Raw goes first, then partitions, each with its line last; what the source no longer has goes away in
the end. So at any moment, also after a kill, each line of the copy has what it names beside it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from etl.errors import UsageError
from etl.mirror.copying import Copier, MovedError, Sent
from etl.mirror.known import Known
from etl.mirror.look import AT_ONCE, Ask, Look, look, note
from etl.mirror.place import Ends
from etl.mirror.report import CopyReport
from etl.mirror.sides import RAW, partition_of
from etl.progress import Progress
from lake.errors import CorruptFileError, DiskFullError, PartitionBusyError
from lake.ledger import records
from lake.store.files import free_bytes, remove

T = TypeVar("T")
logger = logging.getLogger(__name__)
ROUNDS, PAUSE_SECONDS = 3, 1.0
"""How often both sides are looked at where others write meanwhile."""
SAVE_SECONDS = 5.0
MANY = 10
"""Of partitions that are gone: if they are most of all, too, they were lost, not withdrawn."""


@dataclass(slots=True)
class Rounds:
    """Copies between two ends, once."""

    ends: Ends
    known: Known
    progress: Progress
    ask: Ask
    report: CopyReport
    _late: dict[str, str] = field(default_factory=dict)
    _damaged: dict[str, CorruptFileError] = field(default_factory=dict)
    _saved: float = field(default_factory=time.monotonic)

    def plan_only(self) -> None:
        """Say what would be copied."""
        found = look(self.ends, self.known, self.ask, is_new=self.ends.before is None)
        if not found.is_same:
            self.ends.confirm()
        self._refuse_theirs(found)
        chosen, report = {*found.plan.send}, self.report
        raw = [found.source_raw[name] for name in found.raw]
        beside = [
            size
            for path, size in found.sizes.items()
            if path.partition("/")[2].removesuffix(".parquet") in chosen
        ]
        report.dry_run, report.raw_files, report.partitions = True, len(raw), len(chosen)
        report.removed, report.unchanged = len(found.plan.remove), len(found.plan.same)
        report.files, report.bytes = len(raw) + len(beside) + len(chosen), sum(raw) + sum(beside)

    def run(self) -> None:
        """Copy, and look again as long as others write meanwhile.

        Raises
        ------
        CorruptFileError
            If raw of the source is damaged that is whole in the target; the rest is copied.
        PartitionBusyError
            If they do all the while; what they do not write is copied.
        """
        for number in range(ROUNDS):
            if number:
                time.sleep(PAUSE_SECONDS)
            is_new = self.ends.before is None and not number
            found = look(self.ends, self.known, self.ask, is_new=is_new)
            if not found.is_same or self.ends.before != self.ends.after:
                self.ends.confirm()
            self._refuse_theirs(found)
            if not number:
                self.report.unchanged = len(found.plan.same)
                self._check_room(found)
                self.ends.begin()
            note(self.ends, self.known, found)
            self._copy(found)
            if not self._late:
                self.ends.finish()
                self._keep()
                break
        else:
            self._refuse_late()
        for _, error in sorted(self._damaged.items()):
            raise error

    def _refuse_late(self) -> None:
        first, why = min(self._late.items())
        message = (
            f"{len(self._late)} partitions of {self.ends.source.root} are not copied, the first is "
            f"{partition_of(first)}: {why}; run the same command again"
        )
        raise PartitionBusyError(message)

    def _keep(self) -> None:
        """Keep what a bucket was left to say of itself."""
        if self.ends.is_push and self.known.marker != self.ends.after:
            self.known.marker = self.ends.after
            self.known.save()

    def _refuse_theirs(self, found: Look) -> None:
        """Refuse to overwrite what only the target has.

        Raises
        ------
        UsageError
            If it has any.
        """
        if theirs := found.plan.theirs:
            back = "pull" if self.ends.is_push else "push"
            message = (
                f"{self.ends.target.root} has {len(theirs)} partitions that were written there and "
                f"are not in {self.ends.source.root}, the first is {partition_of(theirs[0])}: "
                f"{back} them first, or give --force to lose them (if both were written, only that)"
            )
            raise UsageError(message)
        gone, held = len(found.plan.remove), len(found.target)
        if not self.ask.force and gone > MANY and gone * 2 > held:
            back = "pull" if self.ends.is_push else "push"
            message = (
                f"{self.ends.source.root} has no longer {gone} of the {held} partitions of "
                f"{self.ends.target.root}: {back} to have them back, or give --force to withdraw "
                "them there, too"
            )
            raise UsageError(message)

    def _check_room(self, found: Look) -> None:
        needed = sum(found.source_raw[name] for name in found.raw) + sum(found.sizes.values())
        if needed > free_bytes(self.ends.target.root):
            raise DiskFullError(self.ends.target.root, needed)

    def _copy(self, found: Look) -> None:
        """Send what a look found; partitions that somebody writes are late."""
        self._late.clear()
        copier = Copier(self.ends.source, self.ends.target, self.known, self.ask.wait, found.sizes)
        try:
            with _pool() as pool:
                if self._all_raw(pool, copier, found):
                    self._all_partitions(pool, copier, found)
                    self._take_away(pool, copier, found)
        finally:
            self.known.save()

    def _all_raw(self, pool: ThreadPoolExecutor, copier: Copier, found: Look) -> bool:
        """Send raw; return whether all of it was there still."""

        def send(name: str) -> Sent:
            is_new = name not in found.target_raw
            return copier.raw(name, found.source_raw[name], is_new=is_new)

        for name, done in self._each(pool, "raw files", found.raw, send):
            try:
                self._count(done.result())
            except MovedError as error:
                self._late = dict.fromkeys(found.plan.send or [name], str(error))
                return False
            except CorruptFileError as error:
                self._damaged[name] = error
                continue
            self.known.raw[name] = found.source_raw[name]
            self.report.raw_files += 1
        return True

    def _all_partitions(self, pool: ThreadPoolExecutor, copier: Copier, found: Look) -> None:
        sent = self._each(
            pool,
            "partitions",
            found.plan.send,
            lambda name: copier.partition(name, found.source[name], found.target.get(name)),
        )
        for name, done in sent:
            try:
                self.known.lines[name], amount = done.result()
            except (MovedError, PartitionBusyError) as error:
                self._late[name] = str(error)
                self.known.lines[name] = msgspec.structs.replace(
                    self.known.lines[name], is_begun=False
                )
            else:
                self.report.partitions += 1
                self._count(amount)

    def _take_away(self, pool: ThreadPoolExecutor, copier: Copier, found: Look) -> None:
        """Remove what the source no longer has, once all lines are there that do without it."""
        if self._late:
            return
        gone = self._each(
            pool,
            "withdrawn",
            found.plan.remove,
            lambda name: copier.withdraw(name, found.target[name]),
        )
        for name, done in gone:
            try:
                done.result()
            except (MovedError, PartitionBusyError) as error:
                self._late[name] = str(error)
            else:
                self.known.lines.pop(name, None)
                self.report.removed += 1
        raw = self.ends.target.root / RAW
        old = found.old_raw if self.ask.force else self._not_named(found.old_raw)
        for name, done in self._each(pool, "old raw", old, lambda one: remove(raw / one)):
            done.result()
            self.known.raw.pop(name, None)

    def _not_named(self, names: Sequence[str]) -> list[str]:
        """Return of some raw files those that no line names: the source lost the others."""
        if not names:
            return []
        named = {_last(one) for _, record in records(self.ends.here) for one in record.segments}
        if lost := [name for name in names if _last(name) in named]:
            logger.warning(
                "%s has lost %d raw files that its ledger names, the first is %s: %s keeps them, "
                "and `%s --relist` brings them back",
                self.ends.source.root, len(lost), lost[0], self.ends.target.root,
                "pull" if self.ends.is_push else "push",
            )  # fmt: skip
        return [name for name in names if _last(name) not in named]

    def _each(
        self,
        pool: ThreadPoolExecutor,
        what: str,
        names: Sequence[str],
        work: Callable[[str], T],
    ) -> Iterator[tuple[str, "Future[T]"]]:
        """Yield what was done, one by one, keeping from time to time what is known."""
        if names:
            self.progress.expect(what, len(names))
            self.known.save()
        futures = {pool.submit(work, name): name for name in names}
        for done in as_completed(futures):
            self.progress.advance(what)
            yield futures[done], done
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.known.save()
                self._saved = time.monotonic()

    def _count(self, sent: Sent) -> None:
        self.report.files += sent.files
        self.report.bytes += sent.bytes


def _last(name: str) -> str:
    return name.rpartition("/")[2]


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Yield threads that begin nothing more once the block is left."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
