"""Batches of an Arrow IPC stream that say how long they are and what their bytes add up to.

An IPC stream does not notice a flipped bit, and reading one can end anywhere. So each of its
messages carries, in its own metadata, its length and the CRC-32 of all its other bytes: a frame is
believed before anything of it is decoded, and the stream is still one that any Arrow reads.
"""

import re
import zlib
from collections.abc import Iterator
from mmap import mmap

import pyarrow as pa

KEY = "frame"
_EMPTY = b"lake-1 00000000 000000000000"
_MARK = re.compile(rb"lake-1 ([0-9a-f]{8}) ([0-9a-f]{12})")
_CONTINUATION = b"\xff\xff\xff\xff"
_END_BYTES = 8  # of a stream: what a writer adds when it is closed
_ALIGNMENT = 8
_METADATA_BYTES = 65_536  # ours take some 500
_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1), use_threads=False)


def schema_frame(schema: pa.Schema) -> bytes:
    """Return the message a stream of batches of that schema begins with."""
    return _signed(_stream(schema.with_metadata({KEY: _EMPTY}), None))


def batch_frame(batch: pa.RecordBatch) -> bytes:
    """Return the message of a batch, compressed."""
    plain = len(_stream(batch.schema, None))
    return _signed(_stream(batch.schema, batch)[plain:])


def frames(data: mmap | bytes) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset, message)`` of every whole message in `data`, passing over the damaged."""
    at = 0
    while (at := data.find(_CONTINUATION, at)) >= 0:
        message = _message_at(data, at) if at % _ALIGNMENT == 0 else None
        if message is not None:
            yield at, message
        at += 1 if message is None else len(message)


def decode(message: bytes, schema: pa.Schema) -> pa.RecordBatch | None:
    """Return the batch of a message, None of one that tells the schema."""
    read = pa.ipc.read_message(message)
    return pa.ipc.read_record_batch(read, schema) if read.type == "record batch" else None


def _stream(schema: pa.Schema, batch: pa.RecordBatch | None) -> bytes:
    """Return a stream without its end."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_OPTIONS) as writer:
        if batch is not None:
            writer.write_batch(batch, custom_metadata={KEY: _EMPTY})
    return bytes(sink.getvalue()[:-_END_BYTES])


def _signed(message: bytes) -> bytes:
    """Return a message with its length and sum written into its metadata."""
    start = message.index(_EMPTY)
    end = start + len(_EMPTY)
    sized = message[: end - 12] + b"%012x" % len(message) + message[end:]
    start += len(b"lake-1 ")
    return sized[:start] + _sum(sized, start, start + 8) + sized[start + 8 :]


def _sum(message: bytes, start: int, end: int) -> bytes:
    """Return the CRC-32 of a message but for the bytes where it stands itself."""
    view = memoryview(message)
    return b"%08x" % zlib.crc32(view[end:], zlib.crc32(view[:start]))


def _message_at(data: mmap | bytes, at: int) -> bytes | None:
    """Return the message that begins at an offset, None if none does that is whole."""
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    found = _MARK.search(data[at : at + 8 + min(size, _METADATA_BYTES)])
    if found is None:
        return None
    message = data[at : at + int(found[2], 16)]
    is_whole = len(message) == int(found[2], 16) and found.end() <= len(message)
    return message if is_whole and _sum(message, *found.span(1)) == found[1] else None
