"""What `quality` takes on the full history of one instrument: seconds and memory of the process."""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.history import INSTRUMENT, TABLE, full_lake
from benchmarks.machine import show
from etl.config import Settings

RUNS = 3
TASKS = {
    "quality": ["quality", "--table", TABLE],
    "--help (reference)": ["quality", "--help"],
}


def main() -> None:
    """Print the table."""
    settings = full_lake()
    body = []
    with tempfile.TemporaryDirectory() as folder:
        for name, words in TASKS.items():
            out = ["--out", folder] if "--table" in words else []
            runs = [_run(settings, [*words, *out]) for _ in range(RUNS)]
            seconds, peak = min(runs)[0], max(peak for _, peak in runs)
            body.append((name, f"{seconds:.1f}", f"{peak:.0f}"))
    show(
        f"all minutes of {INSTRUMENT}, a process each: best time, worst peak of {RUNS}",
        ("command", "seconds", "peak MB"),
        body,
    )


def _run(settings: Settings, words: list[str]) -> tuple[float, float]:
    lake = str(Path(sys.executable).with_name("deribit-lake"))
    watched = [sys.executable, "-m", "tests.acceptance.peak", lake]
    command = [*watched, "--lake", str(settings.root), *words]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    return seconds, float(re.findall(r"peak MB ([\d.]+)", done.stderr)[-1])


if __name__ == "__main__":
    main()
