"""A place in a lake: a path of this machine, or the name of an object.

An object's place is used like a path where paths can do the same (``/``, `name`, `parent`, `glob`,
`exists`, `read_bytes`, `unlink`), and is none where they cannot: `open` and whatever takes the
path of a file refuse it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import total_ordering
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from lake.store.objects import ObjectStore

SCHEME = "s3"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://")


class Stat(NamedTuple):
    """Size and age of an object, named as those of a file are."""

    st_size: int
    st_mtime: float
    st_mtime_ns: int


@total_ordering
@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """The name of an object of a store, or of a folder of them."""

    store: ObjectStore
    key: str = ""

    def __str__(self) -> str:
        """Return its address."""
        return f"{self.store.url}/{self.key}".rstrip("/")

    def __lt__(self, other: "ObjectPlace") -> bool:
        """Whether it sorts before another, as paths do."""
        return (self.store.url, self._pure.parts) < (other.store.url, other._pure.parts)

    def __truediv__(self, name: "str | PurePosixPath") -> "ObjectPlace":
        """Return the place of that name below it."""
        return self._at(self._pure / name)

    @property
    def _pure(self) -> PurePosixPath:
        return PurePosixPath(self.key)

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """The last part of its name without its ending."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """The ending of its name."""
        return self._pure.suffix

    @property
    def parent(self) -> "ObjectPlace":
        """The folder it is in."""
        return self._at(self._pure.parent)

    def joinpath(self, *names: "str | PurePosixPath") -> "ObjectPlace":
        """Return the place of that name below it."""
        return self._at(self._pure.joinpath(*names))

    def with_name(self, name: str) -> "ObjectPlace":
        """Return the place of another name in the same folder."""
        return self._at(self._pure.with_name(name))

    def with_suffix(self, suffix: str) -> "ObjectPlace":
        """Return the place whose name has another ending."""
        return self._at(self._pure.with_suffix(suffix))

    def relative_to(self, other: "ObjectPlace") -> PurePosixPath:
        """Return its name as seen from a folder above it.

        Raises
        ------
        ValueError
            If it is not below that.
        """
        if other.store != self.store:
            message = f"{self} is not below {other}"
            raise ValueError(message)
        return self._pure.relative_to(other.key)

    def absolute(self) -> "ObjectPlace":
        """Return itself."""
        return self

    def exists(self) -> bool:
        """Whether there is an object, or a folder that has one."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is an object of that name."""
        return bool(self.key) and self.store.head(self.key) is not None

    def is_dir(self) -> bool:
        """Whether there is an object below it."""
        names, found = self.store.folders(self.key)
        return bool(names or found)

    def read_bytes(self) -> bytes:
        """Return the object.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        return self.store.get(self.key)

    def stat(self) -> Stat:
        """Return its size and age.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        if (found := self.store.head(self.key)) is None:
            raise FileNotFoundError(str(self))
        return Stat(found.size, found.changed_s, int(found.changed_s * 1e9))

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the object.

        Raises
        ------
        FileNotFoundError
            If there is none, and that is not all right.
        """
        if not missing_ok and self.store.head(self.key) is None:
            raise FileNotFoundError(str(self))
        self.store.delete(self.key)

    def replace(self, target: "ObjectPlace") -> "ObjectPlace":
        """Give the object another name, in place of what has it; return where it is now."""
        self.store.copy(self.key, target.key)
        self.store.delete(self.key)
        return target

    def glob(self, pattern: str) -> Iterator["ObjectPlace"]:
        """Yield objects and folders below it whose names match, in order; ``**`` is any depth.

        A pattern that ends in ``/`` matches folders alone. All that lies below the part of the
        pattern before its first sign is listed.
        """
        parts = pattern.rstrip("/").split("/")
        plain = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts) - 1)
        top = self.joinpath(*parts[:plain])
        seen = dict.fromkeys(
            inside
            for found in self.store.below(top.key)
            for inside in _matches(
                PurePosixPath(found.key).relative_to(top.key).parts,
                parts[plain:],
                folders_alone=pattern.endswith("/"),
            )
        )
        for inside in sorted(seen):
            yield top.joinpath(*inside)

    def _at(self, pure: PurePosixPath) -> "ObjectPlace":
        return ObjectPlace(self.store, "" if str(pure) == "." else str(pure))


Place = Path | ObjectPlace
"""Where something of a lake lies."""


def place_of(
    root: str | Path,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    lease_seconds: float = 60.0,
    work_dir: Path = Path("work"),
) -> Place:
    """Return the place a user names: a folder, or ``s3://bucket/prefix``.

    Raises
    ------
    ValueError
        If it is the address of no bucket.
    """
    if isinstance(root, Path) or not is_address(root):
        return Path(root)
    told = urlsplit(root) if root.startswith(f"{SCHEME}://") else None
    prefix = "" if told is None else told.path.strip("/")
    is_named = told is not None and _BUCKET.fullmatch(told.netloc) and _is_prefix(prefix)
    if told is None or not is_named or told.query or told.fragment:
        shown = "***" if "@" in root else repr(root)  # a key may stand before it
        message = f"expected s3://bucket/prefix, got {shown}"
        raise ValueError(message)
    store = ObjectStore(told.netloc, prefix, endpoint, region, lease_seconds, work_dir)
    return ObjectPlace(store)


def is_address(root: str) -> bool:
    """Whether a text is an address, be it of a bucket or not, and the name of no folder."""
    return _ADDRESS.match(root) is not None


def _is_prefix(prefix: str) -> bool:
    """Whether a store's client takes it: no part is empty, or leads elsewhere."""
    return not prefix or {"", ".", ".."}.isdisjoint(prefix.split("/"))


def _matches(
    parts: tuple[str, ...], pattern: list[str], *, folders_alone: bool
) -> Iterator[tuple[str, ...]]:
    """Yield the beginnings of a name that match a pattern; a whole name is an object."""
    for count in range(1, len(parts) + 1):
        is_file = count == len(parts)
        if not (is_file and folders_alone) and _match(parts[:count], pattern):
            yield parts[:count]


def _match(parts: tuple[str, ...], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_match(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])
