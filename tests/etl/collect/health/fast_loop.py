"""An event loop whose time runs faster than ours."""

import asyncio
import selectors
import time
from functools import partial

STEP_S = 1.0  # of the loop's time: no wait is longer, for whoever answers from this process


class _Quick(selectors.DefaultSelector):
    """Waits a part of what it is told to, and has the time that went by waiting.

    A step counts once however long it took: on a machine that stands still for a moment, a server
    beside the loop has its turn before the loop believes that ten seconds are over.
    """

    def __init__(self, speed):
        super().__init__()
        self.speed = speed
        self.now_s = 0.0

    def select(self, timeout=None):
        if timeout is None:
            return super().select(None)
        step = min(max(timeout, 0.0), STEP_S)
        began = time.monotonic()
        found = super().select(step / self.speed)
        waited = (time.monotonic() - began) * self.speed
        self.now_s += min(waited, step) if found else step
        return found


class FastLoop(asyncio.SelectorEventLoop):
    """A loop of some speed."""

    def __init__(self, speed):
        self._quick = _Quick(speed)
        super().__init__(self._quick)

    def time(self):
        return self._quick.now_s


def run(coroutine, speed=60):
    """Run a coroutine in a time of that speed."""
    with asyncio.Runner(loop_factory=partial(FastLoop, speed)) as runner:
        return runner.run(coroutine)
