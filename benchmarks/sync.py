"""What a second sync costs, and the first of the day after, against the first of all."""

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import show
from tests.acceptance.command import Product
from tests.exchange.running import running

SINCE = "2024-01-01"
HOUR_MS = 3_600_000
TRAILING = Path("operations/trailing.json")


def main(since: str = SINCE) -> None:
    """Print the table."""
    with (
        running(latency_ms=100) as exchange,
        tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as folder,
    ):
        settings = (("DERIBIT_LAKE_KEEP__SINCE", since),)
        product = Product(Path(folder) / "lake", exchange.url, settings)
        runs = {"first": _run(product), "second": _run(product)}
        _tomorrow(product)
        runs["the trailing 48 hours, once a day"] = _run(product)
    requests, seconds = runs["first"]
    show(
        f"`sync`, both perpetuals, funding and index since {since}, real limits, 100 ms latency",
        ("run", "requests", "ratio", "seconds", "ratio"),
        [
            (name, f"{sent:,}", f"{sent / requests:.3f}", f"{wall:.2f}", f"{wall / seconds:.3f}")
            for name, (sent, wall) in runs.items()
        ],
    )


def _run(product: Product) -> tuple[int, float]:
    """Return the requests of a sync and its wall time, from the command to its end [s]."""
    started = time.perf_counter()
    done = product.run("sync", "--json")
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["requests"], wall


def _tomorrow(product: Product) -> None:
    """Let the trailing hours have been read a day ago."""
    path = product.lake / TRAILING
    known = {name: ms - 24 * HOUR_MS for name, ms in json.loads(path.read_bytes()).items()}
    path.write_text(json.dumps(known), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
