"""Disks: free bytes and inodes, and whether the lake's file system does what the lake leans on."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation

LEAST_BYTES = 200_000_000
"""Of a disk that holds logs, scratch or a database, and no lake."""
LEAST_INODES = 10_000
GB, MB = 1e9, 1e6
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "ceph", "afs")


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the disk of each folder that is written, and try out the lake's."""
    for folder, of in _disks(situation).items():
        yield from _of_disk(situation, folder, of)
    yield from _of_file_system(situation)


def _disks(situation: Situation) -> dict[Path, list[str]]:
    """Return what lies on each disk, by one folder of it."""
    settings = situation.settings
    folders = {_of_lake(situation): situation.here, "logs": settings.log_dir}
    folders |= {"scratch": Path(tempfile.gettempdir())}
    if settings.db_dir.exists():
        folders["database"] = settings.db_dir.resolve()
    disks: dict[int, tuple[Path, list[str]]] = {}
    for name, folder in folders.items():
        there = existing(folder)
        disks.setdefault(there.stat().st_dev, (there, []))[1].append(name)
    return dict(disks.values())


def _of_lake(situation: Situation) -> str:
    return "work" if situation.is_in_bucket else "lake"


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _of_disk(situation: Situation, folder: Path, of: list[str]) -> Iterator[Finding]:
    stats = os.statvfs(folder)
    free, total = stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize
    least = (
        situation.settings.collect.least_free_gb * GB if _of_lake(situation) in of else LEAST_BYTES
    )
    told = f"{gigabytes(free)} of {gigabytes(total)} free at {folder} ({', '.join(of)})"
    if free < least:
        what = f"{told}, {gigabytes(least)} are the least"
        yield found("disk.full", what, folder=folder)
    if stats.f_files and stats.f_favail < LEAST_INODES:
        what = f"{stats.f_favail:,} of {stats.f_files:,} inodes free at {folder} ({', '.join(of)})"
        yield found("disk.inodes", what, folder=folder)
    elif free >= least:
        yield well("disk", told)


def gigabytes(count: float) -> str:
    """Return bytes as people read them."""
    return f"{count / GB:,.1f} GB" if count >= GB else f"{count / MB:,.0f} MB"


def _of_file_system(situation: Situation) -> Iterator[Finding]:
    root = situation.here
    if situation.is_in_bucket and not root.exists():
        return  # made by the first run that needs it
    if not root.is_dir() or not os.access(root, os.W_OK | os.X_OK):
        yield unseen("files", f"{root} cannot be written")
        return
    kind = kind_of(root)
    if kind.startswith(NETWORK):
        yield found("files.network", f"{root} lies on {kind}")
    with tempfile.TemporaryDirectory(dir=root, prefix=".doctor-", suffix=".tmp") as name:
        try:
            is_alone = _rename_and_lock(Path(name))
        except OSError as error:
            if error.errno in NO_SPACE:
                yield unseen("files", f"{root} has no space left to try it out")
                return
            yield found("files.atomic", f"{root} ({kind}): {error}")
            return
    if is_alone:
        yield well("files", f"{root} ({kind}) renames, syncs and locks")
    else:
        yield found("files.lock", f"{root} ({kind}) gave one lock to two holders")


def _rename_and_lock(folder: Path) -> bool:
    """Put a file in another's place, durably; say whether a lock has one holder at a time."""
    old, new = folder / "old", folder / "new"
    for path in (old, new):
        with path.open("wb") as file:
            file.write(path.name.encode())
            file.flush()
            os.fsync(file.fileno())
    new.replace(old)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if old.read_bytes() != b"new":
        message = "a file that was put in another's place is not there"
        raise OSError(message)
    with old.open("rb") as first, old.open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def kind_of(folder: Path) -> str:
    """Return the kind of file system a folder lies on, as the kernel calls it."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mounted, _, rest = line.partition(" - ")
        place = mounted.split()[4].encode().decode("unicode_escape")
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, rest.split()[0]
    return kind
