"""The chain of options as it is quoted now: the newest ticker of each, as rows of a snapshot."""

from collections.abc import Mapping

import polars as pl

from etl.snapshots.blocks import judge
from etl.snapshots.quotes import CLOCK_MS, transform
from etl.snapshots.ticker_messages import MINUTE_MS, option_of, rows_of
from validators.schemas.option_tickers import OptionTickers


def chain_at(tickers: Mapping[str, bytes], at_ms: int) -> pl.DataFrame:
    """Return the tickers quoted in the minute before a moment, as `option_tickers` has them.

    Parameters
    ----------
    tickers
        By channel, the last message of each.
    at_ms
        A full minute [Unix ms].
    """
    options = {name: option for name in tickers if (option := option_of(name))}
    rows = [pl.DataFrame(schema=_SCHEMA)]
    for currency in sorted({settled for _, settled in options.values()}):
        mine = [name for name, (_, settled) in options.items() if settled == currency]
        sent = rows_of(
            [tickers[name] for name in mine],
            [options[name][0] for name in mine],
            [at_ms] * len(mine),
        )
        told = sent.with_columns(
            pl.lit(at_ms, pl.Int64).alias("timestamp_ms"),
            pl.col("instrument").alias("attempt_id"),
            pl.lit(value=True).alias("is_ticker"),
            pl.lit(MINUTE_MS + CLOCK_MS, pl.Int64).alias("before_ms"),
            pl.lit(CLOCK_MS, pl.Int64).alias("after_ms"),
        )
        rows.append(judge(transform(told, currency)).valid.select(*_SCHEMA))
    return pl.concat(rows)


_SCHEMA: dict[str, pl.DataType] = {
    name: column.dtype.type for name, column in OptionTickers.to_schema().columns.items()
}
