"""An event loop whose time jumps to the next timer: an hour takes no longer than its work."""

import asyncio
import selectors

THREAD_S = 0.001  # what a thread may take before time jumps over it


class _Jumping(selectors.DefaultSelector):
    jumped = 0.0

    def select(self, timeout=None):
        if not timeout or timeout <= 0:
            return super().select(timeout)
        events = super().select(min(timeout, THREAD_S))
        if not events:
            self.jumped += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return super().time() + self._jumping.jumped


def run(main):
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
