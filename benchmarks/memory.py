"""The memory of a process and of all below it."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

SAMPLE_S = 0.02


def peak_mb(process: "subprocess.Popen[bytes]") -> float:
    """Return the most memory a process and all below it hold at once, until it ends [MB].

    What they share counts once (PSS): workers are forked, and map the same libraries.
    """
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_held_kb(pid) for pid in _tree(process.pid)))
        time.sleep(SAMPLE_S)
    return peak / 1024


def rss_mb() -> float:
    """Return the memory this process holds [MB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in _read(task / "children").split():
            yield from _tree(int(child))


def _held_kb(pid: int) -> int:
    for file, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        lines = (line.split() for line in _read(Path(f"/proc/{pid}/{file}")).splitlines())
        for words in lines:
            if words[0] == key:
                return int(words[1])
    return 0


def _read(path: Path) -> str:
    """Return what a file of /proc says, nothing once its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
