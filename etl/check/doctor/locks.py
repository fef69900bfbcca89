"""Who holds which lock, by the kernel's list: to try a lock could get in a writer's way."""

from pathlib import Path

COLLECTS = "collect.lock"
"""The lock of the process that collects, as long as it runs."""
LOCKS = Path("/proc/locks")


def holders() -> dict[int, int]:
    """Return the process that holds each locked file, by the file's inode."""
    held: dict[int, int] = {}
    if not LOCKS.exists():  # not Linux's own, or hidden
        return held
    for line in LOCKS.read_text(encoding="utf-8").splitlines():
        words = line.split()  # of who waits, an arrow is the second
        if words[1] == "FLOCK" and words[3] == "WRITE":
            held[int(words[5].rpartition(":")[2])] = int(words[4])
    return held


def holder(path: Path, held_by: dict[int, int]) -> int | None:
    """Return the process that holds a lock file, None where nobody does."""
    try:
        return held_by.get(path.stat().st_ino)
    except (FileNotFoundError, NotADirectoryError):
        return None
