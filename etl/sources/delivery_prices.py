"""Delivery prices: what contracts that expire at 08:00 UTC are delivered at, a day and index."""

import datetime as dt
from typing import Any

import msgspec
import polars as pl

from etl.dataset import Fetched
from etl.deribit.numbers import decoder
from etl.instruments import selection
from etl.proof.grid import Grid
from etl.proof.list_proof import RECORDS, ListProof
from etl.sources.stamps import timestamp
from lake.span import DAY_MS, Span
from validators.schemas.delivery_prices import DeliveryPrices

DELIVERY_MS = 8 * 3_600_000
MOST = 1_000
SHARED = 10  # rows of one page that the next has too: a new delivery moves all others on by one
OPENED_MS = (
    1_451_606_400_000  # 2016-01-01: dated futures were delivered two years before perpetuals
)


class Delivery(msgspec.Struct):
    """One day's delivery price of an index."""

    date: dt.date  # not `date: date`: since Python 3.14 a name is looked up in the class
    delivery_price: float | None = None


class DeliveryPage(msgspec.Struct):
    """Result of public/get_delivery_prices, the newest day first."""

    data: list[Delivery]
    records_total: int = 0  # how many there are, on all pages together


class _Envelope(msgspec.Struct):
    result: DeliveryPage


_decode, _decode_page = decoder(_Envelope), decoder(DeliveryPage)


def check(result: msgspec.Raw) -> DeliveryPage:
    """Return a page of delivery prices; raise msgspec.ValidationError where a result is none."""
    return _decode_page(result)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page, stamped 08:00 UTC, oldest first: `timestamp_ms` and price.

    Each says how many there are on all pages together.
    """
    page = _decode(body).result
    rows = page.data
    days = pl.Series("timestamp_ms", [row.date for row in rows], dtype=pl.Date)
    prices = pl.Series("delivery_price", [row.delivery_price for row in rows], dtype=pl.Float64)
    at_eight = days.cast(pl.Datetime("ms")).dt.offset_by("8h").dt.epoch("ms")
    total = pl.lit(page.records_total, dtype=pl.Int64).alias(RECORDS)
    frame = pl.DataFrame([at_eight, prices]).with_columns(total)
    return frame.sort("timestamp_ms", maintain_order=True)


def transform(raw: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return delivery prices [quote currency] keyed by the moment of delivery."""
    return raw.select(
        timestamp(), pl.lit(index).alias("instrument"), pl.col("delivery_price"), pl.col("attempt")
    )


def _params(index: str, window: Span, now_ms: int) -> dict[str, Any]:
    """Return the parameters of the first page: the list goes back from the newest delivery.

    It counts deliveries, and which days had one is not known: where a window begins in it is found
    by going through it.
    """
    return {"index_name": index, "offset": 0, "count": min(MOST, _days(window, now_ms))}


def _onward(params: dict[str, Any], page: DeliveryPage, window: Span) -> dict[str, Any] | None:
    """Return the parameters of the page before, until one has a row from before the window."""
    end = params["offset"] + params["count"]
    days = [_at_eight(row.date) for row in page.data]
    if not days or min(days) < window.start_ms or end >= page.records_total:
        return None
    return params | {"offset": end - SHARED, "count": MOST}


def _most_pages(window: Span, now_ms: int) -> int:
    return -(-_days(window, now_ms) // (MOST - SHARED))


def _days(window: Span, now_ms: int) -> int:
    """Return how many days there are since the first of a window, and a few before it."""
    return max(0, now_ms - window.start_ms) // DAY_MS + SHARED


def _at_eight(day: dt.date) -> int:
    return (day.toordinal() - dt.date(1970, 1, 1).toordinal()) * DAY_MS + DELIVERY_MS


DELIVERY_PRICES = Fetched(
    name="delivery_prices",
    aliases=("deliveries",),
    model=DeliveryPrices,
    method="public/get_delivery_prices",
    proof=ListProof(Grid(DAY_MS, (DELIVERY_MS,), closes_after_ms=0), page_rows=MOST),
    kind="index",
    select=selection.indices,
    params=_params,
    onward=_onward,
    most_pages=_most_pages,
    check=check,
    decode=decode,
    transform=transform,
    empty_body=b'{"result":{"data":[]}}',
    resolution="1D",
    begins_ms=OPENED_MS,
)
