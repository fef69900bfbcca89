"""Lakes that are collected from the simulated exchange, of any span and cadence, and timed.

Tickers of the whole chain go the way of a collector: a journal of ten minutes, raw Parquet of it,
`option_tickers` of that. What is timed is ours alone; to render the tickers takes longer.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.flood import CURRENCIES, notifications_of
from etl.snapshots import fold
from lake.arrow import arrow
from lake.journal import Journal, Message
from lake.ledger import Record, write_record
from lake.messages import settle
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.write import publish_table
from tests.exchange.market import Market
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

JOURNAL_S = 600
SECOND_MS, DAY_MS = 1000, 86_400_000
LATE_MS = 40  # from the exchange to us, at least
_STAMP = b'"timestamp":%d'


@dataclass(slots=True)
class Took:
    """What was done: how often, and what it took of a core [s], by what it is called.

    Time of the processor, not of the clock: a machine that does other work does not change it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time of what is done inside."""
        started = time.process_time()
        yield
        self.seconds[name] += time.process_time() - started

    def each(self, name: str, of: str) -> float:
        """Return the time of something, of each of what was counted [us]."""
        return self.seconds[name] / self.counts[of] * 1e6


@dataclass(frozen=True, slots=True)
class Chain:
    """What is collected: the options that settle in some currencies, every so many seconds."""

    every: int
    currencies: tuple[str, ...] = CURRENCIES


def collect_tickers(lake: Lake, start_ms: int, seconds: int, chain: Chain, took: Took) -> None:
    """Write a ticker of every living option of a chain, and settle the journals."""
    market, random = Market(7, start_ms), np.random.default_rng(start_ms // SECOND_MS)
    for begin in range(0, seconds, JOURNAL_S):
        journal = Journal.open(lake, (start_ms + begin * SECOND_MS) * 1000)
        for second in range(begin, min(begin + JOURNAL_S, seconds), chain.every):
            now = market.at(start_ms + second * SECOND_MS)
            messages = _messages(now, chain.currencies, random)
            with took.timed("journal"):
                journal.append(messages)
                journal.write()
            took.counts["messages"] += len(messages)
            took.counts["bytes"] += sum(len(one[4]) for one in messages)
        journal.close()
        with took.timed("settle"):
            settle(lake, journal.path)


def _messages(
    market: Market, currencies: tuple[str, ...], random: np.random.Generator
) -> list[Message]:
    """Return the tickers of a moment as they come within its second, each with its own stamp."""
    told = list(notifications_of(market, currencies))
    sent = market.now_ms + random.integers(0, SECOND_MS - 2 * LATE_MS, len(told))
    received = sent * 1000 + random.integers(LATE_MS * 1000, 2 * LATE_MS * 1000, len(told))
    plain = _STAMP % market.now_ms
    return [
        (received[n].item(), 1, "ticker", told[n][0], told[n][1].replace(plain, _STAMP % sent[n]))
        for n in np.argsort(received).tolist()
    ]


def fold_tickers(lake: Lake, took: Took) -> None:
    """Fold what was collected into `option_tickers`."""
    with took.timed("fold"):
        for _, record in fold.refresh_all(lake):
            took.counts["option_tickers"] += record.rows


def publish_trades(lake: Lake, currency: str, period: str) -> int:
    """Publish the simulated trades of a month as a backfill does; return how many there are."""
    partition = Partition("option_trades", currency, period)
    return publish_span(lake, partition, partition.span.start_ms, partition.span.end_ms)


def publish_span(lake: Lake, partition: Partition, start_ms: int, end_ms: int) -> int:
    """Publish the simulated trades of some of a month as a backfill does."""
    market = Market(7, end_ms + 40 * DAY_MS)
    sent = market.option_trades(partition.part, start_ms, end_ms)
    trades = arrow(
        sent.rename({"instrument_name": "instrument"})
        .with_columns(
            (pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC")),
            (pl.col("iv") / 100).round(10),
            pl.col("block_rfq_id").cast(pl.String),
            other=pl.lit(None, pl.String),
        )
        .select(*OptionTrades.to_schema().columns)
        .sort("instrument", "timestamp", "trade_seq")
    )
    publish_table(trades, lake.clean(partition), **layout_of(OptionTrades))
    write_record(lake, partition, Record(rows=trades.num_rows, checksum=checksum(trades)))
    return trades.num_rows


def bytes_of(folder: Path) -> int:
    """Return what the files of a folder take [bytes]."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
