"""Messages of deribit_price_index: prices of an index as they came, and the minutes they make."""

from collections.abc import Sequence

import msgspec
import polars as pl
import pyarrow as pa

from etl.deribit.numbers import UNREADABLE, Moment, decoder

MINUTE_MS = 60_000
CLOCK_MS = 60_000  # how far our clock, or a message's way, may be from what it says
PRICES = ("open", "high", "low", "close")


class _Price(msgspec.Struct):
    index_name: str
    price: float
    timestamp: Moment


class _Params(msgspec.Struct):
    data: _Price


class _Message(msgspec.Struct):
    params: _Params


SCHEMA: dict[str, pl.DataType] = {
    "received_us": pl.Int64(),
    "connection": pl.Int32(),
    "index_name": pl.String(),
    "price": pl.Float64(),
    "timestamp_ms": pl.Int64(),
    "refused": pl.String(),
}
_decode = decoder(_Message)


def decode(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return a row a message, with the columns of `SCHEMA`; null where one cannot be read."""
    read = [_read(body) for body in batch["message"].to_pylist()]
    received = batch["received_at"].cast(pa.int64())
    columns = {
        "received_us": pl.Series(received),
        "connection": pl.Series(batch["connection"]),
        "index_name": [one and one.index_name for one in read],
        "price": [one and one.price for one in read],
        "timestamp_ms": [one and one.timestamp for one in read],
        "refused": [None if one else "message:unreadable" for one in read],
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def judged(ticks: pl.DataFrame, index: str) -> pl.DataFrame:
    """Say in `refused` why a tick is not believed; one that cannot be placed is when it came."""
    received_ms = pl.col("received_us") // 1000
    reasons = {
        "instrument:other_index": pl.col("index_name") != index,
        "price:positive": ~(pl.col("price").is_finite() & (pl.col("price") > 0)),
        "closed_at:other_instant": (received_ms - pl.col("timestamp_ms")).abs() > CLOCK_MS,
    }
    words = [pl.when(each).then(pl.lit(word)) for word, each in reasons.items()]
    every = pl.concat_str("refused", *words, separator=",", ignore_nulls=True).replace("", None)
    is_placed = (received_ms - pl.col("timestamp_ms")).abs() <= CLOCK_MS
    placed = pl.when(is_placed).then("timestamp_ms").otherwise(received_ms)
    return ticks.with_columns(every.alias("refused"), placed_ms=placed)


def minutes(ticks: pl.DataFrame, index: str) -> pl.DataFrame:
    """Return the minutes that believed ticks make; of two of one moment the later counts."""
    order = ("timestamp_ms", "received_us", "connection")
    told = ticks.sort(*order, maintain_order=True).unique(
        "timestamp_ms", keep="last", maintain_order=True
    )
    price = pl.col("price")
    rows = told.group_by(pl.col("timestamp_ms") // MINUTE_MS, maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        ticks=pl.len().cast(pl.Int64),
        closed_at=moment(pl.col("timestamp_ms").last()),
    )
    return rows.select(
        moment(pl.col("timestamp_ms") * MINUTE_MS).alias("timestamp"),
        pl.lit(index).alias("instrument"),
        *PRICES,
        "ticks",
        "closed_at",
    )


def set_aside(ticks: pl.DataFrame, index: str) -> pl.DataFrame:
    """Return ticks that are not believed, each as a row of its own, and why."""
    price, at = pl.col("price"), pl.col("placed_ms")
    return ticks.sort("received_us", "connection", maintain_order=True).select(
        moment(at // MINUTE_MS * MINUTE_MS).alias("timestamp"),
        pl.lit(index).alias("instrument"),
        *(price.alias(name) for name in PRICES),
        pl.lit(1, pl.Int64).alias("ticks"),
        moment(pl.coalesce("timestamp_ms", at)).alias("closed_at"),
        pl.col("refused").alias("failed_check"),
        pl.format("{}-{}", "received_us", "connection").alias("attempt_id"),
    )


def moment(ms: pl.Expr) -> pl.Expr:
    """Return milliseconds since 1970 as a moment."""
    return pl.from_epoch(ms, "ms").cast(pl.Datetime("us", "UTC"))


def frame_of(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return decoded batches as one frame, of `SCHEMA` where there are none."""
    return pl.concat([pl.DataFrame(schema=SCHEMA), *batches])


def _read(body: bytes) -> _Price | None:
    try:
        return _decode(body).params.data
    except UNREADABLE:
        return None
