"""The page of a lake of a hundred thousand options over ten years, against `status` of the same.

``python -m benchmarks.report [OPTIONS]``. Both walk every ledger; the page reads the newest day of
tickers, too, which is one of a collector: a chain every minute.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from benchmarks.machine import show
from benchmarks.memory import peak_mb
from lake.arrow import arrow
from lake.ledger import Gap, Record, write_record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.read import checksum
from lake.span import Span
from lake.write import publish_table
from tests import greek_tickers

OPTIONS = 100_000
FIRST, DAYS = datetime(2016, 1, 1, 8, tzinfo=UTC), 3_650
STRIKES, LIFE = 10, timedelta(days=20)
CHAIN_AT_MS = 1_760_659_200_000  # 2025-10-17
SEGMENT = "20240101000000000000-00000000.parquet"
TIMES = 3


def main() -> None:
    """Make the lake, print the table."""
    count = int(sys.argv[1]) if sys.argv[1:] else OPTIONS
    with tempfile.TemporaryDirectory(prefix="deribit-lake-") as name:
        folder = Path(name)
        lake = open_lake(folder / "lake", create=True)
        for number in range(count):
            _write_option(lake, number)
        rows = [_measured(folder, f"{count:,} options")]
        tickers = _publish_day(lake)
        rows.append(_measured(folder, f"the same, and {tickers:,} tickers of a day"))
        show(
            "report of a whole lake against status, whole processes, medians",
            ["lake", "status [s]", "report [s]", "ratio", "peaks [MB]", "ratio", "page [kB]"],
            rows,
        )


def _write_option(lake: Lake, number: int) -> None:
    """Write the ledger of an option's candles, and empty files where it names some."""
    expiry = FIRST + timedelta(days=DAYS * (number // STRIKES) * STRIKES // OPTIONS)
    day = f"{expiry.day}{expiry:%b%y}".upper()
    family = ("BTC", "ETH", "SOL_USDC")[number % 3]
    one = f"{family}-{day}-{1_000 * (1 + number % STRIKES)}-{'CP'[number % 2]}"
    start, end = (round(each.timestamp() * 1000) for each in (expiry - LIFE, expiry))
    year = str((expiry - LIFE).year)
    partition = Partition("options_chart", one, year)
    reason = "no_answer" if number % 1_000 == 0 else "before_first_trade"
    record = Record(
        wanted=(Span(start, end),),
        rows=14_400,
        first_ms=start + 60_000_000,
        last_ms=end - 60_000,
        checksum="0" * 32,
        gaps=(Gap(start, start + 60_000_000, reason),),
        segments=(SEGMENT,),
    )
    path = lake.ledger(partition)
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(record))  # not durably: that takes a minute
    raw = lake.raw("get_tradingview_chart_data", instrument=one, resolution=1, year=year)
    for file in (lake.clean(partition), raw / SEGMENT):
        file.parent.mkdir(parents=True)
        file.touch()


def _publish_day(lake: Lake) -> int:
    """Publish a day of tickers, a chain a minute; return how many there are."""
    chain = greek_tickers.tickers("BTC", CHAIN_AT_MS)
    minutes = pl.DataFrame({"minute": range(1_440)})
    later = pl.duration(minutes=pl.col("minute"))
    moments = [name for name, kind in chain.schema.items() if name in {"timestamp", "quoted_at"}
               and isinstance(kind, pl.Datetime)]  # fmt: skip
    rows = minutes.join(chain, how="cross").with_columns(pl.col(moments) + later).drop("minute")
    partition, table = Partition("option_tickers", "BTC", "2025-10-17"), arrow(rows)
    publish_table(table, lake.clean(partition))
    first = CHAIN_AT_MS
    write_record(
        lake,
        partition,
        Record(
            rows=len(rows),
            checksum=checksum(table),
            first_ms=first,
            last_ms=first + 1_439 * 60_000,
        ),
    )
    return len(rows)


def _measured(folder: Path, words: str) -> list[str]:
    page = folder / "report.html"
    told = {"status": ("status",), "report": ("report", "--out", str(page))}
    seconds: dict[str, list[float]] = {name: [] for name in told}
    peaks: dict[str, list[float]] = {name: [] for name in told}
    for _ in range(TIMES):
        for name, command in told.items():
            took, peak = _run(folder, *command)
            seconds[name].append(took)
            peaks[name].append(peak)
    old, new = (statistics.median(seconds[name]) for name in told)
    low, high = (statistics.median(peaks[name]) for name in told)
    size = page.stat().st_size / 1e3
    return [
        words,
        f"{old:.1f}",
        f"{new:.1f}",
        f"{new / old:.2f}",
        f"{low:.0f}, {high:.0f}",
        f"{high / low:.2f}",
        f"{size:,.0f}",
    ]


def _run(folder: Path, *words: str) -> tuple[float, float]:
    """Return how long a command takes [s], and its most memory [MB]."""
    command = [sys.executable, "-m", "cli", "--lake", str(folder / "lake"), *words]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = peak_mb(process)
    took = time.perf_counter() - started
    if process.returncode not in {0, 3, 4}:
        sys.exit(f"{words} ended with {process.returncode}: {process.stderr}")
    return took, peak


if __name__ == "__main__":
    main()
