"""From raw bodies to clean columns: decode pages as they came, then pure Polars."""

from datetime import timedelta

import msgspec
import polars as pl

PRICES = ("open", "high", "low", "close")


class ChartPage(msgspec.Struct):
    """Result of public/get_tradingview_chart_data: columns of equal length."""

    status: str = "ok"
    ticks: list[int] = []
    open: list[float | None] = []
    high: list[float | None] = []
    low: list[float | None] = []
    close: list[float | None] = []
    volume: list[float | None] = []
    cost: list[float | None] = []


class FundingRow(msgspec.Struct):
    """One row of public/get_funding_rate_history."""

    timestamp: int
    index_price: float | None = None
    prev_index_price: float | None = None
    interest_1h: float | None = None
    interest_8h: float | None = None


class _ChartEnvelope(msgspec.Struct):
    result: ChartPage


class _FundingEnvelope(msgspec.Struct):
    result: list[FundingRow]


_decode_chart = msgspec.json.Decoder(_ChartEnvelope).decode
_decode_funding = msgspec.json.Decoder(_FundingEnvelope).decode
_CHART_COLUMNS = ChartPage.__struct_fields__[1:]
_CHART_SCHEMA = {name: pl.Float64() for name in _CHART_COLUMNS} | {"ticks": pl.Int64()}
_FUNDING_COLUMNS = FundingRow.__struct_fields__


def check_chart(result: msgspec.Raw) -> None:
    """Raise where a result is not a page of candles.

    Raises
    ------
    msgspec.ValidationError
        If a member has the wrong type, or the columns differ in length.
    """
    page = msgspec.json.decode(result, type=ChartPage)
    lengths = {name: len(getattr(page, name)) for name in _CHART_COLUMNS}
    if len(set(lengths.values())) > 1:
        message = f"columns of different length: {lengths}"
        raise msgspec.ValidationError(message)


def check_funding(result: msgspec.Raw) -> None:
    """Raise where a result is not a page of funding rates.

    Raises
    ------
    msgspec.ValidationError
        If a row has no timestamp or a member has the wrong type.
    """
    msgspec.json.decode(result, type=list[FundingRow])


def decode_chart(body: bytes) -> pl.DataFrame:
    """Return the rows of one page of candles, as sent: `timestamp_ms` and six float columns."""
    page = _decode_chart(body).result
    columns = {name: getattr(page, name) for name in _CHART_COLUMNS}
    return pl.DataFrame(columns, schema=_CHART_SCHEMA).rename({"ticks": "timestamp_ms"})


def decode_funding(body: bytes) -> pl.DataFrame:
    """Return the rows of one page of funding rates, as sent."""
    rows = _decode_funding(body).result
    columns = {name: [getattr(row, name) for row in rows] for name in _FUNDING_COLUMNS}
    schema = {name: pl.Float64() for name in _FUNDING_COLUMNS} | {"timestamp": pl.Int64()}
    return pl.DataFrame(columns, schema=schema).rename({"timestamp": "timestamp_ms"})


def transform_candles(raw: pl.LazyFrame, instrument: str) -> pl.LazyFrame:
    """Return candles [quote, base coin, quote] keyed by their open time."""
    return raw.select(
        timestamp(),
        pl.lit(instrument).alias("instrument"),
        pl.col(*PRICES, "volume", "cost"),
        pl.col("attempt"),
    )


def transform_funding(raw: pl.LazyFrame, instrument: str) -> pl.LazyFrame:
    """Return hourly funding rates [1] and index prices [USD]; a row describes the hour it ends."""
    return raw.select(
        timestamp(),
        pl.lit(instrument).alias("instrument"),
        pl.col("index_price", "prev_index_price", "interest_1h", "interest_8h"),
        pl.col("attempt"),
    )


def latest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per timestamp, sorted: the one of the latest attempt, its last if several."""
    if (rows["timestamp"].diff().drop_nulls() > timedelta()).all():
        return rows  # each page once, in order: what a quiet backfill leaves
    order = rows.select(pl.arg_sort_by("timestamp", "attempt", maintain_order=True)).to_series()
    times = rows["timestamp"].gather(order)
    is_last = (times != times.shift(-1)).fill_null(value=True)
    return rows[order.filter(is_last)]  # one copy of the rows, where a sort makes two


def timestamp() -> pl.Expr:
    """Return the column `timestamp` [µs, UTC] of rows stamped in milliseconds."""
    # ms to µs by hand: a cast of the epoch would accept microseconds sent by mistake.
    return (pl.col("timestamp_ms") * 1000).cast(pl.Datetime("us", "UTC")).alias("timestamp")
