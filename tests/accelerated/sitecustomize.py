"""Let time run faster in every Python process that is begun with this folder in PYTHONPATH.

The clocks of the module `time`, what it sleeps, and how long a selector, and so an event loop,
waits. Waits of threads for each other go by our own time.
"""

import os
import selectors
import time


def _accelerate(started: float, now: float, steady: float, speed: float) -> None:
    """Put clocks in place that run `speed` times as fast, from a moment both kinds told."""
    wall, monotonic, sleep = time.time, time.monotonic, time.sleep

    def faster_wall() -> float:
        return now + (wall() - started) * speed

    def faster_monotonic() -> float:
        return steady + (monotonic() - steady) * speed

    time.time = faster_wall
    time.time_ns = lambda: int(faster_wall() * 1e9)
    time.monotonic = faster_monotonic
    time.monotonic_ns = lambda: int(faster_monotonic() * 1e9)
    time.sleep = lambda seconds: sleep(seconds / speed)
    for kind in {selectors.DefaultSelector, selectors.PollSelector, selectors.SelectSelector}:
        _shorten(kind, speed)


def _shorten(kind: type, speed: float) -> None:
    select = kind.select

    def faster(self: object, timeout: float | None = None) -> object:
        return select(self, timeout if timeout is None else timeout / speed)

    kind.select = faster


_told = os.environ.get("DERIBIT_LAKE_TEST_CLOCK")
if _told:
    _started, _now, _steady, _, _speed = map(float, _told.split())
    _accelerate(_started, _now, _steady, _speed)
