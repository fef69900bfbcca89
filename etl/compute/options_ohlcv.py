"""One-minute candles of options, made of their trades month by month.

Trades of blocks, block RFQs and combos have prices that were agreed or allotted, not quoted: they
are counted apart, unless they are to be taken in.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of
from etl.instruments.record import Listing
from lake.arrow import floats
from lake.partition import Partition
from validators.schemas.candles import OptionsOhlcv

NAME, TRADES = "options_ohlcv", "option_trades"
MINUTE_US = 60_000_000
APART = ("block_trade_id", "block_rfq_id", "combo_id")
"""What a trade has whose price is not one of the order book."""
OF_LAST = ("iv", "mark_price", "index_price")
"""What a candle has of its last trade."""
COLUMNS = ("timestamp", "instrument", "price", "amount", *OF_LAST, *APART)

Floats = NDArray[np.float64]


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months that have trades, or should have some."""
    del listing
    for one in sorted(held):
        record = held[one]
        if one.dataset == TRADES and (record.rows or record.wanted):
            # What is owed, and why a trade is missing, is told by the ledger and not by the rows.
            owed = record.wanted, record.gaps
            mine = Partition(NAME, one.part, one.period)
            yield Task(mine, (one,), (options["blocks"], *owed), group=f"{one.part} {one.period}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the candles of each month; what is missing of them is what is missing of the trades."""
    for task in todo:
        (trades,) = task.inputs
        with_blocks = bool(task.terms[0])
        rows = pl.DataFrame(schema=_SCHEMA)
        if held[trades].rows:
            table = read(trades, COLUMNS, coded=("instrument",))
            rows = candles_of(table, with_blocks=with_blocks)
        yield task, Made(rows, held[trades].wanted, held[trades].gaps)


def candles_of(trades: pa.Table, *, with_blocks: bool = False) -> pl.DataFrame:
    """Return the candles of trades that are sorted by instrument, timestamp and number.

    Parameters
    ----------
    trades
        The columns of `COLUMNS`; instruments by dictionary.
    with_blocks
        Whether trades of blocks and combos make candles too. They are counted apart either way.

    Returns
    -------
    DataFrame
        The columns of `OptionsOhlcv`, sorted by instrument and timestamp.
    """
    from quant.kernels.candles import candles  # noqa: PLC0415  (numba takes half a second)

    option = trades["instrument"].combine_chunks()
    moment = trades["timestamp"].to_numpy().view(np.int64)
    price, amount = trades["price"].to_numpy(), trades["amount"].to_numpy()
    is_apart = np.zeros(len(trades), bool)
    for name in APART:
        if trades[name].null_count < len(trades):
            is_apart |= trades[name].is_valid().to_numpy()
    minute = moment // MINUTE_US
    codes = option.indices.to_numpy()
    made = candles(codes, minute, price, amount, price * amount, is_apart, with_blocks)
    last, opened, high, low, volume, cost, number, apart, volume_apart = made
    columns: dict[str, Any] = {
        "timestamp": pl.Series(minute[last] * MINUTE_US).cast(_SCHEMA["timestamp"]),
        "instrument": pl.Series(option.dictionary.take(pa.array(codes[last]))),
        "open": opened, "high": high, "low": low, "close": price[last],
        "volume": volume, "cost": cost, "trades": number, "vwap": cost / volume,
        "block_trades": apart, "block_volume": volume_apart,
    }  # fmt: skip
    for name in OF_LAST:
        columns[name] = pl.Series(floats(trades[name])[last]).fill_nan(None)
    return pl.DataFrame(columns).select(*_SCHEMA)


_SCHEMA: dict[str, pl.DataType] = {
    name: column.dtype.type for name, column in OptionsOhlcv.to_schema().columns.items()
}

OPTIONS_OHLCV = Computed(
    name=NAME,
    aliases=("option_candles",),
    model=OptionsOhlcv,
    inputs=(TRADES,),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of,
    options={"blocks": 0.0},
    follows=True,
)
