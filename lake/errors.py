"""Errors of the lake package.

* LakeError
  x LakeFormatError     the lake was written by a newer version
  x CorruptFileError    a file of the lake cannot be read
  x MissingColumnError  a file was written before a column was that is needed
  x PartitionBusyError  another process is writing the partition
  x DiskFullError       no space is left; what was published stays as it was
  x NotWritableError    the lake's folder cannot be written
  x QueryError          a query the lake refuses or cannot answer
  x DatabaseFileError   a DuckDB file of the lake's views that cannot be written
"""

from pathlib import Path


class LakeError(Exception):
    """Base of the errors the lake reports to its user without a traceback."""


class LakeFormatError(LakeError):
    """The lake was written by a newer version of the software."""


class CorruptFileError(LakeError):
    """A file of the lake cannot be read."""

    def __init__(self, path: Path, reason: object) -> None:
        text = " ".join(str(reason).split())
        super().__init__(
            f"{path} is corrupt ({text}); "
            "`deribit-lake verify --quarantine` sets it aside, `replay` or `heal` rebuilds it"
        )
        self.path = path


class MissingColumnError(LakeError):
    """A file was written before a column was that is needed of it."""

    def __init__(self, path: Path, column: str) -> None:
        super().__init__(f"{path} has no column {column}: run `deribit-lake replay`")


class PartitionBusyError(LakeError):
    """Another process is writing the partition."""


class DiskFullError(LakeError):
    """No space is left on the device that holds the lake."""

    def __init__(self, path: Path, needed: int | None = None) -> None:
        what = "no space left" if needed is None else f"{needed / 1e6:,.0f} MB are needed"
        super().__init__(
            f"{what} on the disk that holds {path}: nothing published was changed; "
            "make room and run the same command again"
        )


class NotWritableError(LakeError):
    """The lake's folder cannot be written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot write {path}: {error.strerror or error}")


class QueryError(LakeError):
    """A query the lake refuses or DuckDB cannot answer."""


class DatabaseFileError(LakeError):
    """A DuckDB file of the lake's views that cannot be written, or must not be replaced."""
