"""What a store listed, kept: one request tells of a thousand objects, and none is listed twice."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.store.objects import Found

DEPTH = 2  # a listing is of a dataset, or of a method of raw, be it asked for one part alone
AFTER_SLASH = "0"  # the sign that sorts next


class Listing:
    """The objects below some folders, as they were when first asked for."""

    def __init__(self) -> None:
        self._below: dict[str, dict[str, Found]] = {}
        self._keys: dict[str, Sequence[str]] = {}

    def find(self, key: str) -> "Found | None":
        """Return what was listed of an object; None where it was not, be it there or not."""
        folder = self._listed(key)
        return None if folder is None else self._below[folder].get(key)

    def below(self, folder: str, ask: Callable[[str], Iterable["Found"]]) -> list["Found"]:
        """Return the objects below a folder, sorted; `ask` lists what was not listed yet."""
        listed = self._listed(folder)
        if listed is None:
            listed = "/".join(folder.split("/")[:DEPTH])
            self._below[listed] = {one.key: one for one in ask(listed)}
            self._keys[listed] = sorted(self._below[listed])
        held, keys = self._below[listed], self._keys[listed]
        if listed == folder:
            return [held[key] for key in keys]
        start = bisect_left(keys, f"{folder}/")
        end = bisect_left(keys, f"{folder}{AFTER_SLASH}")
        return [held[key] for key in keys[start:end]]

    def forget(self, key: str) -> None:
        """Forget the listings an object is in, or would be: it was written or removed."""
        while (folder := self._listed(key)) is not None:
            del self._below[folder], self._keys[folder]

    def _listed(self, name: str) -> str | None:
        """Return the folder that was listed and has a name in it, or is it."""
        parts = name.split("/")
        above = ("/".join(parts[:size]) for size in range(min(DEPTH, len(parts)) + 1))
        return next((folder for folder in above if folder in self._below), None)
