"""One-minute candles of options on one core, from Parquet to Parquet, beside reading and writing.

A month of a chain is made up: its trades are read with the columns that are needed, its candles
written; reading alone and writing alone are the floors. What a command does besides, it checks the
candles against their contract, sums them up for the ledger and makes them durable.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from benchmarks.machine import best, pin_to_one_core, show
from etl.compute.options_ohlcv import COLUMNS, OPTIONS_OHLCV, candles_of
from etl.compute.run import Ask, compute
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum, read_table
from lake.write import publish_table
from tests.option_trades import made_up_trades
from validators.contract import layout_of
from validators.schemas.candles import OptionsOhlcv
from validators.schemas.option_trades import OptionTrades

if TYPE_CHECKING:
    from collections.abc import Callable

TRADES, OPTIONS, ROUNDS = 1_700_000, 60_000, 5
JUNE = Partition("option_trades", "BTC", "2024-06")


def main() -> None:
    """Make a month up, print the table."""
    pin_to_one_core()
    with tempfile.TemporaryDirectory() as name:
        lake = open_lake(Path(name) / "lake", create=True)
        trades = arrow(made_up_trades(TRADES, options=OPTIONS))
        path, out = lake.clean(JUNE), Path(name) / "candles.parquet"
        publish_table(trades, path, **layout_of(OptionTrades))
        write_record(lake, JUNE, Record(rows=TRADES, checksum=checksum(trades)))
        size = path.stat().st_size
        del trades

        def read() -> pa.Table:
            return read_table(path, COLUMNS, coded=("instrument",))

        table = read()
        made = arrow(candles_of(table))

        def command() -> None:
            compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask(anew=True, workers=1))

        tasks: dict[str, Callable[[], object]] = {
            "read what is needed": read,
            "make candles": lambda: candles_of(table),
            "write": lambda: publish_table(made, out, **layout_of(OptionsOhlcv)),
            "read, make and write": lambda: publish_table(
                arrow(candles_of(read())), out, **layout_of(OptionsOhlcv)
            ),
            "compute options_ohlcv (checked)": command,
        }
        seconds = {name: best(task, ROUNDS) for name, task in tasks.items()}
    floor = seconds["read what is needed"] + seconds["write"]
    what = f"{made.num_rows:,} candles of {TRADES:,} trades ({size / TRADES:.1f} bytes each)"
    show(
        f"{what}, one core",
        ["", "seconds", "million trades/s", "of reading and writing"],
        [
            [name, f"{took:.2f}", f"{TRADES / took / 1e6:.1f}", f"{took / floor:.2f}"]
            for name, took in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
