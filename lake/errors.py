"""Errors of the lake package.

* LakeError
  x LakeFormatError     the lake was written by a newer version
  x NoLakeError         there is no lake where one has to be
  x CorruptFileError    a file of the lake cannot be read
  x MissingColumnError  a file was written before a column was that is needed
  x PartitionBusyError  another process is writing the partition
  x ConflictError       another process wrote the same object of a bucket meanwhile
  x LeaseLostError      a lock in a bucket lapsed, and another process may hold it
  x UnreachableStoreError  a bucket's store does not answer
  x RefusedByStoreError    a bucket's store refuses: no such bucket, wrong or expired keys
  x UnconditionalStoreError  a bucket's store ignores conditions: no lock would hold in it
  x DiskFullError       no space is left; what was published stays as it was
  x NotWritableError    the lake's folder cannot be written
  x NotOnDiskError      a lake in a bucket, where one on this machine is needed
  x QueryError          a query the lake refuses or cannot answer
  x DatabaseFileError   a DuckDB file of the lake's views that cannot be written
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.store.place import Place


class LakeError(Exception):
    """Base of the errors the lake reports to its user without a traceback."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Have it come whole from a worker: some are not made of their message."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[LakeError], args: tuple[object, ...]) -> LakeError:
    return kind.__new__(kind, *args)


class LakeFormatError(LakeError):
    """The lake was written by a newer version of the software."""


class NoLakeError(LakeError):
    """There is no lake where one has to be."""

    def __init__(self, root: "Place") -> None:
        super().__init__(f"there is no lake at {root}")


class CorruptFileError(LakeError):
    """A file of the lake cannot be read."""

    def __init__(self, path: "Place", reason: object) -> None:
        text = " ".join(str(reason).split())
        super().__init__(
            f"{path} is corrupt ({text}); "
            "`deribit-lake verify --quarantine` sets it aside, `replay` or `heal` rebuilds it"
        )
        self.path = path


class MissingColumnError(LakeError):
    """A file was written before a column was that is needed of it."""

    def __init__(self, path: "Place", column: str) -> None:
        super().__init__(f"{path} has no column {column}: run `deribit-lake replay`")


class PartitionBusyError(LakeError):
    """Another process is writing the partition."""


class ConflictError(LakeError):
    """Another process wrote the same object of a bucket meanwhile; nothing was written."""


class LeaseLostError(LakeError):
    """A lock in a bucket lapsed, and another process may hold it."""


class UnreachableStoreError(LakeError):
    """The store that holds a lake does not answer, or not as it should."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} cannot be reached ({' '.join(reason.split())}): nothing published was changed; "
            "run the same command again"
        )


class RefusedByStoreError(LakeError):
    """The store that holds a lake refuses a request."""

    def __init__(self, url: str, code: str) -> None:
        super().__init__(f"{url} refuses: {code}{_REFUSALS.get(code, '')}")
        self.code = code


class UnconditionalStoreError(LakeError):
    """The store does what it was told to refuse, so that no lock of a lake would hold in it."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"{url}: the store {what}, so that two writers could hold one lock; expected one with "
            "conditional puts, or a lake on a disk"
        )


_KEYS = "; expected a valid AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REFUSALS = {
    "NoSuchBucket": "; make the bucket first, or correct its name or s3.endpoint",
    "NoCredentials": _KEYS,
    "AccessDenied": "; expected keys that may list, read, write and delete below that prefix",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "ExpiredToken": "; the session token has expired: expected a new one in AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "; this machine's clock is off by minutes: set it",
    "PermanentRedirect": "; the bucket is in another region: set s3.region",
    "AuthorizationHeaderMalformed": "; the bucket is in another region: set s3.region",
}


class DiskFullError(LakeError):
    """No space is left on the device that holds the lake."""

    def __init__(self, path: "Place", needed: int | None = None) -> None:
        what = "no space left" if needed is None else f"{needed / 1e6:,.0f} MB are needed"
        super().__init__(
            f"{what} on the disk that holds {path}: nothing published was changed; "
            "make room and run the same command again"
        )


class NotWritableError(LakeError):
    """The lake's folder cannot be written."""

    def __init__(self, path: "Place", error: OSError) -> None:
        super().__init__(f"cannot write {path}: {error.strerror or error}")


class NotOnDiskError(LakeError):
    """The lake lies in a bucket, and this needs one on this machine."""

    def __init__(self, root: "Place") -> None:
        super().__init__(
            f"{root} lies in a bucket, and this needs a lake on this machine: "
            "`deribit-lake pull` brings a copy"
        )


class QueryError(LakeError):
    """A query the lake refuses or DuckDB cannot answer."""


class DatabaseFileError(LakeError):
    """A DuckDB file of the lake's views that cannot be written, or must not be replaced."""
