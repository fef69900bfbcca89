"""The files of a lake in a bucket as DuckDB asks for them: `fsspec`, without a request too many.

DuckDB joins neighbouring columns by itself and asks for exact ranges, so each is one request. It
opens a file several times in a query, asks for its size and its age and reads its end: all that is
answered by the listing the views were made of, and by the ends that were read then. A file that
another has replaced since is refused by the store, and never mixed.
"""

import io
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from fsspec.spec import AbstractFileSystem

from lake.store.objects import Found, ObjectStore
from lake.store.place import ObjectPlace, Place
from lake.store.reader import ObjectReader

SCHEME = "lake"


def address_of(place: Place) -> str:
    """Return the name of an object as DuckDB gives it to a `LakeFiles`.

    Raises
    ------
    TypeError
        If it is a file of this machine.
    """
    if not isinstance(place, ObjectPlace):
        message = f"{place} is no object of a bucket"
        raise TypeError(message)
    return f"{SCHEME}://{place.key}"


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The objects of a lake, to read, as the store last told this process of them."""

    protocol = SCHEME
    cachable = False  # one a connection

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self._store = store

    def open(self, path: str, mode: str = "rb", **options: Any) -> io.RawIOBase:
        """Return an object to read; it costs no request.

        Raises
        ------
        PermissionError
            If it is to be written.
        """
        if mode != "rb" or options:
            message = f"{path} is of a lake, to be read alone: got mode {mode!r}"
            raise PermissionError(message)
        found = self._found(path)
        return ObjectReader(ObjectPlace(self._store, found.key), seen=found)

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the name, which is no pattern, if there is such an object."""
        return [path] if self.exists(path) else []

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such an object."""
        return self._last(path) is not None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what the store says of an object."""
        found = self._found(path)
        return {"name": path, "size": found.size, "type": "file", "ETag": found.etag}

    def modified(self, path: str) -> datetime:
        """Return when an object was written, to the second; what is left of it is of its tag.

        DuckDB keeps what it knows of a file as long as this stays the same, and two objects of one
        name may be of one second.
        """
        found = self._found(path)
        rest = int.from_bytes(blake2b(found.etag.encode(), digest_size=8).digest()) % 1_000_000
        second = datetime.fromtimestamp(int(found.changed_s), UTC)
        return second + timedelta(microseconds=rest)

    def unstrip_protocol(self, name: str) -> str:
        """Return the name: it has its protocol."""
        return name

    def _found(self, path: str) -> Found:
        if (found := self._last(path)) is None:
            raise FileNotFoundError(path)
        return found

    def _last(self, path: str) -> Found | None:
        """Return what the store said last, or says now where what it said did not hold."""
        key = path.removeprefix(f"{SCHEME}://")
        return self._store.last_seen(key) or self._store.head(key)
