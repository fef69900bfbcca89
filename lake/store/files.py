"""What is done to files and objects alike: list, measure, publish, remove."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lake.store.lease import lease_of
from lake.store.place import ObjectPlace, Place

ABUNDANT = sys.maxsize  # a bucket is not full
ANEW = "raw/"  # what is staged has a name of its own: there is nothing to look for first
LIVE = "live"
COLLECTOR_LOCK = f"{LIVE}/collect.lock"
LOCKS = "locks"  # of a bucket: beside the ledger they would double what a listing of it takes


class Entry(NamedTuple):
    """A file as a listing has it: its name below the folder, size [bytes], age [Unix ns]."""

    name: str
    size: int
    changed_ns: int


def entries(folder: Place) -> Iterator[Entry]:
    """Yield the files in a folder and below it; none where there is no such folder."""
    if isinstance(folder, ObjectPlace):
        skip = len(folder.key) + 1 if folder.key else 0
        for found in folder.store.below(folder.key):
            yield Entry(found.key[skip:], found.size, int(found.changed_s * 1e9))
    else:
        for name, entry in _names_in(os.fspath(folder), ""):
            with suppress(FileNotFoundError):  # others write and remove meanwhile
                told = entry.stat()
                yield Entry(name, told.st_size, told.st_mtime_ns)


def names(folder: Place) -> Iterator[str]:
    """Yield the names of files in a folder and below it, as seen from it."""
    if isinstance(folder, ObjectPlace):
        yield from (one.name for one in entries(folder))
    else:
        yield from (name for name, _ in _names_in(os.fspath(folder), ""))


def folders(folder: Place) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where there is no such folder."""
    if isinstance(folder, ObjectPlace):
        return folder.store.folders(folder.key)[0]
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def matching(folder: Place, pattern: str) -> list[Place]:
    """Return the files and folders below a folder whose names match a pattern, sorted."""
    return sorted(folder.glob(pattern))


def names_below(folder: Place, depth: int) -> Iterator[tuple[str, ...]]:
    """Yield the parts of the names of files so deep in a folder, sorted.

    By names alone: to make a path of each takes longer than to read a ledger.
    """
    if isinstance(folder, ObjectPlace):
        skip = len(folder.key) + 1 if folder.key else 0
        found = (one.key[skip:] for one in folder.store.below(folder.key))
        told = (tuple(name.split("/")) for name in found)
        yield from sorted(parts for parts in told if len(parts) == depth)
    else:
        yield from _names_below(os.fspath(folder), depth)


def publish_object(place: ObjectPlace, data: bytes) -> str:
    """Put an object by one conditional put, under the lease of its partition where one is held.

    Returns
    -------
    str
        Its tag.

    Raises
    ------
    ConflictError
        If others go on writing it.
    LeaseLostError
        If another process may be writing its partition by now.
    """
    if place.key.startswith(ANEW):
        return place.store.put_new(place.key, data)
    lease = lease_of(lock_of(place))
    return place.store.put(place.key, data, lease.check if lease is not None else None)


def replace_object(place: ObjectPlace, data: bytes, tag: str | None) -> str:
    """Put an object where none is, or in place of the one with that tag, and return its tag.

    Raises
    ------
    ConflictError
        If there is another.
    LeaseLostError
        If another process may be writing its partition by now.
    """
    lease = lease_of(lock_of(place))
    if lease is not None:
        lease.check()
    return place.store.put_if(place.key, data, tag)


def remove(place: Place) -> None:
    """Remove a file, if there is one; an object under the lease of its partition.

    Raises
    ------
    LeaseLostError
        If another process may be writing its partition by now.
    """
    if isinstance(place, ObjectPlace):
        lease = lease_of(lock_of(place))
        place.store.delete(place.key, check=lease.check if lease is not None else None)
    else:
        place.unlink(missing_ok=True)


def remove_all(folder: Place, names: Sequence[str]) -> None:
    """Remove files of a folder that are under nobody's lock, so far as they are there."""
    if isinstance(folder, ObjectPlace):
        folder.store.delete(*((folder / name).key for name in names))
    else:
        for name in names:
            (folder / name).unlink(missing_ok=True)


def move(place: Place, target: Place) -> Place:
    """Give a file another name in the same lake, its folder made where there is none.

    Returns
    -------
    Place
        Where it is now.
    """
    if isinstance(place, ObjectPlace) and isinstance(target, ObjectPlace):
        return place.replace(target)
    if isinstance(place, Path) and isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        return place.replace(target)
    message = f"{place} and {target} are not of one lake"
    raise ValueError(message)


def filled(write: Callable[[BinaryIO], object]) -> bytes:
    """Return what a function writes to a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def free_bytes(place: Place) -> int:
    """Return the free space where a place is, which need not exist yet [bytes]."""
    if isinstance(place, ObjectPlace):
        return ABUNDANT
    while not place.exists():
        place = place.absolute().parent
    return shutil.disk_usage(place).free


def lock_of(place: ObjectPlace) -> ObjectPlace:
    """Return the lock a published object is written under: its partition's, or the collector's."""
    top, _, inside = place.key.partition("/")
    if top == LIVE:
        return ObjectPlace(place.store, COLLECTOR_LOCK)
    name = inside.rpartition(".")[0] or inside
    return ObjectPlace(place.store, f"{LOCKS}/{name}.lock")


def _names_in(folder: str, inside: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the names of files in a folder of this machine and below it."""
    try:
        found = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with found:
        for entry in found:
            if entry.is_dir():
                yield from _names_in(entry.path, f"{inside}{entry.name}/")
            else:
                yield inside + entry.name, entry


def _names_below(folder: str, depth: int) -> Iterator[tuple[str, ...]]:
    for name in _names(folder):
        if depth == 1:
            yield (name,)
        else:
            for parts in _names_below(f"{folder}/{name}", depth - 1):
                yield (name, *parts)


def _names(folder: str) -> list[str]:
    """Return what is in a folder, sorted; nothing where there is none."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  (names, not paths)
    except (FileNotFoundError, NotADirectoryError):
        return []
