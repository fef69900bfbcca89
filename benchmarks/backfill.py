"""How close the user's first command comes to the exchange's credits, and what memory it takes."""

import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.history import END, INSTRUMENT, START
from benchmarks.machine import show
from tests.exchange.market import Market
from tests.exchange.running import running

END_MS = 1_760_745_600_000  # END
MINUTE_MS = 60_000
COST, BUCKET, REFILL, PAGE = 500, 50_000, 10_000, 5_000


def main() -> None:
    """Print the table."""
    with (
        running(latency_ms=100) as exchange,
        tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as folder,
    ):
        command = [str(Path(sys.executable).with_name("deribit-lake")), "--host", exchange.url]
        command += ["--lake", folder, "backfill", "perpetuals", "--instruments", INSTRUMENT]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--start", START, "--end", END], check=True, capture_output=True, cwd=folder
        )
        wall = time.perf_counter() - started
        sent = exchange.stats()["requests"]
    minutes = Market(7, END_MS).minutes(INSTRUMENT, 0, END_MS)
    holes = int((minutes[1:] - minutes[:-1] > MINUTE_MS).sum())
    owed = math.ceil(len(minutes) / PAGE) + 2 * holes
    bound = (owed * COST - BUCKET) / REFILL
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    show(
        f"{len(minutes):,} minutes of {INSTRUMENT}, real limits, 100 ms latency",
        ("what", "value"),
        [
            ("requests owed by the exchange's own truth / sent", f"{owed} / {sent}"),
            ("credit bound (reference)", f"{bound:.2f} s"),
            ("wall, from the command to its end", f"{wall:.2f} s"),
            ("ratio", f"{wall / bound:.3f}"),
            ("peak memory", f"{peak:.0f} MB"),
        ],
    )


if __name__ == "__main__":
    main()
