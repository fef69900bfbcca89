"""From raw bodies of reference series to clean columns: the volatility index, delivery prices."""

from datetime import date

import msgspec
import polars as pl

from etl.transform import PRICES, timestamp


class VolatilityPage(msgspec.Struct):
    """Result of public/get_volatility_index_data: rows of time, open, high, low, close."""

    data: list[tuple[int, float | None, float | None, float | None, float | None]]
    continuation: int | str | None = None


class Delivery(msgspec.Struct):
    """One day's delivery price of an index."""

    date: date
    delivery_price: float | None = None


class DeliveryPage(msgspec.Struct):
    """Result of public/get_delivery_prices, the newest day first."""

    data: list[Delivery]
    records_total: int = 0


class _VolatilityEnvelope(msgspec.Struct):
    result: VolatilityPage


class _DeliveryEnvelope(msgspec.Struct):
    result: DeliveryPage


_decode_volatility = msgspec.json.Decoder(_VolatilityEnvelope).decode
_decode_delivery = msgspec.json.Decoder(_DeliveryEnvelope).decode


def check_volatility_index(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where a result is not a page of the volatility index."""
    msgspec.json.decode(result, type=VolatilityPage)


def check_deliveries(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where a result is not a page of delivery prices."""
    msgspec.json.decode(result, type=DeliveryPage)


def decode_volatility_index(body: bytes) -> pl.DataFrame:
    """Return the rows of one page, as sent: `timestamp_ms` and four columns [vol points]."""
    rows = _decode_volatility(body).result.data
    schema = {"timestamp_ms": pl.Int64()} | {name: pl.Float64() for name in PRICES}
    return pl.DataFrame(rows, schema=schema, orient="row")


def decode_deliveries(body: bytes) -> pl.DataFrame:
    """Return the rows of one page, stamped 08:00 UTC, oldest first: `timestamp_ms` and price."""
    rows = _decode_delivery(body).result.data
    days = pl.Series("timestamp_ms", [row.date for row in rows], dtype=pl.Date)
    prices = pl.Series("delivery_price", [row.delivery_price for row in rows], dtype=pl.Float64)
    at_eight = days.cast(pl.Datetime("ms")).dt.offset_by("8h").dt.epoch("ms")
    return pl.DataFrame([at_eight, prices]).sort("timestamp_ms", maintain_order=True)


def transform_volatility_index(raw: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return bars of the volatility index keyed by their open time; percent becomes decimal."""
    return raw.select(
        timestamp(), pl.lit(index).alias("instrument"), pl.col(*PRICES) / 100, pl.col("attempt")
    )


def transform_deliveries(raw: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return delivery prices [quote currency] keyed by the moment of delivery."""
    return raw.select(
        timestamp(), pl.lit(index).alias("instrument"), pl.col("delivery_price"), pl.col("attempt")
    )
