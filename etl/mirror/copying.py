"""Copy one partition: what it vouches for first, then its line, then away with what is no more.

The target's partition is locked, and so is the source's where it lies on this machine. In a bucket
that may be read only nobody is kept from writing: what comes from there is held against its line.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Condition

from etl.mirror.known import Held, Known
from etl.mirror.plan import Line
from etl.mirror.sides import KINDS, RAW, beside, digest_of, line_of, partition_of
from lake.errors import ConflictError, CorruptFileError
from lake.ledger import Record, decode_record
from lake.lock import Wait, locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import withdraw
from lake.read import check_readable, checksum_in
from lake.store.files import remove, replace_object
from lake.store.place import ObjectPlace, Place
from lake.write import publish_bytes

IN_MEMORY = 256_000_000  # of all files on their way [bytes]; one that is larger goes alone

WRITTEN = "it was written meanwhile"


class MovedError(Exception):
    """A side is not what it was when the plan was made: it is to be made anew."""


@dataclass(slots=True)
class Room:
    """How much may be in memory at once."""

    left: int = IN_MEMORY
    _freed: Condition = field(default_factory=Condition)

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until there is room for so many bytes, and hold it."""
        size = min(size, IN_MEMORY)
        with self._freed:
            self._freed.wait_for(lambda: self.left >= size)
            self.left -= size
        try:
            yield
        finally:
            with self._freed:
                self.left += size
                self._freed.notify_all()


@dataclass(frozen=True, slots=True)
class Sent:
    """What went over."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Sent") -> "Sent":
        """Return the sum of both."""
        return Sent(self.files + other.files, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies between a lake on this machine and a bucket.

    Attributes
    ----------
    sizes
        Of the files beside the lines of the source [bytes], by name below its root.
    """

    source: Lake
    target: Lake
    known: Known
    wait: Wait
    sizes: Mapping[str, int]
    room: Room = field(default_factory=Room)

    @property
    def is_push(self) -> bool:
        """Whether the bucket is the target."""
        return isinstance(self.target.root, ObjectPlace)

    def raw(self, name: str, size: int, *, is_new: bool) -> Sent:
        """Copy a raw file, by its name below raw.

        Raises
        ------
        CorruptFileError
            If it is damaged, and would take the place of the target's.
        MovedError
            If it was merged with others meanwhile.
        """
        with self.room.taken(size):
            source, place = self.source.root / RAW / name, self.target.root / RAW / name
            data = _read(source)
            if not (is_new and isinstance(place, ObjectPlace) and _is_created(place, data)):
                if not is_new and place.is_file():
                    check_readable(data, source)
                publish_bytes(data, place)
        return Sent(1, len(data))

    def partition(self, name: str, ours: Line, there: Line | None) -> tuple[Held, Sent]:
        """Make a partition of the target what the source's is; return what both have now.

        Raises
        ------
        ConflictError
            If another process writes the target's without its lock.
        MovedError
            If the source or the target is not what it was.
        PartitionBusyError
            If another process writes one of them and is not waited for.
        """
        with self._both_held(partition_of(name)):
            data, tag = _line(self.source, name)
            if tag != ours.tag or not _is_as_seen(self.target, name, there):
                raise MovedError(WRITTEN)
            record = decode_record(line_of(self.source, name), data)
            sent, files = self._beside(name, record, there)
            etag = self._put_line(name, data, there) or tag
            for kind in self._gone(name, files, there):
                remove(beside(self.target, kind, name))
            return self._held(name, data, etag, record, files), Sent(1, len(data)) + sent

    def withdraw(self, name: str, there: Line) -> None:
        """Take a partition away from the target, its line first.

        Raises
        ------
        MovedError
            If the target is not what it was.
        PartitionBusyError
            If another process writes it and is not waited for.
        """
        with self._both_held(partition_of(name)):
            if line_of(self.source, name).is_file() or not _is_as_seen(self.target, name, there):
                raise MovedError(WRITTEN)
            withdraw(self.target, partition_of(name))

    @contextmanager
    def _both_held(self, one: Partition) -> Iterator[None]:
        with ExitStack() as held:
            if self.is_push:
                held.enter_context(locked(self.source, [one], wait=self.wait))
            held.enter_context(locked(self.target, [one], wait=self.wait))
            yield

    def _beside(self, name: str, record: Record, there: Line | None) -> tuple[Sent, dict[str, int]]:
        """Copy the files a line vouches for, but rows that are the target's already."""
        before = self._as_left(name, there)
        sent, files = Sent(), dict[str, int]()
        for kind in KINDS:
            size = self.sizes.get(f"{kind}/{name}.parquet")
            if size is None:
                continue
            files[kind] = size
            if kind == record.top and _has_rows(before, record, kind, size):
                continue
            with self.room.taken(size):
                place = beside(self.source, kind, name)
                data = _read(place)
                if kind == record.top and (there is not None or not self.is_push):
                    _check(data, record, place)
                self._put_beside(kind, name, data, is_new=there is None)
            files[kind] = len(data)
            sent += Sent(1, len(data))
        return sent, files

    def _put_beside(self, kind: str, name: str, data: bytes, *, is_new: bool) -> None:
        """Put a file of the target; what a killed run left where no line is is replaced."""
        place = beside(self.target, kind, name)
        if is_new and isinstance(place, ObjectPlace):
            if _is_created(place, data):
                return
            if line_of(self.target, name).is_file():
                raise MovedError(WRITTEN)
        publish_bytes(data, place)

    def _as_left(self, name: str, there: Line | None) -> Held | None:
        """Return what is known of a partition of the target, None if others wrote it since."""
        held = self.known.lines.get(name)
        if held is None or there is None:
            return None
        return held if there.tag == (held.etag if self.is_push else held.digest) else None

    def _gone(self, name: str, files: Mapping[str, int], there: Line | None) -> list[str]:
        """Return of which kinds the target may have a file and the source has none."""
        if there is None:
            return []
        held = self._as_left(name, there)
        may_have = KINDS if held is None else held.files
        return [kind for kind in may_have if kind not in files]

    def _put_line(self, name: str, data: bytes, there: Line | None) -> str | None:
        """Put a line; return what a store calls it by, None where it lies on this machine."""
        place = line_of(self.target, name)
        if isinstance(place, ObjectPlace):
            return replace_object(place, data, there.tag if there is not None else None)
        publish_bytes(data, place)
        return None

    def _held(
        self, name: str, data: bytes, etag: str, record: Record, files: dict[str, int]
    ) -> Held:
        told = line_of(self.source if self.is_push else self.target, name).stat()
        return Held(digest_of(data), told.st_mtime_ns, len(data), etag, record.checksum, files)


