"""Delivery prices: what contracts that expire at 08:00 UTC are delivered at, a day and index."""

from datetime import date
from typing import Any

import msgspec
import polars as pl

from etl.dataset import Fetched
from etl.instruments import selection
from etl.proof.grid import Grid
from etl.proof.grid_proof import GridProof
from etl.sources.stamps import timestamp
from lake.span import DAY_MS, Span
from validators.schemas.delivery_prices import DeliveryPrices

DELIVERY_MS = 8 * 3_600_000
AROUND, MOST = 300, 1_000


class Delivery(msgspec.Struct):
    """One day's delivery price of an index."""

    date: date
    delivery_price: float | None = None


class DeliveryPage(msgspec.Struct):
    """Result of public/get_delivery_prices, the newest day first."""

    data: list[Delivery]
    records_total: int = 0


class _Envelope(msgspec.Struct):
    result: DeliveryPage


_decode = msgspec.json.Decoder(_Envelope).decode


def check(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where a result is not a page of delivery prices."""
    msgspec.json.decode(result, type=DeliveryPage)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page, stamped 08:00 UTC, oldest first: `timestamp_ms` and price."""
    rows = _decode(body).result.data
    days = pl.Series("timestamp_ms", [row.date for row in rows], dtype=pl.Date)
    prices = pl.Series("delivery_price", [row.delivery_price for row in rows], dtype=pl.Float64)
    at_eight = days.cast(pl.Datetime("ms")).dt.offset_by("8h").dt.epoch("ms")
    return pl.DataFrame([at_eight, prices]).sort("timestamp_ms", maintain_order=True)


def transform(raw: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return delivery prices [quote currency] keyed by the moment of delivery."""
    return raw.select(
        timestamp(), pl.lit(index).alias("instrument"), pl.col("delivery_price"), pl.col("attempt")
    )


def _params(index: str, window: Span, now_ms: int) -> dict[str, Any]:
    # The list goes back from the newest delivery by number, not by date: as many more are asked
    # for on both sides as days may be missing from it, or stand in it twice.
    newest, last, first = (
        (ms - DELIVERY_MS) // DAY_MS for ms in (now_ms, window.end_ms - 1, window.start_ms)
    )
    offset = max(0, newest - last - AROUND)
    return {
        "index_name": index,
        "offset": offset,
        "count": min(MOST, newest - first + 1 + AROUND - offset),
    }


DELIVERY_PRICES = Fetched(
    name="delivery_prices",
    aliases=("deliveries",),
    model=DeliveryPrices,
    method="public/get_delivery_prices",
    proof=GridProof(Grid(DAY_MS, (DELIVERY_MS,), closes_after_ms=0), page_rows=366, is_wide=True),
    kind="index",
    select=selection.indices,
    params=_params,
    check=check,
    decode=decode,
    transform=transform,
    empty_body=b'{"result":{"data":[]}}',
    resolution="1D",
)
