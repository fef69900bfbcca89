"""Basis of dated futures on one core, beside the cost of reading and writing the same columns.

A lake of two simulated years of BTC futures is filled first, over a socket. Reading alone takes
the three columns that are needed; writing alone publishes the finished frames.
"""

import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from benchmarks.machine import best, pin_to_one_core, show
from etl.compute.futures_basis import CANDLE_COLUMNS, FUTURES_BASIS
from etl.compute.run import Ask, Reader, held_of, tasks_of
from etl.instruments.lists import staged_listing
from etl.pipeline import compute_all
from etl.progress import progress_on
from lake.arrow import arrow
from lake.paths import Lake, open_lake
from lake.write import publish_table
from quant.basis import constant_maturity
from tests.acceptance.command import Product
from tests.exchange.running import running

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = ("--start", "2023-01-01", "--end", "2025-01-01")
ROUNDS = 3


def main() -> None:
    """Fill a lake, print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "lake")
        pin_to_one_core()
        _table(open_lake(folder / "lake"), folder)


def _fill(root: Path) -> None:
    with running(limits=False) as exchange:
        product = Product(root, exchange.url)
        for what in (
            ("futures", "--currency", "BTC"),
            ("perpetuals", "--instruments", "BTC-PERPETUAL"),
            ("index", "--index", "btc_usd"),
        ):
            done = product.run("backfill", *what, *PERIOD)
            if done.returncode:
                raise SystemExit(done.stderr)


def _table(lake: Lake, folder: Path) -> None:
    frames = list(basis_by_month(lake))
    tables = [_stored(frame) for frame in frames]
    rows = sum(map(len, frames))
    paths = lake.files("futures_ohlcv")

    def write(tables: list[pa.Table]) -> None:
        for number, table in enumerate(tables):
            publish_table(table, folder / f"{number}.parquet")

    def compute_and_write() -> None:
        for number, frame in enumerate(basis_by_month(lake)):
            publish_table(_stored(frame), folder / f"{number}.parquet")

    def command() -> None:
        shutil.rmtree(lake.root / "derived", ignore_errors=True)
        with progress_on(is_terminal=False) as progress:
            compute_all(lake, [FUTURES_BASIS], progress, Ask(anew=True, workers=1))

    tasks: dict[str, Callable[[], object]] = {
        "read three columns": lambda: deque(map(_read, paths), maxlen=0),
        "read and compute": lambda: deque(basis_by_month(lake), maxlen=0),
        "write": lambda: write(tables),
        "read, compute and write": compute_and_write,
        "term structure of 3 maturities": lambda: deque(map(constant_maturity, frames), maxlen=0),
        "compute basis (both, checked)": command,
    }
    seconds = {name: best(task, ROUNDS) for name, task in tasks.items()}
    floor = seconds["read three columns"]
    body = [
        [name, f"{took:.2f}", f"{rows / took / 1e6:.1f}", f"{took / floor:.1f}"]
        for name, took in seconds.items()
    ]
    head = ["", "seconds", "million rows/s", "of reading alone"]
    show(f"Basis of {rows:,} minutes of futures, one core", head, body)


def basis_by_month(lake: Lake) -> Iterator[pl.DataFrame]:
    """Yield the basis of every month the lake holds futures of; write nothing."""
    held = held_of(lake, FUTURES_BASIS.inputs)
    tasks = tasks_of(FUTURES_BASIS, held, staged_listing(lake))
    for _, group in groupby(tasks, key=lambda task: task.group):
        for _, made in FUTURES_BASIS.step(Reader(lake, held), held, list(group)):
            yield made.rows


def _read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, columns=CANDLE_COLUMNS)


def _stored(frame: pl.DataFrame) -> pa.Table:
    return arrow(frame.with_columns(pl.col("instrument", "status").cast(pl.String)))


if __name__ == "__main__":
    main()
