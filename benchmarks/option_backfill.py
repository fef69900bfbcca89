"""How close option trades come to the exchange's credits, and what memory and disk they take.

The exchange is simulated on the same cores, and makes the trades it sends.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.machine import show
from tests.acceptance.command import Product
from tests.exchange.running import running

CURRENCIES = ("BTC", "ETH", "USDC")
START, DAYS = "2024-06-01", 30
COST, BUCKET, REFILL, PAGE = 500, 50_000, 10_000, 10_000


def main(days: int = DAYS) -> None:
    """Print the table."""
    end = f"{pl.Series([START]).str.to_date().dt.offset_by(f'{days}d')[0]}"
    words = ("options", "--currency", ",".join(CURRENCIES), "--start", START, "--end", end)
    with (
        running(latency_ms=100, warm=",".join(CURRENCIES), options_since=START) as exchange,
        tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as folder,
    ):
        product = Product(Path(folder) / "lake", exchange.url)
        product.run("instruments", "refresh", "--currency", ",".join(CURRENCIES))
        before = exchange.stats()["requests"]
        started = time.perf_counter()
        done, peak = product.run_measured("backfill", *words)
        wall = time.perf_counter() - started
        sent = exchange.stats()["requests"] - before
        files = sorted(product.lake.glob("clean/option_trades/*/*.parquet"))
        rows = pl.scan_parquet(files).select(pl.len()).collect().item()
        size = sum(path.stat().st_size for path in files)
        raw = sum(
            path.stat().st_size for path in product.lake.glob("raw/get_last_trades*/**/*.parquet")
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    owed = math.ceil(rows / PAGE) + days * len(CURRENCIES)
    bound = (owed * COST - BUCKET) / REFILL
    show(
        f"{rows:,} trades of {days} days, {', '.join(CURRENCIES)}, real limits, 100 ms latency",
        ("what", "value"),
        [
            ("requests owed (trades / 10,000 + one a window) / sent", f"{owed} / {sent}"),
            ("credit bound (reference)", f"{bound:.1f} s"),
            ("wall, from the command to its end, candles made", f"{wall:.1f} s"),
            ("ratio", f"{wall / bound:.2f}"),
            ("peak memory", f"{peak:.0f} MB"),
            ("bytes a trade, clean / raw", f"{size / rows:.1f} / {raw / rows:.1f}"),
        ],
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
