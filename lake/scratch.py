"""A table that is made piece by piece and lies on disk while it is worked with, not in memory."""

import mmap
import tempfile
from pathlib import Path
from typing import Self

import pyarrow as pa

from lake.write import disk_errors


class Scratch:
    """Collects pieces of a table in a file without a name, which is gone when nobody looks at it.

    What is read of the table comes through the page cache, and may leave memory at any time.
    """

    def __init__(self, folder: Path) -> None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (`__exit__` closes it)
        self._folder = folder
        self._writer: pa.RecordBatchFileWriter | None = None

    def __enter__(self) -> Self:
        """Return the scratch itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; a table that was made of it stays."""
        self._file.close()

    def add(self, piece: pa.Table) -> None:
        """Write a piece behind those before; all have one schema.

        Raises
        ------
        DiskFullError
            If there is no room.
        """
        with disk_errors(self._folder):
            if self._writer is None:
                self._writer = pa.ipc.new_file(self._file, piece.schema)
            self._writer.write_table(piece.combine_chunks())

    def table(self) -> pa.Table:
        """Return all pieces as one table; nothing can be added afterwards.

        Raises
        ------
        DiskFullError
            If there is no room.
        ValueError
            If nothing was added.
        """
        if self._writer is None:
            message = "no piece was added: expected one, be it empty, for the columns"
            raise ValueError(message)
        with disk_errors(self._folder):
            self._writer.close()
            self._file.flush()
            data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        with pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))) as file:
            return file.read_all()
