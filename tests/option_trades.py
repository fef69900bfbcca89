"""Trades of options as numpy makes them up: the shape of a month of a chain, and no market.

A few options trade often and most of them now and then; a quarter of the trades are fills of one
order with the one before, in the same millisecond; prices are in ticks, marks have eight places and
indices two.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from validators.schemas.option_trades import OptionTrades

JUNE = datetime(2024, 6, 1, tzinfo=UTC)
MONTH_MS = 30 * 86_400_000
FILLS = 0.25  # of the trades follow another of the same order


def made_up_trades(
    rows: int,
    *,
    options: int,
    blocks: float = 0.07,
    month: datetime = JUNE,
    listed: datetime | None = None,
    seed: int = 7,
) -> pl.DataFrame:
    """Return a month of trades as they are published, sorted; each begins with its option's first.

    `blocks` is the fraction of them that are legs of blocks and combos; options expire weekly from
    a month after they were `listed` on, which is the month's beginning where nothing is said.
    """
    random = np.random.default_rng(seed)
    weights = random.pareto(1.1, options) + 0.1
    option = np.sort(random.choice(options, rows, p=weights / weights.sum()))
    ms = random.integers(0, MONTH_MS, rows)
    is_fill = (random.random(rows) < FILLS) & (option == np.roll(option, 1))
    is_fill[0] = False
    ms = ms[np.maximum.accumulate(np.where(is_fill, 0, np.arange(rows)))]
    order = np.lexsort((ms, option))
    option, ms = option[order], ms[order]
    starts = np.flatnonzero(np.r_[True, option[1:] != option[:-1]])
    number = np.arange(rows) - np.repeat(starts, np.diff(np.r_[starts, rows]))
    order_of = np.maximum.accumulate(np.where(np.diff(ms, prepend=-1) != 0, np.arange(rows), 0))
    noise = random.normal(size=rows)[order_of]  # fills of one order see one index
    index = np.round(60_000 + 3_000 * np.sin(ms / 3e8) + 20 * noise, 2)
    level = np.exp(random.normal(-4, 1, options))[option]
    mark = np.round(level * (1 + ms / MONTH_MS / 5 + 0.003 * noise), 8)
    price = np.maximum(1, np.round(mark * random.normal(1, 0.02, rows) / 0.0005)) * 0.0005
    amount = np.round(np.ceil(random.exponential(20, rows)) * 0.1, 1)
    leg = random.random(rows) < blocks
    ids = random.permutation(rows)
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(ms * 1000).cast(pl.Duration("us")) + month,
            "instrument": pl.Series(_names(options, listed or month))[option],
            "trade_seq": number + 1,
            "trade_id": pl.Series(250_000_000 + np.sort(ids)[np.argsort(np.argsort(ms))]).cast(
                pl.String
            ),
            "price": np.round(price, 4),
            "amount": amount,
            "contracts": amount,
            "direction": np.where(random.random(rows) < 0.5, "buy", "sell"),
            "tick_direction": random.integers(0, 4, rows),
            "iv": np.round(40 + 20 * random.random(rows), 2) / 100,
            "mark_price": mark,
            "index_price": index,
            "block_trade_id": _where(leg, "BLOCK-", 200_000 + ms // 60_000),
            "combo_id": _where(
                leg & (ids % 3 == 0), "BTC-CS-28JUN24-", 50_000 + 1_000 * (ids % 40)
            ),
            "combo_trade_id": _where(leg & (ids % 3 == 0), "", 250_000_000 + ids),
        }
    )
    absent = [
        pl.lit(None, column.dtype.type).alias(name)
        for name, column in OptionTrades.to_schema().columns.items()
        if name not in frame.columns
    ]
    legs = pl.when(pl.col("block_trade_id").is_not_null()).then(2).alias("block_trade_leg_count")
    return (
        frame.with_columns(absent)
        .with_columns(legs.cast(pl.Int64))
        .select(*OptionTrades.to_schema().columns)
        .sort("instrument", "timestamp", "trade_seq")
    )


def _names(options: int, listed: datetime) -> list[str]:
    """Return names of options of thirty expiries, calls and puts."""
    names = []
    for number in range(options):
        expiry, strike = number % 30, number // 60
        day = listed + timedelta(days=31 + 7 * expiry)
        text = f"{day:%d%b%y}".upper().lstrip("0")
        names.append(f"BTC-{text}-{10_000 + 100 * strike}-{'CP'[number // 30 % 2]}")
    return names


def _where(chosen: np.ndarray, prefix: str, numbers: np.ndarray) -> pl.Series:
    texts = prefix + pl.Series(numbers).cast(pl.String)
    return pl.select(pl.when(pl.Series(chosen)).then(texts)).to_series()
