"""What benchmarks share: a pinned core, best times, tables."""

import os
import time
from collections.abc import Callable, Sequence

import pyarrow as pa


def pin_to_one_core() -> None:
    """Keep this process, and the thread pools it makes from now on, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def cores() -> tuple[int, int]:
    """Return a core for what is measured, and another for what it talks to, if there is one."""
    found = sorted(os.sched_getaffinity(0))
    return found[-1], found[0]


def best(task: Callable[[], object], times: int) -> float:
    """Return the least wall time of a few runs [s]: on a shared machine the rest is other work."""
    return min(_timed(task) for _ in range(times))


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    print(f"\n{title}\n")
    for row in (head, rule, *rows):
        print("| " + " | ".join(map(str.ljust, row, widths)) + " |", flush=True)


def _timed(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started
