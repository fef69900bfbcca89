"""Whether a store keeps the promise all locks rest on: a put under a condition is refused by it."""

import secrets

from lake.errors import ConflictError, RefusedByStoreError, UnconditionalStoreError
from lake.store.objects import ObjectStore

CREATES = "makes an object where there is one already (If-None-Match)"
REPLACES = "replaces an object that another has replaced meanwhile (If-Match)"
KNOWS_NONE = "knows no conditions of a put (If-None-Match, If-Match)"
TRIAL = "conditions-"
UNKNOWN = {"NotImplemented", "XNotImplemented"}


def check_conditional(store: ObjectStore) -> None:
    """Try a store out, by an object that is there for a moment: some ten requests.

    Raises
    ------
    UnconditionalStoreError
        If it does what it was to refuse, so that two processes could hold one lock.
    RefusedByStoreError
        If the keys may not write there, or there is no bucket.
    UnreachableStoreError
        If it does not answer.
    """
    key = f"{TRIAL}{secrets.token_hex(8)}"
    try:
        first = store.put_if(key, b"first", None)
        try:
            if _is_taken(store, key, b"second", None):
                raise UnconditionalStoreError(store.url, CREATES)
            store.put_if(key, b"third", first)
            if _is_taken(store, key, b"fourth", first):
                raise UnconditionalStoreError(store.url, REPLACES)
        finally:
            store.delete(key)
    except ConflictError as error:
        raise UnconditionalStoreError(store.url, KNOWS_NONE) from error
    except RefusedByStoreError as error:
        if error.code in UNKNOWN:
            raise UnconditionalStoreError(store.url, KNOWS_NONE) from error
        raise


def forget_trials(store: ObjectStore) -> None:
    """Remove what a process left that was killed while it tried the store out."""
    _, found = store.folders()
    store.delete(*(one.key for one in found if one.key.startswith(TRIAL)))


def _is_taken(store: ObjectStore, key: str, data: bytes, tag: str | None) -> bool:
    """Whether a store takes a put that it has to refuse."""
    try:
        store.put_if(key, data, tag)
    except ConflictError:
        return False
    return True
