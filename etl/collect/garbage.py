"""Python's garbage collection, fitted to a process that takes tens of thousands of messages.

Each message that waits for the disk is a tuple the collector of garbage walks through, again and
again, and with every old generation through all modules, too: a quarter of all time. None of them
can be in a circle, and few things are.
"""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 100
"""After so many new objects the young ones are walked through; how often older ones with them."""


def seldom_collected() -> None:
    """Walk through what is there by now never again, and through what is new seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
