"""How long questions to a year of option trades take: DuckDB through the lake's views.

Twelve made-up months of one chain, each a file; a full scan reads every column of every trade.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import best, show
from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.views import open_views, select
from lake.write import publish_table
from tests.option_trades import made_up_trades
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

TRADES, OPTIONS = 1_700_000, 60_000
OPTION, EXPIRY = "BTC-7JUN24-35000-C", "BTC-7JUN24"
QUESTIONS = {
    "history of one option": f"FROM option_trades WHERE instrument = '{OPTION}' ORDER BY trade_seq",
    "last trades of the chain at a moment": "FROM chain_at(TIMESTAMPTZ '2024-05-15 12:00+00')",
    "trades of one expiry": f"SELECT instrument, timestamp, price, amount, iv FROM option_trades "
    f"WHERE starts_with(instrument, '{EXPIRY}-')",
    "the same, all columns": f"FROM option_trades WHERE instrument LIKE '{EXPIRY}-%'",
    "full scan": "SELECT max(columns(*)) FROM option_trades",
}


def main() -> None:
    """Make a year up, print the table."""
    with tempfile.TemporaryDirectory() as name:
        lake = open_lake(Path(name) / "lake", create=True)
        _year(lake)
        size = sum(path.stat().st_size for path in lake.files("option_trades"))
        connection, rows = open_views(lake), TRADES * 12
        answers = {name: len(select(connection, sql).pl()) for name, sql in QUESTIONS.items()}
        seconds = {
            name: best(lambda sql=sql: select(connection, sql).pl(), 5)
            for name, sql in QUESTIONS.items()
        }
    scan = seconds["full scan"]
    show(
        f"questions to {rows:,} option trades of {size / rows:.1f} bytes, all cores",
        ("question", "rows", "ms", "of a full scan"),
        [
            (name, f"{answers[name]:,}", f"{took * 1e3:.0f}", f"{took / scan:.1%}")
            for name, took in seconds.items()
        ],
    )


def _year(lake: Lake) -> None:
    listed = datetime(2024, 1, 2, tzinfo=UTC)  # they expire weekly from 2024-02-02 on
    for number in range(1, 13):
        month = datetime(2024, number, 1, tzinfo=UTC)
        trades = made_up_trades(TRADES, options=OPTIONS, month=month, listed=listed, seed=number)
        path = lake.clean(Partition("option_trades", "BTC", f"{month:%Y-%m}"))
        publish_table(arrow(trades), path, **layout_of(OptionTrades))


if __name__ == "__main__":
    main()
