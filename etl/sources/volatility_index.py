"""The volatility index (DVOL), in the resolutions that are kept."""

from functools import partial
from typing import Any

import msgspec
import polars as pl

from etl.dataset import Fetched
from etl.deribit.numbers import decoder
from etl.instruments import selection
from etl.proof.grid import Grid
from etl.proof.grid_proof import GridProof
from etl.sources.stamps import timestamp
from lake.span import DAY_MS, Span
from validators.schemas.volatility_index import volatility_index_model

RESOLUTIONS = ("60", "3600", "43200", "1D")
"""In seconds, as Deribit names them. Its bars of one second are left out: 31 million a year."""

SINCE_MS = 1_616_544_000_000  # 2021-03-24, the first day of it on record
EIGHT_MS = 8 * 3_600_000
PRICES = ("open", "high", "low", "close")


class VolatilityPage(msgspec.Struct):
    """Result of public/get_volatility_index_data: rows of time, open, high, low, close."""

    data: list[tuple[int, float | None, float | None, float | None, float | None]]
    continuation: int | str | None = None


class _Envelope(msgspec.Struct):
    result: VolatilityPage


_decode, _decode_page = decoder(_Envelope), decoder(VolatilityPage)


def check(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where a result is not a page of the volatility index."""
    _decode_page(result)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page, as sent: `timestamp_ms` and four columns [vol points]."""
    rows = _decode(body).result.data
    schema = {"timestamp_ms": pl.Int64()} | {name: pl.Float64() for name in PRICES}
    return pl.DataFrame(rows, schema=schema, orient="row")


def transform(raw: pl.LazyFrame, index: str) -> pl.LazyFrame:
    """Return bars of the volatility index keyed by their open time; percent becomes decimal."""
    return raw.select(
        timestamp(), pl.lit(index).alias("instrument"), pl.col(*PRICES) / 100, pl.col("attempt")
    )


def _params(resolution: str, index: str, window: Span, _now_ms: int) -> dict[str, Any]:
    # No window is wider than a page, so that `continuation` has nothing to add; if it ever has,
    # what it stands for is a hole, and asked for as one.
    return {
        "currency": index.partition("_")[0].upper(),
        "start_timestamp": window.start_ms - 1,  # exclusive or not, as for candles
        "end_timestamp": window.end_ms - 1,
        "resolution": resolution,
    }


def _bars(resolution: str) -> Fetched:
    step = DAY_MS if resolution == "1D" else int(resolution) * 1_000
    phases = tuple(sorted({0, EIGHT_MS % step}))
    return Fetched(
        name="volatility_index" if resolution == "60" else f"volatility_index_{resolution}",
        aliases=("dvol",) if resolution == "60" else (),
        model=volatility_index_model(step),
        method="public/get_volatility_index_data",
        proof=GridProof(Grid(step, phases, closes_after_ms=step), page_rows=1_000),
        kind="index",
        select=selection.indices,
        params=partial(_params, resolution),
        check=check,
        decode=decode,
        transform=transform,
        empty_body=b'{"result":{"data":[]}}',
        resolution=resolution,
        since_ms=SINCE_MS,
    )


VOLATILITY_INDEX = [_bars(resolution) for resolution in RESOLUTIONS]
