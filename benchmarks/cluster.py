"""Implied volatility and Greeks on a Dask cluster: beside one process, and two, of this machine.

Simulated trades of some months are published as a backfill does. Then each way computes all that
follows of them in turn, a whole command each, the better of two rounds; the bytes it leaves are
held against those of one process. Scheduler and workers run before, as those of a cluster do; at
last one of two workers is killed when a third of the months is done.

``python -m benchmarks.cluster [MONTHS [FOLDER]]``: of how many months, 4 where nothing is said; the
trades are kept in a folder that has a name.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.greeks import publish_rates
from benchmarks.machine import show
from benchmarks.option_iv import publish_month
from lake.partition import Partition
from lake.paths import Lake, open_lake
from tests.dask_cluster import Cluster, cluster

YEAR, MONTHS, ROUNDS = 2024, 4, 2
DATASETS = ("forward_curve", "option_iv", "options_greeks")
SERIAL, HERE, ONE, TWO = "one process", "--workers 2", "Dask, 1 worker", "Dask, 2 workers"
KILLED = "Dask, one of 2 workers killed"


def main() -> None:
    """Make the trades, print the table."""
    months = int(sys.argv[1]) if sys.argv[1:] else MONTHS
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lake = _made(Path(sys.argv[2]) if sys.argv[2:] else scratch / "lake", months)
        clusters = {
            name: stack.enter_context(cluster(scratch / str(count), count))
            for count, name in ((1, ONE), (2, TWO))
        }
        ways = {SERIAL: ("--workers", "1"), HERE: ("--workers", "2")}
        ways |= {name: ("--cluster", one.address) for name, one in clusters.items()}
        seconds: dict[str, float] = {}
        left: dict[str, set[str]] = {name: set() for name in ways}
        for _ in range(ROUNDS):
            for name, words in ways.items():
                took = _timed(lake, words)
                seconds[name] = min(took, seconds.get(name, took))
                left[name].add(_digest(lake))
        victim = _killer(lake, clusters[TWO], months)
        seconds[KILLED] = _timed(lake, ways[TWO], victim)
        left[KILLED] = {_digest(lake)}
    show(
        f"compute iv and greeks of {months} months of BTC: checked and durable",
        ["", "seconds", "of one process", "of Dask's 1 worker", "of --workers 2", "bytes"],
        [
            [name, f"{took:.1f}", *(f"{seconds[way] / took:.2f}" for way in (SERIAL, ONE, HERE)),
             "the same" if left[name] == left[SERIAL] else "OTHERS"]
            for name, took in seconds.items()
        ],
    )  # fmt: skip
    if any(each != left[SERIAL] or len(each) > 1 for each in left.values()):
        sys.exit("not the same bytes")


def _made(folder: Path, months: int) -> Lake:
    """Return a lake of trades and rates; what is there is used again."""
    lake = open_lake(folder, create=True)
    publish_rates(lake, YEAR)
    for month in range(1, months + 1):
        one = Partition("option_trades", "BTC", f"{YEAR}-{month:02}")
        if not lake.ledger(one).exists():
            publish_month(lake, one)
    return lake


def _timed(lake: Lake, words: tuple[str, ...], meanwhile: Callable[[], bool] = bool) -> float:
    """Return what computing everything anew takes [s]; `meanwhile` is done until it says so."""
    for top in ("derived", "ledger"):
        for name in DATASETS:
            shutil.rmtree(lake.root / top / name, ignore_errors=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "cli", "--lake", str(lake.root), "compute", *DATASETS, *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not meanwhile():
            time.sleep(0.05)
        _, said = process.communicate()
    if process.returncode:
        sys.exit(f"compute ended with {process.returncode}: {said.decode()}")
    return time.perf_counter() - started


def _killer(lake: Lake, running: Cluster, months: int) -> Callable[[], bool]:
    """Return what kills a worker once a third of the volatilities is published, and says so."""

    def kill() -> bool:
        if len(list(lake.root.glob("derived/option_iv/*/*.parquet"))) < max(1, months // 3):
            return False
        running.workers[0].kill()
        return True

    return kill


def _digest(lake: Lake) -> str:
    """Return a digest of all that was computed, and of its lines in the ledger."""
    found = hashlib.blake2b()
    for path in sorted(
        path
        for top in ("derived", "ledger")
        for name in DATASETS
        for path in lake.root.glob(f"{top}/{name}/*/*.[pj]*")
    ):
        found.update(str(path.relative_to(lake.root)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
