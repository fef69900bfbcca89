"""Two builds in turn, each a whole process: replay, its memory, status, questions, --help.

``python -m benchmarks.builds [COMMIT]`` holds this build against another. The lake is made by the
other build from the simulated exchange, and kept between runs; each build works on a copy.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.history import END, LIMITLESS, START
from benchmarks.machine import show
from benchmarks.memory import peak_mb
from tests.acceptance.command import digests
from tests.exchange.running import running

OTHER = "f131bef"
ROOT = Path(__file__).parents[1]
REPLAYS, PEAKS, STARTS = 3, 3, 9
YEAR = ("--start", "2024-10-18", "--end", END)
BACKFILLS = (
    ("perpetuals", "--instruments", "BTC-PERPETUAL,ETH-PERPETUAL", "--start", START, "--end", END),
    ("futures", *YEAR),
)
QUERIES = {
    "a day of one perpetual": "SELECT count(*), max(high) FROM perpetuals_ohlcv WHERE "
    "instrument = 'BTC-PERPETUAL' AND timestamp >= '2025-03-01' AND timestamp < '2025-03-02'",
    "both perpetuals, all years": "SELECT instrument, avg(close) FROM perpetuals_ohlcv GROUP BY 1",
}
FUTURES = 5_000  # of two years each
WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True)
class Build:
    """The code of one build, and what it works on."""

    code: Path
    folder: Path

    @property
    def lake(self) -> Path:
        """Its copy of the lake."""
        return self.folder / "lake"

    def start(self, lake: Path, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command on a lake."""
        command = [sys.executable, "-m", "cli", "--lake", str(lake), *words]
        return subprocess.Popen(
            command,
            cwd=self.code,
            env=environment(self.code, self.folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def main() -> None:
    """Print the table."""
    other = sys.argv[1] if len(sys.argv) > 1 else OTHER
    with checkout(other) as code, tempfile.TemporaryDirectory(prefix="deribit-lake-") as scratch:
        lake, small = lake_of(code, other), _lake_of_many(Path(scratch, "many"))
        builds = [
            _build(code, Path(scratch, "old"), lake),
            _build(ROOT, Path(scratch, "new"), lake),
        ]
        for build in builds:  # compile the modules, and bring the lake to the build's format
            _wall(build.start(build.lake, "replay"))
        same = _same_files(*builds)
        rows = [
            _row("replay [s]", _in_turn(builds, REPLAYS, lambda b: _replay(b, _wall)), "{:.2f}"),
            _row("its peak [MB]", _in_turn(builds, PEAKS, lambda b: _replay(b, _peak)), "{:.0f}"),
            _row(
                f"status of {2 * FUTURES:,} partitions [s]",
                _in_turn(builds, STARTS, lambda b: _wall(b.start(small, "status"))),
                "{:.3f}",
            ),
            *(
                _row(
                    f"{name} [s]",
                    _in_turn(
                        builds, STARTS, lambda b, sql=sql: _wall(b.start(b.lake, "query", sql))
                    ),
                    "{:.3f}",
                )
                for name, sql in QUERIES.items()
            ),
            _row(
                "--help [s]",
                _in_turn(builds, STARTS, lambda b: _wall(b.start(small, "--help"))),
                "{:.3f}",
            ),
        ]
    show(
        f"{other} and this build in turn, medians; {same}",
        ("whole process", other, "this build", "ratio"),
        rows,
    )


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Return a folder with the code of a commit."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-") as name:
        _git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), name)
        _git("-C", name, "checkout", "--quiet", "--detach", commit)
        yield Path(name)


def _git(*words: str) -> None:
    git = shutil.which("git") or "git"
    subprocess.run([git, *words], check=True)


def lake_of(code: Path, commit: str) -> Path:
    """Return a lake made by a build: two perpetuals whole, and a year of all dated futures.

    The first call takes some minutes, later ones seconds.
    """
    root = Path(tempfile.gettempdir()) / f"deribit-lake-bench-{os.getuid()}" / commit
    root.mkdir(parents=True, exist_ok=True)
    with running(limits=False) as exchange:
        for words in BACKFILLS:
            command = [sys.executable, "-m", "cli", "--host", exchange.url]
            command += ["--history-host", exchange.url, "--lake", str(root / "lake")]
            given = environment(code, root) | LIMITLESS
            subprocess.run(
                [*command, "backfill", *words],
                cwd=code,
                env=given,
                check=True,
                capture_output=True,
            )
    return root / "lake"


