"""What collecting takes of the disk: raw messages by family, the live day, clean and its pages.

Tickers are those of the whole chain as it moves, the last of each minute: what is left of them
however many came. All else is what a collector of all perpetuals and futures writes in some minutes
of the simulated exchange, and what the nightly fold makes of a day. Sizes go with the number of
messages, which is stated; trades are as many as are simulated, so scale those by your own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.flood import notifications_of
from benchmarks.history import LIMITLESS
from benchmarks.machine import show
from lake.journal import Journal, journals
from lake.messages import SCHEMA, last_a_minute, read_socket, settle, socket_folder
from lake.paths import Lake, open_lake
from tests.etl.collect.collecting import NOW, collecting
from tests.exchange.market import Market
from tests.exchange.running import running

MINUTES, DAY, MONTH = 1440, "2025-10-17", 30.4
TICKER_MINUTES = 10  # a journal's
COLLECTED_MINUTES = 30.0
SPEED = 20.0
KINDS = ("candles", "trades", "funding", "index", "dvol")
FOLDED = ("perpetuals", "futures", "funding", "index", "dvol")
Sizes = dict[str, tuple[float, float]]
"""By what lies there: messages or rows a day, and bytes a day."""


def main() -> None:
    """Print the tables."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--minutes", type=float, default=COLLECTED_MINUTES, help="of a collector")
    minutes = told.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        found = _tickers(Path(name)) | _collected(Path(name), minutes) | _folded(Path(name))
    rows = [
        [what, f"{count:,.0f}", f"{size / max(count, 1):,.0f}", f"{size / 1e6:,.1f}",
         f"{size * MONTH / 1e9:,.2f}"]
        for what, (count, size) in found.items()
    ]  # fmt: skip
    head = ["", "kept a day", "bytes each", "MB a day", "GB a month"]
    show("Disk of a collector of BTC, ETH and USDC", head, rows)


def _tickers(folder: Path) -> Sizes:
    """Settle the tickers of ten minutes, one of each option and minute."""
    lake = open_lake(folder / "tickers", create=True)
    began_us = round(time.time()) // 600 * 600_000_000
    journal = Journal.open(lake, began_us)
    for minute in range(TICKER_MINUTES):
        at_us = began_us + minute * 60_000_000
        told = notifications_of(Market(7, at_us // 1000))
        journal.append([(at_us, 1, "ticker", name, message) for name, message in told])
        journal.write()
    journal.close()
    return _raw(lake, MINUTES / TICKER_MINUTES)


def _collected(folder: Path, minutes: float) -> Sizes:
    """Return what a collector of all else writes."""
    with collecting(folder / "all", now=NOW, speed=SPEED, instruments=(), kinds=KINDS) as (one, _):
        one.until("socket 1: ")
        began = one.clock.time()
        one.wait(minutes * 60)
        took = one.clock.time() - began
        one.stop()
        lake = Lake(one.lake)
        for path in journals(lake):
            settle(lake, path)
        into_day = one.clock.time() % 86_400
    live = _parquet(lake.root / "live", 86_400 / into_day, lambda path: f"live: {path.parent.name}")
    raw = _parquet(lake.root / "raw" / "socket", 1.0, _family)
    return {name: _after(lake, name, began, figures, 86_400 / took)
            for name, figures in raw.items()} | live  # fmt: skip


def _after(
    lake: Lake, name: str, began: float, figures: tuple[float, float], times: float
) -> tuple[float, float]:
    """Return rows and bytes of a family received after a moment, so many times."""
    files = sorted(socket_folder(lake, name.removeprefix("raw: ")).rglob("*.parquet"))
    table = pl.DataFrame(pa.Table.from_batches(read_socket(files), SCHEMA))
    late = table.filter(pl.col("received_at").dt.epoch("ms") >= began * 1000)
    share = late["message"].bin.size().sum() / table["message"].bin.size().sum()
    return late.height * times, figures[1] * share * times


def _family(path: Path) -> str:
    return "raw: " + path.parent.parent.name.removeprefix("family=")


def _raw(lake: Lake, times: float) -> Sizes:
    """Settle what is left of journals, and return what lies in raw, by family."""
    for path in journals(lake):
        settle(lake, path, {"ticker": last_a_minute})
    return _parquet(lake.root / "raw" / "socket", times, _family)


def _folded(folder: Path) -> Sizes:
    """Return what the fold of a day brings into clean, and the pages it is made of."""
    lake = folder / "folded"
    with running(limits=False) as exchange:
        for word in FOLDED:
            command = [str(Path(sys.executable).with_name("deribit-lake")), "--host", exchange.url]
            command += ["--lake", str(lake), "backfill", word, "--start", DAY, "--end", NOW[:10]]
            environment = os.environ | LIMITLESS | {"DERIBIT_LAKE_LOG_DIR": str(folder / "logs")}
            subprocess.run(command, env=environment, check=True, capture_output=True)
    pages = [path for path in (lake / "raw").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in pages)
    clean = _parquet(lake / "clean", 1.0, lambda path: "clean: " + path.relative_to(lake).parts[1])
    return clean | {"raw: pages of the fold": (len(pages), size)}


def _parquet(folder: Path, times: float, called: Callable[[Path], str]) -> Sizes:
    """Return rows and bytes of Parquet files, so many times, by what they are called."""
    rows, sizes = Counter[str](), Counter[str]()
    for path in sorted(folder.rglob("*.parquet")):
        name = called(path)
        rows[name] += pq.read_metadata(path).num_rows
        sizes[name] += path.stat().st_size
    return {name: (rows[name] * times, sizes[name] * times) for name in rows}


if __name__ == "__main__":
    main()
