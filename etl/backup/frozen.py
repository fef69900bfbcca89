"""A lake as it was at one moment, while others go on writing it: a tree of hard links.

Whatever is published replaces its file by a rename, so a link keeps the file as it was. What is
linked when is chosen so that nothing falls between two places: journals before the raw they become,
a ledger line together with what it vouches for, raw last, so that it has all that clean was made
of. A partition somebody is writing is looked at again until its line and its file agree.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lake.errors import CorruptFileError, LakeFormatError
from lake.ledger import read_record
from lake.operations import FOLDER as OPERATIONS
from lake.partition import Partition
from lake.paths import EMPTY, MARKER, TOPS, Lake
from lake.read import checksum_of
from lake.write import disk_errors

FOLDER = "backup"  # in the lake: links reach no other disk
TREE, LAKE, DATABASE = "tree", "lake", "database"
LEFT_OUT = (".lock", ".tmp")
LOOKS, PAUSE_SECONDS = 20, 0.25
"""How often a partition that is being written is looked at; publishing takes a second."""
_OF_A_PARTITION = (Lake.ledger, Lake.clean, Lake.derived, Lake.quarantine)
VANISHING = 50  # a folder whose files are merged is listed again at most so often


@dataclass(slots=True)
class Frozen:
    """What was linked.

    Attributes
    ----------
    root
        The folder it stands in.
    files, bytes
        How many files, and how large together.
    copied
        How many of them could not be linked, and are copies.
    unreadable
        Files and folders of others that we may not read, by their paths in the lake.
    doubted
        Partitions that were written all the while, whose line does not vouch for their file; a
        restore makes them again.
    """

    root: Path
    files: int = 0
    bytes: int = 0
    copied: int = 0
    unreadable: list[str] = field(default_factory=list)
    doubted: list[Partition] = field(default_factory=list)

    def add(self, source: str, target: str) -> None:
        """Link one file; where there is one already, it stays; one we may not read is named.

        Raises
        ------
        FileNotFoundError
            If it is gone by now.
        """
        size = os.stat(source).st_size  # noqa: PTH116  (many thousands: no path is made of each)
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError:  # no folder yet, a file system without links, or another's file
            if not self._add_otherwise(Path(source), Path(target)):
                return
        self.files += 1
        self.bytes += size

    def _add_otherwise(self, source: Path, target: Path) -> bool:
        """Link or copy one file into a folder that may be missing; return whether it could be."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            if source.exists() and not os.access(source, os.R_OK):
                self.skip(target)
                return False
            shutil.copy2(source, target)
            self.copied += 1
        return True

    def skip(self, target: Path) -> None:
        """Name what cannot be read by its path in the lake, once."""
        if (name := str(target.relative_to(self.root / LAKE))) not in self.unreadable:
            self.unreadable.append(name)

    def drop(self, target: Path) -> None:
        """Take a link away again, where there is one."""
        with suppress(FileNotFoundError):
            size = target.stat().st_size
            target.unlink()
            self.files -= 1
            self.bytes -= size


@contextmanager
def frozen(lake: Lake, before: Callable[[Path], None] | None = None) -> Iterator[Frozen]:
    """Yield a lake's files as they are now, and take the links away in the end.

    Parameters
    ----------
    lake : Lake
        It may be written meanwhile. Only one process at a time may freeze it.
    before : callable, optional
        Is given the root and may put something beside the lake, before the lake is looked at.

    Raises
    ------
    DiskFullError
        If there is no room.
    NotWritableError
        If the lake's folder cannot be written.
    NotOnDiskError
        If the lake lies in a bucket.
    """
    root = lake.on_disk / FOLDER / TREE
    thaw(lake)
    try:
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        if before is not None:
            before(root)
        with disk_errors(root):
            tree = Frozen(root)
            _freeze(lake, tree)
        yield tree
    finally:
        thaw(lake)


