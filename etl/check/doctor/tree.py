"""The folder of a lake on a disk: its format, what killed processes left, and who holds locks."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from etl.check.doctor.disk import existing, gigabytes
from etl.check.doctor.finding import Finding, found, well
from etl.check.doctor.locks import COLLECTS, holder, holders
from etl.check.doctor.people import owner, user
from etl.check.doctor.situation import Situation
from etl.when import format_moment
from lake.errors import LakeFormatError
from lake.paths import FORMAT, MARKER, format_of

LOOK_S = 5.0
"""Seconds the walk through all files may take."""
LEFT_S = 3_600
"""Age from which a temporary file is of nobody who still writes it."""
HELD_S = 6 * 3_600
MONTH_S = 30 * 86_400


@dataclass
class Tree:
    """What a walk through a lake met."""

    files: int = 0
    size: int = 0
    size_of_month: int = 0
    is_whole: bool = True
    leftovers: list[Path] = field(default_factory=list)
    locks: list[Path] = field(default_factory=list)
    linked: set[int] = field(default_factory=set)


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the folder, its marker, its files and its locks."""
    root = situation.lake.root
    if not isinstance(root, Path):
        return  # store.py looks at it
    if not root.exists():
        yield found("lake.none", f"{root} is not there", folder=root)
        return
    if not root.is_dir() or not os.access(root, os.W_OK | os.X_OK):
        what = f"{root} is no folder that {user()} may write: it is of {owner(root)}"
        yield found("lake.unwritable", what, folder=root, user=user())
        return
    if not any(root.iterdir()):
        yield found("lake.none", f"{root} is empty", folder=root)
        return
    yield from marker(situation)
    tree = _walk(root, situation.now_ms / 1000)
    yield _size(tree, root)
    yield from _month(tree, root, situation.now_ms / 1000)
    yield from _leftovers(tree, root)
    yield from _locks(tree, situation.now_ms / 1000)


def marker(situation: Situation) -> Iterator[Finding]:
    """Look at the lake's format."""
    root = situation.lake.root
    if not (root / MARKER).exists():
        yield found("lake.marker", f"{root} has no {MARKER}")
        return
    try:
        held = format_of(situation.lake)
    except LakeFormatError as error:
        yield found("lake.format", str(error))
        return
    older = "" if held == FORMAT else f", brought to {FORMAT} by the next run that writes"
    yield well("lake", f"{root} has format {held}{older}")


def _walk(root: Path, now: float) -> Tree:
    tree, end, folders = Tree(), time.monotonic() + LOOK_S, [str(root)]
    while folders:
        if time.monotonic() > end:
            tree.is_whole = False
            break
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".doctor-"):  # ours, of this moment
                        folders.append(entry.path)
                else:
                    _note(tree, entry, now)
    return tree


def _note(tree: Tree, entry: os.DirEntry[str], now: float) -> None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # published, or merged with others, since
        return
    if stat.st_nlink > 1:  # a backup that runs links every file: it takes its room once
        if stat.st_ino in tree.linked:
            return
        tree.linked.add(stat.st_ino)
    tree.files += 1
    tree.size += stat.st_size
    if now - stat.st_mtime < MONTH_S:
        tree.size_of_month += stat.st_size
    if entry.name.endswith(".tmp") and now - stat.st_mtime > LEFT_S:
        tree.leftovers.append(Path(entry.path))
    elif entry.name.endswith(".lock"):
        tree.locks.append(Path(entry.path))


def _size(tree: Tree, root: Path) -> Finding:
    least = "" if tree.is_whole else f"at least, as far as {LOOK_S:g} s went: "
    return well("lake", f"{least}{tree.files:,} files, {gigabytes(tree.size)} in {root}")


def _month(tree: Tree, root: Path, now: float) -> Iterator[Finding]:
    """Hold free space against the last month; of a lake that is younger, that says nothing."""
    marker = root / MARKER
    if not marker.exists() or now - marker.stat().st_mtime < MONTH_S:
        return
    stats = os.statvfs(existing(root))
    free = stats.f_bavail * stats.f_frsize
    if free < tree.size_of_month:
        what = f"{gigabytes(free)} free, {gigabytes(tree.size_of_month)} were written in 30 days"
        yield found("disk.month", what, folder=root)


def _leftovers(tree: Tree, root: Path) -> Iterator[Finding]:
    if tree.leftovers:
        count, first = len(tree.leftovers), min(tree.leftovers)
        what = f"{count} file{'s' * (count > 1)} older than an hour, as {first}"
        yield found("lake.leftovers", what, folder=root)


def _locks(tree: Tree, now: float) -> Iterator[Finding]:
    held_by = holders()
    held = [(path, pid) for path in tree.locks if (pid := holder(path, held_by)) is not None]
    for path, pid in held:
        since = path.stat().st_mtime  # who takes a lock writes its number there
        if now - since > HELD_S and path.name != COLLECTS:
            moment = format_moment(round(since * 1000))
            yield found("lake.lock", f"process {pid} holds {path} since {moment}", pid=pid)
    if held:
        pids = ", ".join(map(str, sorted({pid for _, pid in held})))
        yield well("lake", f"{len(held)} lock{'s' * (len(held) > 1)} held, by process {pids}")
