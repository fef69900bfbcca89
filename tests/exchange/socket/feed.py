"""What a channel is: a source of data that knows what it sends between two moments."""

from collections.abc import Iterator
from typing import Protocol

from tests.exchange.market import Market

STEPS_MS = {"100ms": 100, "agg2": 1_000}
"""How far apart the messages of an interval are: agg2 came 58 times in 57 s."""


class Feed(Protocol):
    """One channel."""

    def first(self, market: Market) -> list[bytes]:
        """Return the JSON of what a new subscriber gets at once."""

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the JSON of what is sent in a half-open window [Unix ms]."""


def grid(start_ms: int, end_ms: int, step_ms: int) -> Iterator[int]:
    """Yield the multiples of a step in a half-open window."""
    yield from range(-(-start_ms // step_ms) * step_ms, end_ms, step_ms)
