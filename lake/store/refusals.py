"""What a store refuses, in the lake's words: its own may hold a key."""

import re

from lake.errors import ConflictError, LakeError, RefusedByStoreError, UnreachableStoreError

_OF_POLARS = "object-store error: "
_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")  # the latter of a list to delete
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted"}
_STATUS = re.compile(r"non-2xx status code: (\d{3})")


def told(url: str, error: Exception) -> LakeError:
    """Return what to say of an error that has no class of its own; its text may hold a key."""
    code, status = code_of(error), _STATUS.search(str(error))
    if code in _BUSY:
        return UnreachableStoreError(url, f"it is busy: {code}")
    if code is not None:
        return RefusedByStoreError(url, code)
    if status is not None:
        return UnreachableStoreError(url, f"it answers with status {status[1]}")
    return UnreachableStoreError(url, _reason(error))


def of_polars(url: str, error: Exception) -> LakeError | None:
    """Return what to say of an error of polars, whose client is of the same kind as ours.

    None where it is not the store's.
    """
    if not str(error).startswith(_OF_POLARS):
        return None
    if code_of(error) == "NoSuchKey":
        return ConflictError(f"{url}: a file was removed while it was read: ask again")
    return told(url, error)


def code_of(error: Exception) -> str | None:
    """Return the word a store refuses with, None where it said none."""
    found = _CODE.search(str(error))
    return found[1] or found[2] if found else None


def _reason(error: Exception) -> str:
    """Return the plain first words of an error: what follows are its insides."""
    first = str(error).partition("\n")[0].removeprefix(_OF_POLARS)
    return first.partition(" - ")[2] or first
