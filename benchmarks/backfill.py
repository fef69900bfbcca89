"""How close the user's first command comes to the exchange's credits, and what memory it takes."""

import math
import tempfile
import time
from pathlib import Path

from benchmarks.history import END, INSTRUMENT, START
from benchmarks.machine import show
from tests.acceptance.command import Product
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
        words = (
            "backfill",
            "perpetuals",
            "--instruments",
            INSTRUMENT,
            "--start",
            START,
            "--end",
            END,
        )
        started = time.perf_counter()
        done, peak = Product(Path(folder) / "lake", exchange.url).run_measured(*words)
        wall = time.perf_counter() - started
        sent = exchange.stats()["requests"]
    minutes = Market(7, END_MS).minutes(INSTRUMENT, 0, END_MS)
    holes = int((minutes[1:] - minutes[:-1] > MINUTE_MS).sum())
    owed = math.ceil(len(minutes) / PAGE) + 2 * holes
    bound = (owed * COST - BUCKET) / REFILL
    if done.returncode:
        raise SystemExit(done.stderr)
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
