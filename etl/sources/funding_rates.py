"""Hourly funding rates of perpetuals."""

from typing import Any

import msgspec
import polars as pl

from etl.dataset import Fetched
from etl.deribit.numbers import decoder
from etl.instruments import selection
from etl.proof.grid import Grid
from etl.proof.grid_proof import GridProof
from etl.sources.stamps import timestamp
from lake.span import Span
from validators.resolutions import MINUTE_MS
from validators.schemas.funding_rates import FundingRates

HOUR_MS = 60 * MINUTE_MS


class FundingRow(msgspec.Struct):
    """One row of public/get_funding_rate_history."""

    timestamp: int
    index_price: float | None = None
    prev_index_price: float | None = None
    interest_1h: float | None = None
    interest_8h: float | None = None


class _Envelope(msgspec.Struct):
    result: list[FundingRow]


_decode, _decode_page = decoder(_Envelope), decoder(list[FundingRow])
_COLUMNS = FundingRow.__struct_fields__


def check(result: msgspec.Raw) -> None:
    """Raise where a result is not a page of funding rates.

    Raises
    ------
    msgspec.ValidationError
        If a row has no timestamp or a member has the wrong type.
    """
    _decode_page(result)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page of funding rates, as sent."""
    rows = _decode(body).result
    columns = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
    schema = {name: pl.Float64() for name in _COLUMNS} | {"timestamp": pl.Int64()}
    return pl.DataFrame(columns, schema=schema).rename({"timestamp": "timestamp_ms"})


def transform(raw: pl.LazyFrame, instrument: str) -> pl.LazyFrame:
    """Return hourly funding rates [1] and index prices [USD]; a row describes the hour it ends."""
    return raw.select(
        timestamp(),
        pl.lit(instrument).alias("instrument"),
        pl.col("index_price", "prev_index_price", "interest_1h", "interest_8h"),
        pl.col("attempt"),
    )


def _params(instrument: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # The start is exclusive (measured) and the end inclusive.
    return {
        "instrument_name": instrument,
        "start_timestamp": window.start_ms - 1,
        "end_timestamp": window.end_ms - 1,
    }


FUNDING_RATES = Fetched(
    name="funding_rates",
    aliases=("funding",),
    model=FundingRates,
    method="public/get_funding_rate_history",
    proof=GridProof(Grid(HOUR_MS, (0,), closes_after_ms=0), page_rows=744),
    kind="perpetual",
    select=selection.perpetuals,
    params=_params,
    check=check,
    decode=decode,
    transform=transform,
    empty_body=b'{"result":[]}',
    resolution="60",
)
