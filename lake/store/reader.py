"""Read objects by ranges, and keep the ends of Parquet, which say where everything is.

An end is kept by its object's tag: it is asked for once, however many questions are asked.
"""

import io
from collections import OrderedDict
from threading import Lock
from typing import Any

from lake.store.objects import TAIL_BYTES, Found, ObjectStore
from lake.store.place import ObjectPlace

WHOLE_BYTES = 16_000_000  # an object of so many is read at once: a request takes as long as 2 MB
KEPT_BYTES = 64_000_000  # of ends, in one process
HELD_BYTES = 64_000_000  # of what is read twice
LEAST_END = 16_384  # DuckDB asks for so much first, pyarrow for 65,536
_FOOTER = 8  # its length and a magic word stand behind it


class ObjectReader(io.RawIOBase):
    """An object as a file to read: a small one whole, else its end first and the rest by ranges.

    Where it was `seen`, opening it takes no request; one that is opened `twice`, and is small, is
    kept for the second time. All ranges are of one object: where another
    took its place meanwhile, the store refuses.
    """

    def __init__(
        self,
        place: ObjectPlace,
        *,
        whole_bytes: int = WHOLE_BYTES,
        seen: Found | None = None,
        twice: bool = False,
    ) -> None:
        self._place, self._at = place, 0
        if twice and (held := _held.take(place)) is not None:
            self._found, self._tail = held
            return
        if seen is not None:
            self._found, self._tail = seen, _ends.get(place.store, seen)
        elif _is_small(place.store.last_seen(place.key), whole_bytes):
            self._found, self._tail = place.store.get_seen(place.key)
        else:
            self._found, self._tail = end_of(place)
            if len(self._tail) < self.size <= whole_bytes:
                self._tail = self.read_range(0, self.size - len(self._tail)) + self._tail
        if twice and len(self._tail) == self.size:
            _held.put(place, self._found, self._tail)

    @property
    def size(self) -> int:
        """Its size [bytes]."""
        return self._found.size

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def seekable(self) -> bool:
        """Whether any place in it can be read: always."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        end = self.size if size is None or size < 0 else min(self.size, self._at + size)
        data = self.read_range(self._at, end)
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes, and return how many they are."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read_range(self, start: int, end: int) -> bytes:
        """Return bytes ``[start, end)``, without a request where they are at its end.

        Raises
        ------
        ConflictError
            If another object has its name by now.
        """
        if start >= end:
            return b""
        have = self.size - len(self._tail)
        if start >= have:
            return self._tail[start - have : end - have]
        store, key = self._place.store, self._place.key
        return store.get_range(key, start, end, tag=self._found.etag)


def end_of(place: ObjectPlace, seen: Found | None = None) -> tuple[Found, bytes]:
    """Return what the store says of an object and its last bytes: all that says what is in it.

    Where it was `seen`, and its end since, without a request.
    """
    if seen is not None and (kept := _ends.get(place.store, seen)):
        return seen, kept
    guess = TAIL_BYTES if seen is None else min(TAIL_BYTES, max(LEAST_END, seen.size // 200))
    found, tail = place.store.get_tail(place.key, guess)
    wanted = int.from_bytes(tail[-_FOOTER:-4], "little") + _FOOTER
    if len(tail) < wanted <= found.size and tail.endswith(b"PAR1"):
        start, end = found.size - wanted, found.size - len(tail)
        tail = place.store.get_range(place.key, start, end, tag=found.etag) + tail
    _ends.keep(place.store, found, tail[-max(wanted, LEAST_END) :])
    return found, tail


class _Ends:
    """The ends of objects by their tags, those that were asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[ObjectStore, str, str], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, store: ObjectStore, found: Found) -> bytes:
        with self._lock:
            key = (store, found.key, found.etag)
            if key not in self._kept:
                return b""
            self._kept.move_to_end(key)
            return self._kept[key]

    def keep(self, store: ObjectStore, found: Found, tail: bytes) -> None:
        with self._lock:
            key = (store, found.key, found.etag)
            self._bytes += len(tail) - len(self._kept.pop(key, b""))
            self._kept[key] = tail
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])


class _Held:
    """Objects that will be read once more: so many bytes of them, the oldest are let go first."""

    def __init__(self) -> None:
        self._kept: dict[ObjectPlace, tuple[Found, bytes]] = {}
        self._bytes = 0
        self._lock = Lock()

    def put(self, place: ObjectPlace, found: Found, data: bytes) -> None:
        with self._lock:
            before = self._kept.pop(place, None)
            self._bytes += len(data) - (len(before[1]) if before else 0)
            self._kept[place] = found, data
            while self._bytes > HELD_BYTES:
                self._bytes -= len(self._kept.pop(next(iter(self._kept)))[1])

    def take(self, place: ObjectPlace) -> tuple[Found, bytes] | None:
        with self._lock:
            held = self._kept.pop(place, None)
            self._bytes -= len(held[1]) if held else 0
            return held


_ends, _held = _Ends(), _Held()


def _is_small(seen: Found | None, whole_bytes: int) -> bool:
    return seen is not None and seen.size <= whole_bytes
