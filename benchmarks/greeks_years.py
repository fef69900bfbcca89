"""Greeks of four years of BTC and ETH, from trades to `options_greeks`: total time, peak memory.

Simulated trades of 96 months are published as a backfill does, then each command runs in a process
of its own. To make the trades takes ten minutes and more; with the name of a folder they are kept
there, and used again: ``python -m benchmarks.greeks_years FOLDER``.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.greeks import publish_rates
from benchmarks.machine import show
from benchmarks.memory import peak_mb
from benchmarks.option_iv import publish_month
from lake.ledger import records
from lake.partition import Partition
from lake.paths import Lake, open_lake

YEARS = range(2022, 2026)
CURRENCIES = ("BTC", "ETH")
WORKERS = (1, 2)


def main() -> None:
    """Make the trades, print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1]) if sys.argv[1:] else Path(name) / "lake"
        lake = open_lake(folder, create=True)
        _make(lake)
        _timed(folder, "iv", workers=2)
        rows = []
        for workers in WORKERS:
            _forget(lake)
            seconds, peak = _timed(folder, "greeks", workers=workers)
            made = sum(record.rows for _, record in records(lake, "options_greeks"))
            cells = (f"{made:,}", f"{seconds:,.0f}", f"{made / seconds / 1e6:.2f}", f"{peak:,.0f}")
            rows.append([str(workers), *cells])
    show(
        f"compute greeks, {YEARS[0]} to {YEARS[-1]}, BTC and ETH: checked and durable",
        ["workers", "rows", "seconds", "million rows/s", "peak MB"],
        rows,
    )


def _make(lake: Lake) -> None:
    """Publish trades and rates, but those that are there."""
    months = [f"{year}-{month:02}" for year in YEARS for month in range(1, 13)]
    for year in YEARS:
        publish_rates(lake, year)
    for currency in CURRENCIES:
        for month in months:
            one = Partition("option_trades", currency, month)
            if not lake.ledger(one).exists():
                publish_month(lake, one)


def _forget(lake: Lake) -> None:
    for top in ("derived", "ledger"):
        shutil.rmtree(lake.root / top / "options_greeks", ignore_errors=True)


def _timed(folder: Path, dataset: str, *, workers: int) -> tuple[float, float]:
    """Return what a command takes [s], and its most memory with all its workers [MB]."""
    words = ("--lake", str(folder), "compute", dataset, "--workers", str(workers))
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = peak_mb(process)
    if process.wait():
        sys.exit(f"compute {dataset} ended with {process.returncode}")
    return time.perf_counter() - started, peak


if __name__ == "__main__":
    main()