def _lake_of_many(root: Path) -> Path:
    """Return a lake of many small partitions, as a backfill of futures leaves it.

    Status looks whether published files and raw segments are there, not into them: they are empty.
    """
    root.mkdir()
    (root / "lake.json").write_text('{"format": 1}\n')
    for number in range(FUTURES):
        expiry = date(2025, 1, 1) - timedelta(days=number // 2 - FUTURES // 4)
        name = f"{('BTC', 'ETH')[number % 2]}-{expiry.day}{expiry:%b%y}".upper()
        turn = round(datetime(expiry.year, 1, 1, tzinfo=UTC).timestamp() * 1000)
        _write_partition(root, name, expiry.year - 1, turn - WEEK_MS)
        _write_partition(root, name, expiry.year, turn)
    return root


def _write_partition(root: Path, name: str, year: int, start: int) -> None:
    segment = f"{year}000000000000-00000000.parquet"
    raw = f"raw/get_tradingview_chart_data/instrument={name}/resolution=1/year={year}/{segment}"
    ledger = {
        "format": 1,
        "wanted": [[start, start + WEEK_MS]],
        "rows": 10_080,
        "fillers": 300,
        "first_ms": start,
        "last_ms": start + WEEK_MS - 60_000,
        "checksum": "0" * 32,
        "quarantined": 0,
        "attempts": 3,
        "gaps": [],
        "provisional": [],
        "segments": [segment],
    }
    for path, content in (
        (raw, ""),
        (f"clean/futures_ohlcv/{name}/{year}.parquet", ""),
        (f"ledger/futures_ohlcv/{name}/{year}.json", json.dumps(ledger, indent=1)),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def _build(code: Path, folder: Path, lake: Path) -> Build:
    build = Build(code, folder)
    shutil.copytree(lake, build.lake)
    return build


def environment(code: Path, folder: Path) -> dict[str, str]:
    """Return the environment of a command: as installed, with compiled modules and all threads."""
    ours = {"POLARS_MAX_THREADS", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"}
    rest = {name: value for name, value in os.environ.items() if name not in ours}
    return rest | {"PYTHONPATH": str(code), "DERIBIT_LAKE_LOG_DIR": str(folder / "logs")}


def _in_turn(
    builds: list[Build], times: int, measure: Callable[[Build], float]
) -> tuple[float, float]:
    """Return the median of each of two builds, measured one after the other, again and again."""
    old, new = zip(*([measure(build) for build in builds] for _ in range(times)), strict=True)
    return statistics.median(old), statistics.median(new)


def _replay(build: Build, measure: "Callable[[subprocess.Popen[bytes]], float]") -> float:
    return measure(build.start(build.lake, "replay"))


def _wall(process: "subprocess.Popen[bytes]") -> float:
    """Return how long a process that was just started runs [s]."""
    started = time.perf_counter()
    _end(process)
    return time.perf_counter() - started


def _end(process: "subprocess.Popen[bytes]") -> None:
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"{process.args} ended with {process.returncode}: {said.decode()}")


def _peak(process: "subprocess.Popen[bytes]") -> float:
    """Return the most memory a process and all below it hold at once [MB]."""
    peak = peak_mb(process)
    _end(process)
    return peak


def _same_files(old: Build, new: Build) -> str:
    ours = {top: digests(new.lake, top) for top in ("clean", "quarantine")}
    theirs = {top: digests(old.lake, top) for top in ours}
    pairs = [(theirs[top][name], ours[top].get(name)) for top in ours for name in theirs[top]]
    return f"{sum(one == other for one, other in pairs)} of {len(pairs)} files have the same bytes"


def _row(name: str, medians: tuple[float, float], form: str) -> tuple[str, ...]:
    old, new = medians
    return name, form.format(old), form.format(new), f"{new / old:.2f}"


if __name__ == "__main__":
    main()
