"""How long a backup takes: the first, one with nothing new, one with a day more; and a restore.

The lake has a thousand partitions and 2 GB of raw that cannot be compressed, in a repository on
the same disk: what is measured is restic and the links, not a network.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.machine import show
from etl.backup.frozen import frozen
from etl.backup.repository import Repository
from etl.backup.restic import restic_of
from etl.backup.restore import restore
from etl.backup.run import run
from etl.config import Backup
from etl.progress import LogProgress
from etl.proof.protocol import Rules
from lake.arrow import arrow
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.publish import Content, publish
from lake.read import checksum

PARTITIONS, ROWS = 1_000, 1_000
RAW_FILES, RAW_BYTES = 2_000, 1_000_000
ROUNDS = 3


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name:
        folder = Path(name)
        lake = open_lake(folder / "lake", create=True)
        rng = np.random.default_rng(17)
        for number in range(PARTITIONS):
            fill(lake, f"PART-{number:04}", rng)
        stage(lake, 2024, rng, RAW_FILES)
        environment = os.environ | {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": f"{name}/cache"}
        backup = Backup(repository=f"{name}/repository")
        show(
            "a backup",
            ("what", "s", "CPU s", "of the first"),
            measured(lake, backup, environment, rng),
        )


def measured(
    lake: Lake, backup: Backup, environment: dict[str, str], rng: np.random.Generator
) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table."""
    repository = Repository(restic_of(backup, environment), backup)
    times = {f"the first: {PARTITIONS + RAW_FILES:,} files": timed(lambda: run(lake, repository))}
    times["nothing new"] = min(timed(lambda: run(lake, repository)) for _ in range(ROUNDS))
    stage(lake, 2025, rng, RAW_FILES // 365)
    times["a 365th more"] = timed(lambda: run(lake, repository))
    times["of that, links made and taken away"] = timed(lambda: frozen_once(lake))
    times["of that, restic opens its repository"] = timed(repository.snapshots)
    times["a restore, with every file held against the ledger"] = timed(
        lambda: restore(
            repository,
            repository.snapshots()[-1],
            lake.root.with_name("back"),
            parts=["lake"],
            load=None,
            rules=Rules(0, 0, ()),
            progress=LogProgress(),
        )
    )
    first = next(iter(times.values())).wall
    return [
        (what, f"{took.wall:.2f}", f"{took.cpu:.2f}", f"{took.wall / first:.3f}")
        for what, took in times.items()
    ]


def fill(lake: Lake, part: str, rng: np.random.Generator) -> None:
    """Publish a partition of random rows."""
    rows = arrow(pl.DataFrame({"timestamp": np.arange(ROWS), "close": rng.random(ROWS)}))
    record = Record(rows=ROWS, checksum=checksum(rows))
    partition = Partition("perpetuals_ohlcv", part, "2024")
    publish(lake, partition, Content(record, rows, rows.slice(0, 0)))


def stage(lake: Lake, year: int, rng: np.random.Generator, count: int) -> None:
    """Write raw files, a hundred a folder."""
    for number in range(count):
        folder = lake.raw("noise", instrument=f"PART-{number // 100:04}", year=year)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}").write_bytes(rng.bytes(RAW_BYTES))


def frozen_once(lake: Lake) -> None:
    """Make the links, and take them away."""
    with frozen(lake):
        pass


class Took(NamedTuple):
    """What a task took [s]; the CPU's is that of restic, too."""

    wall: float
    cpu: float


def timed(task: Callable[[], object]) -> Took:
    """Return what a task takes."""
    wall, cpu = time.perf_counter(), _cpu()
    task()
    return Took(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
