"""TimescaleDB stopped for ten minutes under a collector of all perpetuals and futures."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.machine import show
from tests.database.stopped import stop_database

STOPPED_S = 600.0


def main() -> None:
    """Print how long it took to catch up, and what was missing then."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--seconds", type=float, default=STOPPED_S, help="that it is stopped")
    told.add_argument("--speed", type=float, default=1.0, help="seconds of theirs in one of ours")
    options = told.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = stop_database(
            Path(name), stopped_s=options.seconds, speed=options.speed, instruments=()
        )
    head = ["stopped s", "rows it lacked", "caught up in s", "live rows", "missing", "exit code"]
    row = [f"{options.seconds:,.0f}", f"{found.waiting:,}", f"{found.seconds:.1f}",
           f"{found.rows:,}", str(found.missing), str(found.code)]  # fmt: skip
    show("TimescaleDB stopped in mid-run", head, [row])


if __name__ == "__main__":
    main()
