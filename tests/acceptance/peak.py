"""Run a command and say on stderr what memory it took, and nobody else.

The kernel's own figure for ended children keeps the largest of all there were, and begins with
what the parent had; the high-water mark of a process is its own.
"""

import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the command and return its exit code."""
    process = subprocess.Popen(sys.argv[1:])
    status, peak_kb = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        marks = [line for line in _lines(status) if line.startswith("VmHWM:")]
        peak_kb = max([peak_kb, *(int(mark.split()[1]) for mark in marks)])
        time.sleep(0.02)
    sys.stderr.write(f"peak MB {peak_kb / 1024:.1f}\n")
    return process.returncode


def _lines(status: Path) -> list[str]:
    try:
        return status.read_text().splitlines()
    except OSError:  # it has just ended
        return []


if __name__ == "__main__":
    sys.exit(main())
