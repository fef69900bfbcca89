"""A part of a bucket that speaks S3, and the few requests a lake is made of.

Every object is written by one conditional put: it is made where there was none, or replaces the
very one that was seen. Whoever comes second is refused by the store, and nothing is mixed.
"""

import math
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from lake.errors import ConflictError, RefusedByStoreError, UnreachableStoreError
from lake.store import refusals
from lake.store.client import client_of
from lake.store.listing import Listing
from lake.store.memory import memory_of

T = TypeVar("T")
TRIES = 4  # of a put, where others write the same object or an answer is lost
REQUEST_SECONDS = 25  # a store that does not answer is given up then
SOON = 1 / 6  # of a lease: within this a request ends that must not come after it
SLOWEST = 250_000  # of uploads that are waited for [bytes/s]: a request's time counts its body
LISTED = 1_000  # objects a request lists at most
RETRIES = 6  # by their backoff some 8 s in all
TAIL_BYTES = 131_072  # read of a file to know its footer: one request for most
REGION = "us-east-1"  # where none is told, and stores that have none


class Found(NamedTuple):
    """What the store says of an object."""

    key: str
    size: int  # [bytes]
    changed_s: float  # when it was written, by the store's clock [Unix s]
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Part of a bucket that holds one lake; credentials come from the environment, never along.

    A value: it can be handed to other processes and machines. With a `listing` it is asked once
    what there is, for a look at many objects that may be a moment old.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    lease_seconds: float = 60.0
    work_dir: Path = Path("work")  # of this machine: journals and files in work lie below it
    listing: Listing | None = field(default=None, compare=False, repr=False)

    @property
    def url(self) -> str:
        """Its name, as a user gives it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def requests(self) -> int:
        """How many requests this process made of it, but for those that were tried again."""
        return memory_of(self).requests

    def head(self, key: str) -> Found | None:
        """Return what the store says of an object, None where there is none."""
        if self.listing is not None and (listed := self.listing.find(key)) is not None:
            return listed
        try:
            meta = self._ask(lambda client: client.head(key))
        except FileNotFoundError:
            memory_of(self).missed(key)
            return None
        except RefusedByStoreError:
            with suppress(FileNotFoundError):
                self.get_range(key, 0, 1)  # an answer to HEAD has no body: this one says why
            raise
        return memory_of(self).seen(_found(meta, key))

    def etag(self, key: str) -> str | None:
        """Return what the store calls an object by, None where there is none."""
        found = self.head(key)
        return None if found is None else found.etag

    def get(self, key: str) -> bytes:
        """Return an object, whole.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        return self.get_seen(key)[1]

    def get_seen(self, key: str, seconds: float | None = None) -> tuple[Found, bytes]:
        """Return what the store says of an object, and the object; `seconds` as in `put_if`.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

        def ask(client: S3Store) -> tuple[Any, bytes]:
            answer = client.get(key)
            return answer.meta, bytes(answer.bytes())

        try:
            meta, data = self._ask(ask, seconds)
        except FileNotFoundError:
            memory_of(self).missed(key)
            raise
        return memory_of(self).seen(_found(meta, key)), data

    def get_range(self, key: str, start: int, end: int, *, tag: str | None = None) -> bytes:
        """Return bytes ``[start, end)`` of an object, of the very one with a tag if one is given.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ConflictError
            If that one was replaced or removed by now.
        """
        size = end - start
        if tag is None:
            return self._ask(
                lambda client: bytes(client.get_range(key, start=start, end=end)), size=size
            )
        options: Any = {"range": (start, end), "if_match": tag}
        try:
            return self._ask(
                lambda client: bytes(client.get(key, options=options).bytes()), size=size
            )
        except (ConflictError, FileNotFoundError):
            memory_of(self).forget(key)
            message = f"{self.url}/{key} was replaced or removed while it was read: ask again"
            raise ConflictError(message) from None

    def last_seen(self, key: str) -> Found | None:
        """Return what the store last said of an object to this process, without asking it."""
        return memory_of(self).last(key)

    def get_tail(self, key: str, count: int = TAIL_BYTES) -> tuple[Found, bytes]:
        """Return what the store says of an object, and its last bytes, by one request.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

        def ask(client: S3Store) -> tuple[Any, bytes]:
            answer = client.get(key, options={"range": {"suffix": count}})
            return answer.meta, bytes(answer.bytes())

        try:
            meta, data = self._ask(ask)
        except RefusedByStoreError as error:
            if error.code == "InvalidRange" and (found := self.head(key)) and not found.size:
                return found, b""  # an object without bytes has none at its end
            raise
        return memory_of(self).seen(_found(meta, key)), data

    def below(self, folder: str = "") -> Iterator[Found]:
        """Yield the objects below a folder, sorted; a request for each thousand."""
        if self.listing is not None:
            yield from self.listing.below(folder, self._below)
        else:
            yield from self._below(folder)

    def _below(self, folder: str) -> Iterator[Found]:
        found = self._ask(lambda client: [one for page in client.list(folder) for one in page])
        memory_of(self).count(max(0, len(found) - 1) // LISTED)
        for meta in sorted(found, key=lambda one: str(one["path"])):
            yield memory_of(self).seen(_found(meta))

    def first(self) -> Found | None:
        """Return one of the objects there are, None where there is none, by one request."""
        page = self._ask(lambda client: next(iter(client.list()), []))
        return _found(page[0]) if page else None

    def folders(self, folder: str = "") -> tuple[list[str], list[Found]]:
        """Return the names of folders in a folder, and the objects in it, sorted."""
        if self.listing is not None:
            return _folders(folder, self.listing.below(folder, self._below))
        answer = self._ask(lambda client: client.list_with_delimiter(folder))
        names = sorted(path.rpartition("/")[2] for path in answer["common_prefixes"])
        seen = memory_of(self).seen
        return names, sorted(seen(_found(meta)) for meta in answer["objects"])

    def put(self, key: str, data: bytes, check: Callable[[], None] | None = None) -> str:
        """Put an object in place of the one that is there, and return its tag.

        `check` is called between the last look at what is there and the put; it raises where this
        process may not write any more. So a writer that was held up cannot replace what another
        wrote meanwhile.

        Raises
        ------
        ConflictError
            If others go on writing it.
        """
        opened = memory_of(self)
        for attempt in range(TRIES):
            if attempt or not opened.has_looked(key):
                self.head(key)
            tag = opened.tag(key)
            if check is not None:
                check()
            try:
                return self.put_if(key, data, tag)
            except ConflictError:
                opened.forget(key)
        message = f"{self.url}/{key} is being written by another process: run the command again"
        raise ConflictError(message)

    def put_new(self, key: str, data: bytes) -> str:
        """Put an object that is most likely not there yet, and return its tag: no look before.

        Raises
        ------
        ConflictError
            If others go on writing it.
        """
        try:
            return self.put_if(key, data, None)
        except ConflictError:
            memory_of(self).forget(key)
            return self.put(key, data)

    def put_if(self, key: str, data: bytes, tag: str | None, seconds: float | None = None) -> str:
        """Put an object where there is none, or in place of the one with that tag; return its tag.

        A put whose answer was lost is found out about: what is there is what we put, or it is not.
        With `seconds`, each request is given up after so many, and made once.

        Raises
        ------
        ConflictError
            If there is another.
        """
        self._forget(key)
        mode: Any = "create" if tag is None else {"e_tag": tag}
        try:
            done = self._ask(
                lambda client: client.put(key, data, mode=mode, use_multipart=False),
                seconds,
                len(data),
            )
        except (ConflictError, UnreachableStoreError, FileNotFoundError) as error:
            there = self._tag_of_own(key, data, seconds)
            if there is None:
                if isinstance(error, FileNotFoundError):  # it was to be replaced, and is gone
                    message = f"{self.url}/{key} was removed by another process"
                    raise ConflictError(message) from error
                raise
            return there
        etag = str(done["e_tag"])
        memory_of(self).seen(Found(key, len(data), 0.0, etag))
        return etag

    def delete(self, *keys: str, check: Callable[[], None] | None = None) -> None:
        """Remove objects, a thousand by a request; there need not be any.

        No condition can be had for it, so with `check`, as in `put`, each try is given up soon
        after it: none is on its way when the lease has lapsed.
        """
        if not keys:
            return
        for key in keys:
            self._forget(key)
        for tries_left in reversed(range(TRIES)):
            if check is not None:
                check()
            seconds = None if check is None else self.lease_seconds * SOON
            try:
                self._ask(lambda client: client.delete(list(keys)), seconds)
            except FileNotFoundError:
                return
            except UnreachableStoreError:
                if check is None or not tries_left:
                    raise
            else:
                return

    def copy(self, key: str, to: str) -> None:
        """Copy an object inside the store, in place of what is there.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        self._forget(to)
        self._ask(lambda client: client.copy(key, to))

    def now_s(self, beside: str) -> float:
        """Return the store's own clock [Unix s, whole seconds]; it costs a put and a look."""
        key = f"{beside}.{secrets.token_hex(4)}.now"  # of this process alone: others remove theirs
        self._ask(lambda client: client.put(key, b"", mode="overwrite"))
        found = self.head(key)
        self.delete(key)
        if found is None:
            message = f"{self.url}/{key} vanished while the store was asked for the time"
            raise ConflictError(message)
        return found.changed_s

    def _forget(self, key: str) -> None:
        """Forget what is known of an object that is being written or removed."""
        memory_of(self).forget(key)
        if self.listing is not None:
            self.listing.forget(key)

    def _tag_of_own(self, key: str, data: bytes, seconds: float | None) -> str | None:
        """Return the tag of an object if it is what we put, None if it is another or unknown."""
        try:
            same = self.get_seen(key, seconds)[1] == data
        except (FileNotFoundError, UnreachableStoreError):
            return None
        return memory_of(self).tag(key) if same else None

    def _ask(self, call: Callable[[S3Store], T], seconds: float | None = None, size: int = 0) -> T:
        """Ask the store something, and turn its refusals into errors of the lake."""
        memory_of(self).count(1)
        if seconds is None:
            doublings = max(0, math.ceil(math.log2(max(1, size) / SLOWEST / REQUEST_SECONDS)))
            client = client_of(self, os.getpid(), REQUEST_SECONDS * 2**doublings, RETRIES)
        else:
            client = client_of(self, os.getpid(), seconds, 0)
        try:
            return call(client)
        except (AlreadyExistsError, PreconditionError) as error:
            message = f"{self.url}: another process has written it"
            raise ConflictError(message) from error
        except FileNotFoundError as error:
            if refusals.code_of(error) == "NoSuchBucket":
                raise refusals.told(self.url, error) from None
            raise FileNotFoundError(str(error).partition(": ")[0]) from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise RefusedByStoreError(self.url, refusals.code_of(error) or "AccessDenied") from None
        except BaseError as error:
            raise refusals.told(self.url, error) from None


def _found(meta: Any, key: str | None = None) -> Found:
    """Return what a store said, under the name we asked by."""
    named = str(meta["path"]) if key is None else key
    changed = meta["last_modified"].timestamp()
    return Found(named, int(meta["size"]), changed, str(meta["e_tag"]))


def _folders(folder: str, below: list[Found]) -> tuple[list[str], list[Found]]:
    """Return the names of folders in a folder, and the objects in it, of all that is below it."""
    skip = len(folder) + 1 if folder else 0
    inside = [one for one in below if "/" not in one.key[skip:]]
    names = {one.key[skip:].partition("/")[0] for one in below if "/" in one.key[skip:]}
    return sorted(names), inside
