"""How long a push takes: the first, one with nothing new, one after a partition changed; a pull.

The store is SeaweedFS on the same machine: what is measured is our work and the number of requests,
not a network.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.backup import fill
from benchmarks.machine import show
from etl.mirror.look import Ask
from etl.mirror.report import CopyReport
from etl.mirror.run import pull, push
from etl.progress import LogProgress
from lake.paths import Lake, open_lake
from lake.store.place import place_of
from tests.objects.server import KEYS, REGION, serving

PARTITIONS, RAW_FILES, RAW_BYTES = 1_000, 2_000, 100_000
Row = tuple[str, str, str, str, str]


def main() -> None:
    """Print the table."""
    os.environ.update(KEYS)
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name, serving() as server:
        lake = open_lake(Path(name) / "lake", create=True)
        rng = np.random.default_rng(18)
        for number in range(PARTITIONS):
            fill(lake, f"PART-{number:04}", rng)
        stage(lake, 2024, rng, RAW_FILES)
        address = f"s3://{server.bucket()}/lake"
        bucket = Lake(place_of(address, endpoint=server.s3, region=REGION))
        head = ("what", "s", "of the first", "requests", "MB")
        show("push and pull", head, measured(lake, bucket, Path(name) / "back", rng))


def measured(lake: Lake, bucket: Lake, back: Path, rng: np.random.Generator) -> list[Row]:
    """Return the rows of the table."""
    first, sent = timed(lambda: push(lake, bucket, LogProgress(), Ask()))
    rows = [row("first push", first, first, sent)]

    def add(what: str, work: Callable[[], CopyReport]) -> None:
        seconds, told = timed(work)
        rows.append(row(what, seconds, first, told))

    add("push with nothing new", lambda: push(lake, bucket, LogProgress(), Ask()))
    add("the same, without its memory", lambda: push(lake, bucket, LogProgress(), Ask(relist=True)))
    fill(lake, "PART-0000", rng)
    stage(lake, 2025, rng, 1)
    add("push of a partition that changed", lambda: push(lake, bucket, LogProgress(), Ask()))
    add("first pull", lambda: pull(Lake(back), bucket, LogProgress(), Ask()))
    add("pull with nothing new", lambda: pull(Lake(back), bucket, LogProgress(), Ask()))
    return rows


def stage(lake: Lake, year: int, rng: np.random.Generator, count: int) -> None:
    """Write raw files, a hundred a folder."""
    for number in range(count):
        folder = lake.on_disk / f"raw/noise/instrument=PART-{number // 100:04}/year={year}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}.parquet").write_bytes(rng.bytes(RAW_BYTES))


def timed(work: Callable[[], CopyReport]) -> tuple[float, CopyReport]:
    """Return how long something takes [s], and what it reports."""
    begun = time.perf_counter()
    report = work()
    return time.perf_counter() - begun, report


def row(what: str, seconds: float, first: float, report: CopyReport) -> Row:
    """Return a row of the table."""
    return (
        what,
        f"{seconds:.2f}",
        f"{seconds / first:.3f}",
        f"{report.requests:,}",
        f"{report.bytes / 1e6:,.1f}",
    )


if __name__ == "__main__":
    main()
