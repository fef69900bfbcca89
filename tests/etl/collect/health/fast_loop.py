"""An event loop whose time runs faster than ours."""

import asyncio
import selectors
from functools import partial


class _Quick(selectors.DefaultSelector):
    """Waits a part of what it is told to."""

    def __init__(self, speed):
        super().__init__()
        self.speed = speed

    def select(self, timeout=None):
        return super().select(timeout if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop of some speed."""

    def __init__(self, speed):
        self.speed = speed
        super().__init__(_Quick(speed))

    def time(self):
        return super().time() * self.speed


def run(coroutine, speed=60):
    """Run a coroutine in a time of that speed."""
    with asyncio.Runner(loop_factory=partial(FastLoop, speed)) as runner:
        return runner.run(coroutine)
