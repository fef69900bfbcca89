"""A random word left in a lake: who reads it there sees the same lake, no copy of it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lake.errors import NoLakeError
from lake.paths import MARKER, Lake
from lake.store.files import matching, remove
from lake.store.place import Place
from lake.write import publish_bytes

FOLDER = "tokens"
LEFT_S = 30 * 86_400
"""How old a word is that a killed process left."""


@contextmanager
def token(lake: Lake) -> Iterator[str]:
    """Leave a word in a lake until the block ends.

    Raises
    ------
    NoLakeError
        If there is no lake.
    NotWritableError
        If it cannot be written.
    """
    if not (lake.root / MARKER).is_file():
        raise NoLakeError(lake.root)
    word = os.urandom(16).hex()
    path = _path(lake, word)
    publish_bytes(word.encode(), path)
    try:
        _tidy(path.parent)
        yield word
    finally:
        remove(path)


def has_token(lake: Lake, word: str) -> bool:
    """Whether the lake that this process sees has the word."""
    try:
        return _path(lake, word).read_bytes() == word.encode()
    except OSError:
        return False


def _path(lake: Lake, word: str) -> Place:
    return lake.root / FOLDER / word


def _tidy(folder: Place) -> None:
    for path in matching(folder, "*"):
        with suppress(FileNotFoundError):  # its process ended just now
            if path.stat().st_mtime < time.time() - LEFT_S:
                remove(path)