def _is_created(place: ObjectPlace, data: bytes) -> bool:
    """Put an object where none is; return whether it is the one that is there now."""
    try:
        replace_object(place, data, None)
    except ConflictError:
        return False
    return True


def _has_rows(before: Held | None, record: Record, kind: str, size: int) -> bool:
    """Whether the target has the rows of a line already, by their checksum."""
    return (
        before is not None and before.checksum == record.checksum and before.files.get(kind) == size
    )


def _read(place: Place) -> bytes:
    try:
        return place.read_bytes()
    except FileNotFoundError as error:
        message = f"{place} is gone"
        raise MovedError(message) from error


def _line(lake: Lake, name: str) -> tuple[bytes, str]:
    """Return a line of the source, and its tag."""
    place = line_of(lake, name)
    if isinstance(place, ObjectPlace):
        try:
            found, data = place.store.get_seen(place.key)
        except FileNotFoundError as error:
            raise MovedError(WRITTEN) from error
        return data, found.etag
    data = _read(place)
    return data, digest_of(data)


def _is_as_seen(lake: Lake, name: str, there: Line | None) -> bool:
    """Whether a line of the target is the one the plan was made by.

    One that is not there is not asked for in a bucket: what is put there is refused if it is.
    """
    place = line_of(lake, name)
    if isinstance(place, ObjectPlace):
        return there is None or there.tag == place.store.etag(place.key)
    try:
        tag = digest_of(place.read_bytes())
    except FileNotFoundError:
        return there is None
    return there is not None and there.tag == tag


def _check(data: bytes, record: Record, place: Place) -> None:
    """Refuse rows the line does not vouch for: somebody writes them, or they are damaged."""
    try:
        found = checksum_in(data, place)
    except CorruptFileError as error:
        raise MovedError(str(error)) from error
    if found != record.checksum:
        message = (
            f"{place}: content checksum {found}, and the ledger says {record.checksum}; unless "
            "somebody writes it, `replay` or `compute` there makes it again"
        )
        raise MovedError(message)
