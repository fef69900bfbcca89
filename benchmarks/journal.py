"""How fast messages of sockets are journalled, settled into raw, and made rows of `option_tickers`.

The messages are tickers of options, as many a second as `A_SECOND`, of as many options as a chain
has; their numbers walk, as quotes do.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from benchmarks.machine import pin_to_one_core, show
from etl.snapshots.fold import refresh
from lake.journal import Journal, Message, read_journal
from lake.messages import Thin, last_a_minute, settle
from lake.partition import Partition
from lake.paths import Lake, open_lake

OPTIONS, A_SECOND, SECONDS = 1_000, 5_000, 120
START_MS = 1_773_478_800_000  # 2026-03-14 09:00
FLUSHES = SECONDS * 2
PARTITION = Partition("option_tickers", "BTC", "2026-03-14")
T = TypeVar("T")


def main() -> None:
    """Print the table."""
    pin_to_one_core()
    messages = tickers()
    size = sum(len(message[-1]) for message in messages) / len(messages)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, thin in (("all kept", {}), ("last a minute", {"ticker": last_a_minute})):
            lake = open_lake(Path(folder, name), create=True)
            rows += journalled(lake, messages, name, thin)
    title = f"{len(messages):,} tickers of {size:.0f} bytes of {OPTIONS:,} options, one core"
    show(title, ("step", "messages/s", "bytes on disk a message"), rows)


def journalled(
    lake: Lake, messages: list[Message], name: str, thin: Mapping[str, Thin]
) -> list[tuple[str, str, str]]:
    """Return what journalling, reading, settling and folding takes."""
    journal = Journal.open(lake, START_MS * 1000)
    written = seconds(lambda: write(journal, messages))
    on_disk = journal.bytes / len(messages)
    read = seconds(lambda: sum(batch.num_rows for batch in read_journal(journal.path)))
    settled, took = timed(lambda: settle(lake, journal.path, thin))
    kept = sum(path.stat().st_size for path in settled.files) / settled.kept
    record, folded = timed(lambda: refresh(lake, PARTITION))
    clean = lake.clean(PARTITION).stat().st_size / record.rows
    count = len(messages)
    return [
        (f"written, {FLUSHES} flushes", f"{count / written:,.0f}", f"{on_disk:.0f}"),
        ("read", f"{count / read:,.0f}", ""),
        (f"settled, {name}", f"{count / took:,.0f}", f"{kept:.0f}"),
        (f"folded, {record.rows:,} rows", f"{settled.kept / folded:,.0f}", f"{clean:.0f}"),
    ]


def write(journal: Journal, messages: list[Message]) -> None:
    """Write messages in as many flushes as a collector makes in that time."""
    at_once = -(-len(messages) // FLUSHES)
    for start in range(0, len(messages), at_once):
        journal.append(messages[start : start + at_once])
        journal.write()
    journal.close()


def tickers() -> list[Message]:
    """Return messages in the order they come in."""
    dice = np.random.default_rng(7)
    count = A_SECOND * SECONDS
    walks = np.abs(dice.normal(0, 0.01, (count // OPTIONS, OPTIONS)).cumsum(0)).round(4) + 0.001
    return [_message(number, float(price)) for number, price in enumerate(walks.ravel())]


def _message(number: int, price: float) -> Message:
    name = f"BTC-{26 if number % 2 else 25}JUN26-{20_000 + number % OPTIONS * 100}-C"
    ms = START_MS + number * 1000 // A_SECOND
    channel = f"ticker.{name}.100ms"
    data = {
        "timestamp": ms, "state": "open", "instrument_name": name, "interest_rate": 0.0,
        "stats": {"high": None, "low": None, "price_change": None, "volume": 0.0},
        "greeks": {
            "delta": round(price, 5), "gamma": 1e-05, "vega": round(price * 80, 5),
            "theta": round(-price * 90, 5), "rho": round(price * 30, 5),
        },
        "best_bid_price": price, "best_bid_amount": 12.5, "best_ask_price": price + 0.0005,
        "best_ask_amount": 7.1, "last_price": None, "mark_price": price, "mark_iv": 40.21,
        "bid_iv": 39.2, "ask_iv": 41.3, "underlying_index": "BTC-26JUN26", "open_interest": 31.2,
        "underlying_price": round(90_000 + price * 100, 4), "index_price": 90_012.34,
        "settlement_price": 0.041, "estimated_delivery_price": 90_012.34,
        "min_price": 0.0001, "max_price": 0.12,
    }  # fmt: skip
    told = {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {"channel": channel, "data": data},
    }
    return (ms * 1000, number % 8, "ticker", channel, msgspec.json.encode(told))


def timed(task: Callable[[], T]) -> tuple[T, float]:
    """Return what a task returns, and how long it took [s]."""
    started = time.perf_counter()
    result = task()
    return result, time.perf_counter() - started


def seconds(task: Callable[[], object]) -> float:
    """Return how long a task takes [s]."""
    return timed(task)[1]


if __name__ == "__main__":
    main()
