"""How fast candles of options get into TimescaleDB, beside psql's COPY of the same rows.

Four months of a made-up chain, loaded into an empty database in turn with the reference, which
copies them month after month, too.
"""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load import COLUMNS, Bench, psql, timed
from benchmarks.machine import show
from etl.catalog import find
from etl.compute.run import Ask, compute
from etl.config import Settings, load_settings
from etl.database.load import load
from etl.database.server import down, up
from etl.database.verify import verify_database
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.read import checksum
from lake.write import publish_table
from tests.option_trades import made_up_trades
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

CANDLES = find("options_ohlcv")
MONTHS = ("2024-03", "2024-04", "2024-05", "2024-06")
TRADES, OPTIONS, ROUNDS = 400_000, 10_000, 3


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        lake = _lake(folder / "lake")
        try:
            dsn = up(folder / "db").dsn
            measure(Bench(load_settings(None, root=lake.root, dsn=dsn), folder), lake)
        finally:
            down(folder / "db")


def _lake(root: Path) -> Lake:
    lake = open_lake(root, create=True)
    for month in MONTHS:
        start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        table = arrow(made_up_trades(TRADES, options=OPTIONS, month=start))
        partition = Partition("option_trades", "BTC", month)
        publish_table(table, lake.clean(partition), **layout_of(OptionTrades))
        write_record(lake, partition, Record(rows=TRADES, checksum=checksum(table)))
    compute(lake, CANDLES, Listing(0, {}), LogProgress(), Ask(workers=1))
    return lake


def measure(bench: Bench, lake: Lake) -> None:
    """Load the same rows in both ways in turn, and verify what came."""
    loaded = bench.fresh("loaded")
    rows = load(loaded, lake, LogProgress(), datasets=[CANDLES]).inserted
    started = time.perf_counter()
    _, differences = verify_database(loaded, lake, [CANDLES])
    verifying = time.perf_counter() - started
    script = "\n".join(_copy(bench, loaded, month) for month in MONTHS)
    reference = ours = float("inf")
    for _ in range(ROUNDS):
        reference = min(reference, timed(bench, lambda to: psql(to, script)))
        ours = min(ours, timed(bench, lambda to: load(to, lake, LogProgress(), datasets=[CANDLES])))
    show(
        f"{rows:,} candles of options into an empty database, fsync on",
        ("way", "s", "krows/s", "of the reference"),
        [
            (way, f"{took:.1f}", f"{rows / took / 1e3:,.0f}", f"{reference / took:.0%}")
            for way, took in (
                ("psql COPY BINARY (reference)", reference),
                ("deribit-lake load", ours),
                (f"verify-db, {len(differences)} differences", verifying),
            )
        ],
    )


def _copy(bench: Bench, loaded: Settings, month: str) -> str:
    """Write a month to a file, sorted as the lake has it, and return the command that copies it."""
    file = bench.folder / f"{month}.binary"
    chosen = f"SELECT {COLUMNS} FROM options_ohlcv WHERE timestamp >= '{month}-01Z'"
    bounds = f"timestamp < '{month}-01Z'::timestamptz + INTERVAL '1 month'"
    ordered = f"{chosen} AND {bounds} ORDER BY instrument, timestamp"
    psql(loaded, f"\\copy ({ordered}) TO '{file}' (FORMAT binary)")
    return f"\\copy options_ohlcv ({COLUMNS}) FROM '{file}' (FORMAT binary)"


if __name__ == "__main__":
    main()
