"""A cache of a bounded number of bytes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class Held(Generic[V]):
    """What was made lately, the least recently used dropped first; `room` is in bytes."""

    def __init__(self, room: int, make: Callable[..., V], size: Callable[[V], int]) -> None:
        self._held: OrderedDict[Any, V] = OrderedDict()
        self._room, self._make, self._size = room, make, size

    def __call__(self, *key: Any) -> V:
        """Return something, made if it is not held."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        made = self._make(*key)
        self._held[key] = made
        self._room -= self._size(made)
        while self._room < 0 and len(self._held) > 1:
            self._room += self._size(self._held.popitem(last=False)[1])
        return made
