"""Ask a store many things at once: a request takes longer than what it brings."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lake.store.place import ObjectPlace, Place

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 32


def together(ask: Callable[[T], R], things: Iterable[T], *, at_once: int = AT_ONCE) -> Iterator[R]:
    """Yield the answers in order; so many are asked for or held at once, and no more.

    Raises
    ------
    Exception
        What asking for an answer raised, in its turn; nothing more is asked for then.
    """
    asked: deque[Future[R]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for thing in things:
                asked.append(pool.submit(ask, thing))
                if len(asked) >= at_once:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()
        finally:
            for one in asked:
                one.cancel()


def each(
    root: Place, ask: Callable[[T], R], things: Iterable[T], *, at_once: int = AT_ONCE
) -> Iterator[R]:
    """Yield the answers in order: asked for `together` of a bucket, one by one of a folder."""
    if isinstance(root, ObjectPlace):
        return together(ask, things, at_once=at_once)
    return map(ask, things)
