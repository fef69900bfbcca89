"""An event loop whose time jumps to the next timer: an hour takes no longer than its work."""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    jumped = 0.0
    in_threads = 0  # pieces of work under way, which no time may jump over

    def select(self, timeout=None):
        if not timeout or timeout <= 0:
            return super().select(timeout)
        if self.in_threads:
            return super().select(None)  # whoever is through wakes the loop
        events = super().select(0)
        if not events:
            self.jumped += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.jumped

    def run_in_executor(self, executor, func, *args):
        self._jumping.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._is_through)
        return future

    async def shutdown_default_executor(self, timeout=None):  # noqa: ASYNC109  (as asyncio has it)
        """Wait for its threads: Python 3.12 and later would for 300 s at most."""
        del timeout
        await super().shutdown_default_executor()

    def _is_through(self, _):
        self._jumping.in_threads -= 1


def run(main):
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
