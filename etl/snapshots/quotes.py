"""Rows of a snapshot as they are kept: one instant, what names say, volatilities as fractions."""

import polars as pl

from etl.instruments.names import with_name_parts
from etl.snapshots.answers import SIDES
from validators.schemas.option_tickers import OptionTickers

CLOCK_MS = 60_000  # by how much the clocks of the exchange's machines may differ
DIGITS = 10  # behind the point: 37.88 / 100 is not 0.3788
_ABSENT = [f"{side}_{what}" for side in SIDES for what in ("price", "amount", "iv")]


def instant_of(quoted_ms: pl.Series, heard_ms: int | None) -> int:
    """Return the one moment a chain is of [ms]: that of its newest quote.

    The rows of a chain are a few milliseconds apart. A quote from after the answer was `heard` is
    not believed; where all are, the answer's own clock is.
    """
    known = quoted_ms if heard_ms is None else quoted_ms.filter(quoted_ms <= heard_ms + CLOCK_MS)
    newest = known.max()
    return int(newest) if isinstance(newest, int) else int(heard_ms or 0)


def transform(rows: pl.DataFrame, currency: str) -> pl.DataFrame:
    """Return quotes as they are kept; `refused` says what cannot be.

    Parameters
    ----------
    rows
        Rows as sent, volatilities in percent, with the `timestamp_ms` of their snapshot, whether
        each `is_ticker`, its `attempt_id`, and how long before and after its snapshot it may be
        quoted, `before_ms` and `after_ms`; null where that does not matter.
    currency
        What the options settle in.
    """
    told = with_name_parts(rows)
    known = OptionTickers.to_schema().columns
    family = pl.concat_str("base", "counter", separator="_", ignore_nulls=True)
    return told.with_columns(
        _moment("timestamp_ms").alias("timestamp"),
        _moment("quoted_ms").alias("quoted_at"),
        family.alias("underlying"),
        pl.coalesce("index_price", "estimated_delivery_price").alias("index_price"),
        *(pl.when(pl.col(name) != 0).then(name).alias(name) for name in _ABSENT),
        _refused(currency),
    ).select(
        *((pl.col(name) / 100).round(DIGITS) if name.endswith("_iv") else name for name in known),
        "refused",
        "is_ticker",
        "attempt_id",
    )


def _refused(currency: str) -> pl.Expr:
    """Return why a row cannot be one of the snapshot, null if it can."""
    is_option = (pl.col("name_kind") == "option").fill_null(value=False)
    is_other = is_option & (pl.coalesce("counter", "base") != currency)
    age = pl.col("timestamp_ms") - pl.col("quoted_ms")
    is_outside = (age > pl.col("before_ms")) | (-age > pl.col("after_ms"))
    is_twice = pl.struct("attempt_id", "instrument").is_duplicated()
    reasons = {
        "instrument:no_option": ~is_option,
        "instrument:other_currency": is_other,
        "quoted_at:other_instant": is_outside,
        "came_twice": is_twice,
    }
    words = [pl.when(each).then(pl.lit(word)) for word, each in reasons.items()]
    every = pl.concat_str("refused", *words, separator=",", ignore_nulls=True)
    return every.replace("", None).alias("refused")


def _moment(name: str) -> pl.Expr:
    return pl.from_epoch(name, "ms").cast(pl.Datetime("us", "UTC"))
