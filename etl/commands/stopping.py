"""Stop on SIGTERM, SIGHUP and Ctrl-C within a second, however deep in a library a run is."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

KEPT = "interrupted: what was fetched is kept; run the same command again"
GRACE_S = 0.7
"""How long a run may take to end in order; a write that is under way then is as if killed."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STDERR = 2
SHOW_CURSOR = "\x1b[?25h"  # progress bars hide it


@dataclass
class Stop:
    """The signal that stops this process, once one came, and whether its work has ended."""

    number: int | None = None
    has_ended: bool = False

    @property
    def exit_code(self) -> int:
        """What a shell calls the end by that signal: 130, 143 or 129; of asyncio's Ctrl-C, 130."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def stopping() -> Iterator[Stop]:
    """End the block by KeyboardInterrupt on any of the signals, and the process soon after.

    In asyncio all of them do what Ctrl-C does there: the main task is cancelled. A script's shell
    starts ``… &`` with SIGINT ignored, and asyncio would then not listen at all; so Python's own
    handler is put in place, and the signal is blocked, which leaves Ctrl-C to the foreground. What
    is ignored otherwise stays ignored (nohup).

    A handler of Python's waits for the library call the main thread is in. Whoever is not through
    after `GRACE_S` is ended by a thread that the signal wakes.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in STOPPING}
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def as_ctrl_c(number: int, frame: FrameType | None) -> None:
        stop.number = number
        handler = signal.getsignal(signal.SIGINT)  # asyncio's, while it runs
        if callable(handler):
            handler(number, frame)

    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    woken_before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(woken, stop), name="stopping", daemon=True)
    thread.start()
    try:
        signal.signal(signal.SIGTERM, as_ctrl_c)
        if before[signal.SIGHUP] is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, as_ctrl_c)
        yield stop
    finally:
        stop.has_ended = True
        if stop.number is None:  # else the thread sees to it that the process ends
            signal.set_wakeup_fd(woken_before)
            os.close(wakes)
            thread.join()
            os.close(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            if before[signal.SIGINT] is signal.SIG_IGN:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _watch(woken: int, stop: Stop) -> None:
    """Wait for a signal that stops, and end the process if it does not end by itself."""
    while numbers := os.read(woken, 64):
        if found := [number for number in numbers if number in STOPPING]:
            break
    else:
        return
    time.sleep(GRACE_S)
    if not stop.has_ended:
        shown = SHOW_CURSOR if os.isatty(STDERR) else ""
        os.write(STDERR, f"{shown}{KEPT}\n".encode())
    os._exit(128 + found[0])
