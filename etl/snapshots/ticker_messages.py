"""Tickers of options that came over sockets: the last of each option and minute, as sent.

A minute is that a message was received in: what was known when it ended is what its row says. The
row's instant is the boundary that closes the minute; when it was quoted the ticker tells itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.deribit.numbers import LAST_MS, UNREADABLE, decoder
from etl.errors import UsageError
from etl.instruments.names import parse_name
from etl.snapshots.answers import SCHEMA, TICKER_PLACES, Ticker, frame_of, read_members
from etl.snapshots.quotes import CLOCK_MS
from etl.snapshots.socket import heard_in
from lake.messages import last_a_minute, read_socket
from lake.span import Span
from lake.store.place import Place

FAMILY = "ticker"
MINUTE_MS = 60_000


class _Params(msgspec.Struct):
    data: Ticker


class _Message(msgspec.Struct):
    params: _Params


_decode, _decode_all = decoder(_Message), decoder(list[_Message])


@lru_cache(100_000)
def option_of(channel: str) -> tuple[str, str] | None:
    """Return the option a channel has tickers of, and what it settles in; None for all else."""
    instrument = channel.removeprefix(f"{FAMILY}.").rpartition(".")[0]
    try:
        name = parse_name(instrument)
    except UsageError:
        return None
    return (instrument, name.settles_in) if name.kind == "option" else None


def currencies_of(channels: Iterable[str]) -> set[str]:
    """Return what the options settle in that channels have tickers of."""
    return {option[1] for channel in channels if (option := option_of(channel))}


def sampled(files: Sequence[Place], currency: str, within: Span) -> pl.DataFrame:
    """Return the last ticker of each option and minute in files of one hour, of some instants.

    Returns
    -------
    DataFrame
        The columns of a row as sent, with `timestamp_ms`, the minute's end; `attempt_id`, when it
        was received and by which connection; and what else `transform` asks.
    """
    empty = pl.DataFrame(schema=SCHEMA | _PLACE)
    found = pl.concat([empty, *(_placed(one) for one in _kept(files, currency, within))])
    order = ("instrument", "timestamp_ms", "received_us", "connection")
    last = found.sort(*order, maintain_order=True).unique(
        order[:2], keep="last", maintain_order=True
    )
    return last.select(
        *SCHEMA,
        "timestamp_ms",
        pl.format("{}-{}", "received_us", "connection").alias("attempt_id"),
        pl.lit(value=True).alias("is_ticker"),
        pl.lit(MINUTE_MS + CLOCK_MS, pl.Int64).alias("before_ms"),  # in its minute, and late then
        pl.lit(CLOCK_MS, pl.Int64).alias("after_ms"),
    )


_PLACE: dict[str, pl.DataType] = {
    "timestamp_ms": pl.Int64(),
    "received_us": pl.Int64(),
    "connection": pl.Int32(),
}


def _kept(files: Sequence[Place], currency: str, within: Span) -> Iterator[pa.Table]:
    """Yield the messages that may be the last of their option and minute, some thousand at once."""
    first, end = (
        pa.scalar((ms - MINUTE_MS) * 1000).cast(pa.timestamp("us", tz="UTC"))
        for ms in (within.start_ms, within.end_ms)
    )
    is_inside = (pc.field("received_at") >= first) & (pc.field("received_at") < end)
    for path in files:
        known = heard_in(path).channels
        mine = [name for name in known if (option := option_of(name)) and option[1] == currency]
        for batch in read_socket(path, mine):
            messages = pa.Table.from_batches([batch]).filter(is_inside)
            if messages.num_rows:
                yield last_a_minute(messages)


def _placed(messages: pa.Table) -> pl.DataFrame:
    """Return messages as rows, each at the end of the minute it was received in."""
    channels, bodies = messages["channel"].to_pylist(), messages["message"].to_pylist()
    received = pl.Series("received_us", messages["received_at"].cast(pa.int64()))
    names = [_instrument(channel) for channel in channels]
    rows = rows_of(bodies, names, (received // 1000).to_list())
    return rows.with_columns(
        timestamp_ms=(received // 1000 // MINUTE_MS + 1) * MINUTE_MS,
        received_us=received,
        connection=pl.Series(messages["connection"]),
    )


def rows_of(
    bodies: Sequence[bytes], names: Sequence[str], received_ms: Sequence[int]
) -> pl.DataFrame:
    """Return a row a message, as sent; `refused` says which members cannot be read."""
    try:
        plain = [one.params.data for one in _decode_all(b"[" + b",".join(bodies) + b"]")]
    except UNREADABLE:
        plain = []
    if len(plain) == len(bodies) and all(
        one.instrument_name == name for one, name in zip(plain, names, strict=True)
    ):
        return frame_of(plain, TICKER_PLACES)
    read = [_read(*one) for one in zip(bodies, names, received_ms, strict=True)]
    refused = pl.Series("refused", [odd for _, odd in read], pl.String)
    return frame_of([one for one, _ in read], TICKER_PLACES).with_columns(refused)


def _read(body: bytes, name: str, received_ms: int) -> tuple[Ticker, str | None]:
    """Return what of a message can be read, as a ticker of the instrument its channel is of."""
    try:
        ticker = _decode(body).params.data
    except UNREADABLE:
        return _read_loosely(body, name, received_ms)
    if ticker.instrument_name == name:
        return ticker, None
    ticker.instrument_name = name
    return ticker, "instrument:other_channel"


def _read_loosely(body: bytes, name: str, received_ms: int) -> tuple[Ticker, str]:
    known: dict[str, Any] = {"instrument_name": name, "timestamp": received_ms}
    try:
        data = msgspec.json.decode(body)["params"]["data"]
        if 0 <= (at_ms := int(data["timestamp"])) <= LAST_MS:
            known["timestamp"] = at_ms
    except (*UNREADABLE, KeyError, TypeError, ValueError, OverflowError):
        return Ticker(**known), "message:unreadable"
    ticker, odd = read_members(data, Ticker, known)
    return ticker, odd or "message:unreadable"


def _instrument(channel: str) -> str:
    option = option_of(channel)
    return option[0] if option else channel
