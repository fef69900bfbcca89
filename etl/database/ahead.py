"""Do the next piece of work while the last one is used."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Yield what each call returns, in order; the next is made in a thread while one is used."""
    with ThreadPoolExecutor(1, "read") as pool:
        waiting = deque(pool.submit(call) for call in calls[:1])
        for number in range(len(calls)):
            made = waiting.popleft().result()
            waiting.extend(pool.submit(call) for call in calls[number + 1 : number + 2])
            yield made
