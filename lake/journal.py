"""Write ahead what comes over a socket, so that a killed process loses half a second of it.

A journal is an Arrow IPC stream that grows by one batch a flush; each is on disk when `write`
returns. What a killed process was writing is cut off, or passed over when the journal is read.
"""

import mmap
import os
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lake.frame import batch_frame, decode, frames, schema_frame
from lake.paths import Lake
from lake.write import disk_errors, fsync_folder

SCHEMA = pa.schema(
    [
        pa.field("received_us", pa.int64(), nullable=False),
        pa.field("connection", pa.int32(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("message", pa.binary(), nullable=False),
    ]
)
BATCH_RECORDS = 16_384
BATCH_BYTES = 64_000_000

Message = tuple[int, int, str, str, bytes]
"""When it was received [µs], by which connection, family, channel, and the bytes as they came."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What of a journal cannot be read [bytes]."""

    inside: int  # before something that can: the disk's doing
    torn: int  # at the end: what a process was writing when it was killed


class Journal:
    """A journal that is being written; make one with `Journal.open`.

    `append` belongs to the event loop, `write` to one thread at a time beside it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.bytes = 0  # on disk
        self._descriptor = descriptor
        self._collected: deque[Sequence[Message]] = deque()
        self._unwritten: list[Message] = []
        self._appended = 0  # counted by the event loop alone
        self._written = 0  # counted by the writing thread alone
        self._is_torn = False

    @classmethod
    def open(cls, lake: Lake, opened_us: int) -> "Journal":
        """Return a new journal of a lake, its name on disk.

        Raises
        ------
        DiskFullError
            If there is no room for it.
        NotWritableError
            If the lake's folder cannot be written.
        """
        path = lake.here / "journal" / f"{opened_us:016}-{secrets.token_hex(4)}.arrow"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = cls(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            try:
                journal._add([schema_frame(SCHEMA)])
                fsync_folder(path.parent)
            except BaseException:
                journal.close()
                path.unlink()
                raise
        return journal

    @property
    def pending(self) -> int:
        """The number of messages that are not on disk yet."""
        return self._appended - self._written

    def append(self, records: Sequence[Message]) -> None:
        """Collect messages to be written; `records` is not to be changed afterwards."""
        self._appended += len(records)
        self._collected.append(records)

    def write(self) -> int:
        """Write what was collected, and return how many messages are on disk by it.

        What could not be written is kept, and written the next time.

        Raises
        ------
        DiskFullError
            If there is no room; the journal is what it was.
        NotWritableError
            If the file system refuses; the journal is what it was.
        """
        while self._collected:
            self._unwritten.extend(self._collected.popleft())
        with disk_errors(self.path):
            self._add([batch_frame(batch) for batch in _batches(self._unwritten)])
        count = len(self._unwritten)
        self._unwritten = []
        self._written += count
        return count

    def close(self) -> None:
        """Close the file; what is pending is not written."""
        os.close(self._descriptor)

    def _add(self, messages: Sequence[bytes]) -> None:
        """Write messages behind what is on disk, or cut off again what of them was."""
        if self._is_torn:
            os.ftruncate(self._descriptor, self.bytes)
        self._is_torn = True
        try:
            end = self.bytes
            for message in messages:
                end += _write_at(self._descriptor, message, end)
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.bytes)
            raise
        self.bytes, self._is_torn = end, False


def journals(lake: Lake) -> list[Path]:
    """Return the journals of a lake, oldest first."""
    return sorted((lake.here / "journal").glob("*.arrow"))


def read_journal(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a journal, of `SCHEMA`, as they were written; damaged ones are none.

    Nobody may write the journal meanwhile: a file that is cut while it is mapped ends its reader.
    """
    with _mapped(path) as data:
        for _, message in frames(data):
            if (batch := decode(message, SCHEMA)) is not None:
                yield batch


def damage(path: Path) -> Damage:
    """Return how much of a journal cannot be read."""
    with _mapped(path) as data:
        end = inside = 0
        for at, message in frames(data):
            inside += at - end
            end = at + len(message)
        return Damage(inside, len(data) - end)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _batches(records: Sequence[Message]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(records), BATCH_RECORDS):
        yield from _of_one_size(records[start : start + BATCH_RECORDS])


def _of_one_size(records: Sequence[Message]) -> Iterator[pa.RecordBatch]:
    """Yield messages in batches that are not too large, a message larger than that by itself."""
    columns = tuple(zip(*records, strict=True))
    if len(records) > 1 and sum(map(len, columns[-1])) > BATCH_BYTES:
        half = len(records) // 2
        yield from _of_one_size(records[:half])
        yield from _of_one_size(records[half:])
    else:
        arrays = [pa.array(each, of.type) for each, of in zip(columns, SCHEMA, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _write_at(descriptor: int, data: bytes, at: int) -> int:
    """Write all of `data`, which the system may do in pieces, and return how many bytes it is."""
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, memoryview(data)[done:], at + done)
    return done