def thaw(lake: Lake) -> None:
    """Take away the links, also those that a killed backup left.

    Folders stay for the next time: to remove one takes some disks milliseconds.

    Raises
    ------
    NotWritableError
        If they are somebody else's.
    """
    root = lake.on_disk / FOLDER / TREE
    with disk_errors(root):
        for folder, _, names in os.walk(root):
            for name in names:
                Path(folder, name).unlink(missing_ok=True)


def _freeze(lake: Lake, tree: Frozen) -> None:
    """Link everything, in the order that loses nothing."""
    root, top_of = lake.on_disk, tree.root / LAKE
    to = Lake(top_of)
    for name in ("journal", "live"):
        _link(tree, root / name, top_of / name)
    for partition in lake.partitions():
        _link_partition(lake, to, partition, tree)
    for top in ("quarantine", *TOPS):  # what no line vouches for

        def has_no_line(path: Path, top: str = top) -> bool:
            inside = path.relative_to(top_of / top).with_suffix(".json")
            return not (top_of / "ledger" / inside).exists()

        _link(tree, root / top, top_of / top, has_no_line)
    for name in ("raw", OPERATIONS, EMPTY):
        _link(tree, root / name, top_of / name)
    if (root / MARKER).exists():
        tree.add(str(root / MARKER), str(top_of / MARKER))
    for folder, folders, files in os.walk(tree.root, topdown=False):
        if not files and not any(Path(folder, name).exists() for name in folders):
            Path(folder).rmdir()  # of what the lake has no more


def _link_partition(lake: Lake, to: Lake, partition: Partition, tree: Frozen) -> None:
    """Link a partition's line, rows and rejected rows, as one moment had them.

    Rows are published before the line. So a line is never newer than rows that are linked after it,
    and where the rows are not older than the line, they may be those of the next one.
    """
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        for path in _OF_A_PARTITION:
            if look:
                tree.drop(tree.root / LAKE / to.inside(path(to, partition)))
            with suppress(FileNotFoundError):
                tree.add(str(path(lake, partition)), str(path(to, partition)))
        if not to.ledger(partition).exists() or _is_older(to, partition) or _agrees(to, partition):
            return
    tree.doubted.append(partition)


def _is_older(lake: Lake, partition: Partition) -> bool:
    """Whether all rows of a partition were written before its line."""
    line = lake.ledger(partition).stat().st_mtime_ns
    rows = [lake.clean(partition), lake.derived(partition), lake.quarantine(partition)]
    return all(path.stat().st_mtime_ns < line for path in rows if path.exists())


def _agrees(lake: Lake, partition: Partition) -> bool:
    """Whether the line vouches for the rows: it is read, for somebody was writing them."""
    try:
        record = read_record(lake, partition)
        if record is None:
            return False
        path = lake.published(record.top, partition)
        return record.checksum == (checksum_of(path) if path.exists() else None)
    except (CorruptFileError, LakeFormatError):
        return False


def _everything(_path: Path) -> bool:
    return True


def _link(
    tree: Frozen, source: Path, target: Path, is_wanted: Callable[[Path], bool] = _everything
) -> None:
    """Link a folder and all below it; what is linked already stays.

    A merge publishes the large file before it takes the small ones away, so whoever misses a small
    one finds its rows when listing again.
    """
    for _ in range(VANISHING):
        if not _link_once(tree, source, target, is_wanted):
            return


def _link_once(tree: Frozen, source: Path, target: Path, is_wanted: Callable[[Path], bool]) -> bool:
    """Link what is in a folder now; return whether something vanished meanwhile."""
    vanished = False
    try:
        entries = sorted(os.scandir(source), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        tree.skip(target)
        return False
    for entry in entries:
        if entry.is_dir():
            _link(tree, source / entry.name, target / entry.name, is_wanted)
        elif not entry.name.endswith(LEFT_OUT) and is_wanted(target / entry.name):
            try:
                tree.add(entry.path, f"{target}/{entry.name}")
            except FileNotFoundError:
                vanished = True
    return vanished
