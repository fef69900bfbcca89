"""Answers that a snapshot is made of: summaries of a whole chain, and tickers of its options.

An answer that is written plainly is decoded at once. In one that is not, a member that cannot be
read is null, and its row says so in `refused`: it never takes the other rows with it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import polars as pl

from etl.deribit.numbers import Moment, decoder
from etl.instruments.names import settles_in

SIDES = ("bid", "ask")
GREEKS = ("delta", "gamma", "vega", "theta", "rho")


class Summary(msgspec.Struct, gc=False):
    """One option of public/get_book_summary_by_currency; volatilities in percent."""

    instrument_name: str
    creation_timestamp: int
    bid_price: float | None = None
    ask_price: float | None = None
    last: float | None = None
    mark_price: float | None = None
    mark_iv: float | None = None
    underlying_price: float | None = None
    underlying_index: str | None = None
    index_price: float | None = None
    estimated_delivery_price: float | None = None
    interest_rate: float | None = None
    open_interest: float | None = None
    volume: float | None = None


class Stats(msgspec.Struct, frozen=True):
    """What traded in 24 hours."""

    volume: float | None = None


class Greeks(msgspec.Struct, frozen=True):
    """The exchange's Greeks: Black-76 with its own mark volatility and forward."""

    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    rho: float | None = None


class Ticker(msgspec.Struct):
    """Result of public/ticker for an option; volatilities in percent, 0 where there is none."""

    instrument_name: str
    timestamp: Moment
    best_bid_price: float | None = None
    best_bid_amount: float | None = None
    best_ask_price: float | None = None
    best_ask_amount: float | None = None
    last_price: float | None = None
    mark_price: float | None = None
    bid_iv: float | None = None
    ask_iv: float | None = None
    mark_iv: float | None = None
    underlying_price: float | None = None
    underlying_index: str | None = None
    index_price: float | None = None
    estimated_delivery_price: float | None = None
    interest_rate: float | None = None
    open_interest: float | None = None
    stats: Stats = Stats()
    greeks: Greeks = Greeks()


Row = TypeVar("Row", Summary, Ticker)


class _Chain(msgspec.Struct):
    result: list[Summary]


class _Quoted(msgspec.Struct):
    result: Ticker


class _Keyed(msgspec.Struct, gc=False):
    instrument_name: str
    creation_timestamp: int


_SHARED = (
    "mark_price", "mark_iv", "underlying_price", "underlying_index", "index_price",
    "estimated_delivery_price", "interest_rate", "open_interest",
)  # fmt: skip
_SUMMARY = {
    "instrument": "instrument_name",
    "quoted_ms": "creation_timestamp",
    "bid_price": "bid_price",
    "ask_price": "ask_price",
    "last_price": "last",
    "volume": "volume",
    **{name: name for name in _SHARED},
}
TICKER_PLACES = {
    "instrument": "instrument_name",
    "quoted_ms": "timestamp",
    "last_price": "last_price",
    "volume": "stats.volume",
    **{f"{side}_{what}": f"best_{side}_{what}" for side in SIDES for what in ("price", "amount")},
    **{f"{side}_iv": f"{side}_iv" for side in SIDES},
    **{name: name for name in _SHARED},
    **{name: f"greeks.{name}" for name in GREEKS},
}
"""Where each column stands in an answer."""

_OTHERWISE = {"instrument": pl.String(), "quoted_ms": pl.Int64(), "underlying_index": pl.String()}
SCHEMA: dict[str, pl.DataType] = {
    **{name: _OTHERWISE.get(name, pl.Float64()) for name in TICKER_PLACES},
    "refused": pl.String(),
}
"""The columns of rows as sent: volatilities in percent, `refused` where a member is unreadable."""

_decode_chain = decoder(_Chain)
_decode_keys = decoder(list[_Keyed])
_decode_ticker, _decode_quoted = decoder(Ticker), decoder(_Quoted)


def check_chain(currency: str) -> Callable[[msgspec.Raw], int]:
    """Return what judges a result: a chain of a currency, which it counts the options of.

    It raises msgspec.ValidationError where a chain is empty, a row has no name or moment that can
    be read, or all rows are of another currency.
    """

    def check(result: msgspec.Raw) -> int:
        rows = _decode_keys(result)
        found = sorted({settles_in(row.instrument_name) or "nothing" for row in rows})
        if currency not in found:
            what = ", ".join(found) if found else "an empty chain"
            message = f"asked for options settled in {currency}, it sent {what}"
            raise msgspec.ValidationError(message)
        return len(rows)

    return check


def check_ticker(instrument: str) -> Callable[[msgspec.Raw], Ticker]:
    """Return what judges a result: the ticker of an instrument, and of no other.

    It raises msgspec.ValidationError where a result is none.
    """

    def check(result: msgspec.Raw) -> Ticker:
        ticker = _decode_ticker(result)
        if ticker.instrument_name != instrument:
            message = f"asked for {instrument}, it sent {ticker.instrument_name}"
            raise msgspec.ValidationError(message)
        return ticker

    return check


def decode_chain(body: bytes) -> pl.DataFrame:
    """Return the rows of a chain as sent, with the columns of `SCHEMA`.

    Raises
    ------
    msgspec.DecodeError
        If a body is no chain: `check_chain` refuses it.
    """
    try:
        return frame_of(_decode_chain(body).result, _SUMMARY)
    except msgspec.ValidationError:
        read = [
            read_members(row, Summary, {"creation_timestamp": int(row["creation_timestamp"])})
            for row in _loosely(body)  # it may be 1.7e12
        ]
    refused = pl.Series("refused", [odd for _, odd in read], pl.String)
    return frame_of([one for one, _ in read], _SUMMARY).with_columns(refused)


def decode_tickers(bodies: Sequence[bytes]) -> pl.DataFrame:
    """Return a row per ticker as sent, with the columns of `SCHEMA`.

    Raises
    ------
    msgspec.DecodeError
        If a body is no ticker: `check_ticker` refuses it.
    """
    return frame_of([_decode_quoted(body).result for body in bodies], TICKER_PLACES)


def frame_of(rows: Sequence[Summary | Ticker], places: Mapping[str, str]) -> pl.DataFrame:
    """Return a column of each member that has a place, and nulls for those that have none."""
    columns = [
        pl.Series(name, list(map(attrgetter(places[name]), rows)), dtype)
        if name in places
        else pl.Series(name, [None] * len(rows), dtype)
        for name, dtype in SCHEMA.items()
    ]
    return pl.DataFrame(columns)


def _loosely(body: bytes) -> list[dict[str, Any]]:
    """Return rows with any members; a number beyond all floats is infinite."""
    rows: list[dict[str, Any]] = json.loads(body)["result"]
    return rows


def read_members(
    row: Mapping[str, Any], shape: type[Row], known: Mapping[str, Any]
) -> tuple[Row, str | None]:
    """Return what of a row can be read beside what is `known` of it, and which members cannot."""
    odd: list[str] = []
    kept = dict(known)
    for field in msgspec.structs.fields(shape):
        if field.name in kept or field.name not in row:
            continue
        try:
            kept[field.name] = msgspec.convert(row[field.name], field.type)
        except msgspec.ValidationError:
            odd.append(f"{field.name}:type")
    return shape(**kept), ",".join(odd) or None
