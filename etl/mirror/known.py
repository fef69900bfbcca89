"""What both sides had when they were last made the same: kept here, so that nobody has to ask.

A listing of a bucket tells a tag and a size of each object, and a tag is a digest of what was put
for some stores only. So what the store said of each ledger line is kept beside the digest of ours.
It is a memory, and no part of the lake: without it more is asked and read, and the same is done.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from etl.mirror.plan import Pair
from lake.paths import Lake, Marker, work_folder
from lake.store.place import ObjectPlace
from lake.write import publish_bytes

FOLDER = "copies"  # in the lake on this machine


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A partition that both sides had alike."""

    digest: str = ""  # of the ledger line; empty: it was only begun to be sent
    changed_ns: int = 0  # of its file on this machine
    size: int = 0  # likewise [bytes]
    etag: str = ""  # what the store calls it
    checksum: str | None = None  # of the rows, by the line
    files: dict[str, int] = {}  # of each file beside the line, its folder and size
    is_begun: bool = False  # the next line may have been sent since


class _Kept(msgspec.Struct, frozen=True):
    lake: str
    marker: Marker | None = None
    lines: dict[str, Held] = {}
    raw: dict[str, dict[str, int]] = {}  # by folder, for names of folders are long


@dataclass(slots=True)
class Known:
    """What is known of a bucket on this machine.

    Attributes
    ----------
    path
        The file it is kept in.
    lake
        The name of the lake it is of.
    marker
        What the bucket was left to say of itself, None where nobody knows.
    lines
        Partitions that both sides had alike, by name.
    raw
        Sizes of the raw files both sides have [bytes], by name below raw; of one that was begun to
        be sent none that a file can have.
    """

    path: Path
    lake: str
    marker: Marker | None = None
    lines: dict[str, Held] = field(default_factory=dict)
    raw: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, here: Path, there: ObjectPlace, lake: str) -> Self:
        """Return what the lake at a folder knows of a bucket: nothing, where that is of another."""
        found = cls(here / FOLDER / f"{work_folder(there).name}.json", lake)
        try:
            kept = msgspec.json.decode(found.path.read_bytes(), type=_Kept)
        except (FileNotFoundError, msgspec.DecodeError):  # it can be done without
            return found
        if kept.lake == lake:
            found.marker, found.lines = kept.marker, dict(kept.lines)
            found.raw = {
                f"{folder}/{name}": size
                for folder, inside in kept.raw.items()
                for name, size in inside.items()
            }
        return found

    def forget(self) -> None:
        """Know nothing any more."""
        self.marker, self.lines, self.raw = None, {}, {}

    def save(self) -> None:
        """Keep it.

        Raises
        ------
        DiskFullError
            If there is no room.
        NotWritableError
            If the lake's folder cannot be written.
        """
        raw: dict[str, dict[str, int]] = {}
        for path, size in self.raw.items():
            folder, _, name = path.rpartition("/")
            raw.setdefault(folder, {})[name] = size
        publish_bytes(
            msgspec.json.encode(_Kept(self.lake, self.marker, self.lines, raw)), self.path
        )

    def pairs(self, *, is_push: bool) -> dict[str, Pair]:
        """Return the tags of both sides, source first."""
        return {
            name: Pair(held.digest, held.etag, held.is_begun)
            if is_push
            else Pair(held.etag, held.digest, held.is_begun)
            for name, held in self.lines.items()
        }


def lock_of(lake: Lake, there: ObjectPlace) -> Path:
    """Return the file that is locked while a lake is copied to a bucket or from it."""
    return lake.on_disk / FOLDER / f"{work_folder(there).name}.lock"
