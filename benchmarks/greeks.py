"""Greeks of a month of option minutes on one core, from Parquet to Parquet, and what others take.

Simulated trades are published with their forwards and volatilities; the step reads those and a
year of rates, and writes `options_greeks`. Floors are reading, the kernels and writing, each alone.
What a command does besides, it checks the contract, sums up for the ledger and makes durable.
"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.machine import best, pin_to_one_core, show
from benchmarks.option_iv import publish_month
from etl.compute import forward_curve, option_iv, options_greeks
from etl.compute.run import Ask, compute
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow, floats
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.read import checksum, read_table
from lake.write import publish_table
from validators.contract import layout_of
from validators.schemas.options_greeks import OptionsGreeks
from validators.schemas.treasury_bills import TENORS

if TYPE_CHECKING:
    from collections.abc import Callable

MONTH = "2024-03"
ROUNDS = 5


def main() -> None:
    """Make a month of volatilities, print the tables."""
    pin_to_one_core()
    with tempfile.TemporaryDirectory() as name:
        lake = open_lake(Path(name) / "lake", create=True)
        publish_month(lake, Partition("option_trades", "BTC", MONTH))
        publish_rates(lake, 2024)
        for dataset in (forward_curve.FORWARD_CURVE, option_iv.OPTION_IV):
            compute(lake, dataset, Listing(0, {}), LogProgress(), Ask(workers=1))
        _stages(lake, Path(name) / "greeks.parquet")


def publish_rates(lake: Lake, year: int) -> None:
    """Publish a curve for every day of a year and the day before it."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(-1, 366)]
    frame = pl.DataFrame({"timestamp": days, "published_on": days}).with_columns(
        pl.col("timestamp", "published_on").cast(pl.Datetime("us", "UTC")),
        pl.lit("USD").alias("currency"), pl.lit("treasury").alias("source"),
        pl.lit(value=False).alias("is_carried"),
        **{name: 0.05 + 0.002 * tenor for name, tenor in TENORS.items()},
    )  # fmt: skip
    table, one = arrow(frame), Partition(options_greeks.BILLS, "USD", str(year))
    publish_table(table, lake.clean(one))
    write_record(lake, one, Record(rows=len(table), checksum=checksum(table)))


def _stages(lake: Lake, out: Path) -> None:
    """Print what each stage takes on one core."""
    vols = lake.derived(Partition(option_iv.NAME, "BTC", MONTH))
    bills = pl.read_parquet(lake.clean(Partition(options_greeks.BILLS, "USD", MONTH[:4])))

    def read() -> pa.Table:
        return read_table(vols, options_greeks.COLUMNS, coded=options_greeks.CODED)

    traded = read()
    made = options_greeks.greeks_of(traded, bills)
    table = _table(made)

    def write() -> None:
        publish_table(table, out, **layout_of(OptionsGreeks))

    def whole() -> None:
        found = options_greeks.greeks_of(read(), bills)
        publish_table(_table(found), out, **layout_of(OptionsGreeks))

    def command() -> None:
        ask = Ask(anew=True, workers=1)
        compute(lake, options_greeks.OPTIONS_GREEKS, Listing(0, {}), LogProgress(), ask)

    tasks: dict[str, Callable[[], object]] = {
        "read": read,
        "kernel": _kernel(made),
        "step, no I/O": lambda: options_greeks.greeks_of(traded, bills),
        "write": write,
        "Parquet to Parquet": whole,
        "the command: checked, durable": command,
    }
    rows = len(made)
    seconds = {name: best(task, ROUNDS) for name, task in tasks.items()}
    show(
        f"{rows:,} option minutes of {len(traded):,} trades, one core "
        f"({out.stat().st_size / rows:.1f} bytes each)",
        ["", "seconds", "million rows/s"],
        [[name, f"{took:.3f}", f"{rows / took / 1e6:.2f}"] for name, took in seconds.items()],
    )


def _kernel(made: pl.DataFrame) -> "Callable[[], object]":
    """Return what runs the kernel on arrays that are there."""
    from quant.kernels.greeks import greeks  # noqa: PLC0415  (numba)

    table = _table(made)
    names = ("forward", "index_price", "tenor", "iv", "rate")
    forward, index, tenor, iv, rate = (floats(table[name]) for name in names)
    strike = forward * 1.05
    flags = np.ones((2, len(made)), bool)
    return lambda: greeks(forward, index, strike, tenor, iv, rate, *flags)


def _table(frame: pl.DataFrame) -> pa.Table:
    return arrow(frame.with_columns(pl.col(pl.Enum).cast(pl.String)))


if __name__ == "__main__":
    main()
