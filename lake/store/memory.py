"""What a process was told of the objects of a store: their tags, for conditional puts."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.store.objects import Found, ObjectStore


@dataclass(slots=True)
class Memory:
    """What this process knows of a store: what it was told of objects last."""

    requests: int = 0
    _found: dict[str, "Found | None"] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def count(self, requests: int) -> None:
        """Count requests."""
        with self._lock:
            self.requests += requests

    def seen(self, found: "Found") -> "Found":
        """Take note of what there is, and return it."""
        with self._lock:
            self._found[found.key] = found
        return found

    def missed(self, key: str) -> None:
        """Take note that there was no such object."""
        with self._lock:
            self._found[key] = None

    def has_looked(self, key: str) -> bool:
        """Whether it is known what there was, or that there was nothing."""
        with self._lock:
            return key in self._found

    def forget(self, key: str) -> None:
        """Forget what was told of an object."""
        with self._lock:
            self._found.pop(key, None)

    def last(self, key: str) -> "Found | None":
        """Return what was last told of an object, None if nothing, or that there is none."""
        with self._lock:
            return self._found.get(key)

    def tag(self, key: str) -> str | None:
        """Return the tag an object last had."""
        found = self.last(key)
        return None if found is None else found.etag


def memory_of(store: "ObjectStore") -> Memory:
    """Return what this process knows of a store."""
    return _memory_in(store, os.getpid())


@lru_cache(maxsize=8)
def _memory_in(store: "ObjectStore", pid: int) -> Memory:
    del store, pid
    return Memory()
