"""Hold a restored lake against the one that lives: every partition, row by checksum, and all raw.

What differs because the living lake went on is newer, and no fault. Its ledger says so: a line
that was written after the backup, or later than the line that was backed up.
"""

import filecmp
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lake.errors import CorruptFileError, LakeFormatError
from lake.ledger import Record, read_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import check_footer, checksum_of
from lake.store.place import Place

RAW = "raw"
WHILE_BACKED_UP_S = 900.0
"""What appeared so shortly before a backup may be in it or not: its files are listed one by one."""
LOOKS = 3
"""How often a partition is read that somebody writes meanwhile."""


@dataclass(slots=True)
class Compared:
    """What a comparison found: how much is the same, what is newer, what is wrong, in words."""

    same: int = 0
    rows: int = 0
    newer: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """What a lake has of a partition: its line, when that was written, and what its file holds."""

    record: Record
    written_s: float
    rows: int
    checksum: str | None
    error: str | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with the file by its line, None if nothing is."""
        if self.error is not None:
            return self.error
        if (self.checksum, self.rows) == (self.record.checksum, self.record.rows):
            return None
        return (
            f"its file has {self.rows:,} rows, checksum {_short(self.checksum)}, and its line says "
            f"{self.record.rows:,}, {_short(self.record.checksum)}"
        )

    def __str__(self) -> str:
        """Return the words a message shows it by."""
        return f"{self.record.rows:,} rows, checksum {_short(self.record.checksum)}"


def compare_partitions(live: Lake, restored: Lake, backed_up_s: float) -> Compared:
    """Return what of the partitions of two lakes is the same, every file of both read.

    Parameters
    ----------
    backed_up_s
        When the backup was made [Unix s].
    """
    found = Compared()
    for one in sorted({*live.partitions(), *restored.partitions()}):
        before, now = held(restored, one), held(live, one)
        _compare_one(found, one, before, now, backed_up_s)
    return found


def compare_raw(live: Lake, restored: Lake, backed_up_s: float) -> Compared:
    """Return what of the raw files of two lakes is the same, byte for byte.

    Files of raw are never changed, but small ones are merged into a new one beside them.
    """
    found = Compared()
    ours, theirs = _raw_files(restored), _raw_files(live)
    late_s = backed_up_s - WHILE_BACKED_UP_S
    for name in sorted(ours | theirs):
        before, now = restored.on_disk / name, live.on_disk / name
        if name in ours and name in theirs:
            if _same_bytes(before, now):
                found.same += 1
            elif now.exists():
                found.faults.append(f"{name}: differs, and raw is never changed")
        elif name in theirs:
            if _written_s(now) > late_s:
                found.newer.append(f"{name}: came after the backup")
            else:
                found.faults.append(f"{name}: is not in the backup")
        elif _has_newer(now.parent, late_s):
            found.newer.append(f"{name}: was merged after the backup")
        else:
            found.faults.append(f"{name}: the lake has lost it")
    return found


def held(lake: Lake, partition: Partition) -> Held | None:
    """Return what a lake has of a partition, its file read; None where it has no line.

    A partition that is written meanwhile is read again.
    """
    found = _held(lake, partition)
    for _ in range(LOOKS):
        if found is None or found.fault is None or _is_as_before(lake, partition, found):
            return found
        found = _held(lake, partition)
    return found


def _compare_one(
    found: Compared, one: Partition, before: Held | None, now: Held | None, backed_up_s: float
) -> None:
    """Add what is to be said of a partition that one of two lakes has, or both."""
    wrong = [
        f"{one}: {where}, {each.fault}"
        for where, each in (("in the backup", before), ("in the lake", now))
        if each is not None and each.fault
    ]
    if wrong:
        found.faults += wrong
    elif before is None and now is not None:
        if now.written_s > backed_up_s - WHILE_BACKED_UP_S:
            found.newer.append(f"{one}: came after the backup, {now}")
        else:
            found.faults.append(f"{one}: is not in the backup; the lake has {now}")
    elif now is None:
        found.faults.append(f"{one}: the lake has lost it; the backup has {before}")
    elif before is not None and _content(before) == _content(now):
        found.same += 1
        found.rows += now.rows
    elif before is not None and now.written_s > before.written_s:
        found.newer.append(f"{one}: revised since, from {before} to {now}")
    else:
        found.faults.append(f"{one}: the backup has {before}; the lake has {now}, and is not newer")


def _held(lake: Lake, partition: Partition) -> Held | None:
    try:
        written_s = _written_s(lake.ledger(partition))
        record = read_record(lake, partition)
    except (CorruptFileError, LakeFormatError) as error:
        return Held(Record(), 0.0, 0, None, str(error))
    if record is None:
        return None
    path = lake.published(record.top, partition)
    try:
        rows, checksum = (check_footer(path), checksum_of(path)) if path.exists() else (0, None)
    except CorruptFileError as error:
        return Held(record, written_s, 0, None, str(error))
    return Held(record, written_s, rows, checksum)


def _is_as_before(lake: Lake, partition: Partition, found: Held) -> bool:
    """Whether the line of a partition is the one that was read."""
    return _written_s(lake.ledger(partition)) == found.written_s


def _content(one: Held) -> tuple[int, str | None]:
    return one.record.rows, one.record.checksum


def _raw_files(lake: Lake) -> set[str]:
    return set(_below(lake.on_disk / RAW, RAW))


def _below(folder: Path, inside: str) -> Iterator[str]:
    """Yield the files of raw in a folder and below it, by their paths in the lake."""
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            yield from _below(entry, f"{inside}/{entry.name}")
        elif not entry.name.endswith((".tmp", ".lock")):
            yield f"{inside}/{entry.name}"


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except FileNotFoundError:
        return False


def _has_newer(folder: Path, since_s: float) -> bool:
    """Whether a file was written into a folder since a moment."""
    return any(_written_s(path) > since_s for path in folder.glob("*.parquet"))


def _written_s(path: Place) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _short(checksum: str | None) -> str:
    return (checksum or "none")[:12]
