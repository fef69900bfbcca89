"""Names of channels: what is subscribed to for each kind of data, and what a name says."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

MOST_CHANNELS = 500  # in one call of public/subscribe
MOST_BYTES = 30_000  # in one frame, of the 32 kB that are taken
MOST_NAME = 60  # letters of a family
FOLLOWED = ("instrument.state.any.any", "instrument.creation.any.any", "platform_state")
"""Told to every collector: what is listed, what ends, and when the exchange goes down."""


class Channel(NamedTuple):
    """A channel: its name, the kind of data it brings, of which instrument, index or currency."""

    name: str
    kind: str
    subject: str


def candles(instrument: str) -> Channel:
    """Return the channel of one-minute candles of an instrument."""
    return Channel(f"chart.trades.{instrument}.1", "candles", instrument)


def funding(perpetual: str) -> Channel:
    """Return the channel of the funding of a perpetual."""
    return Channel(f"perpetual.{perpetual}.agg2", "funding", perpetual)


def quotes(instrument: str) -> Channel:
    """Return the channel of the best bid and ask of an instrument."""
    return Channel(f"quote.{instrument}", "quotes", instrument)


def index(name: str) -> Channel:
    """Return the channel of an index."""
    return Channel(f"deribit_price_index.{name}", "index", name)


def dvol(index_name: str) -> Channel:
    """Return the channel of the volatility index of an index."""
    return Channel(f"deribit_volatility_index.{index_name}", "dvol", index_name)


def option_trades(currency: str) -> Channel:
    """Return the channel of all option trades that settle in a currency."""
    return Channel(f"trades.option.{currency}.100ms", "trades", currency)


def option_marks(index_name: str) -> Channel:
    """Return the channel of the marks of all options on an index."""
    return Channel(f"markprice.options.{index_name}", "marks", index_name)


def ticker(option: str, interval: str, currency: str) -> Channel:
    """Return the channel of the ticker of an option that settles in a currency."""
    return Channel(f"ticker.{option}.{interval}", "tickers", currency)


def family_of(name: str) -> str:
    """Return what a channel is of, without its subject: ``ticker``, ``chart.trades``.

    It names a folder: whatever cannot, or has no known form, is ``other``.
    """
    head, _, rest = name.partition(".")
    if head in {"chart", "instrument"} and rest:
        head = f"{head}.{rest.partition('.')[0]}"
    known = head.replace(".", "").replace("_", "").isalnum() and head.isascii()
    return head if known and len(head) <= MOST_NAME else "other"


def calls(method: str, names: Sequence[str], first_id: int) -> Iterator[tuple[int, bytes]]:
    """Yield the frames that name some channels, each with its id, none larger than is taken."""
    for number, part in enumerate(_parts(names), first_id):
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": {"channels": part}}
        yield number, msgspec.json.encode(call)


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        own = len(name.encode()) + 3
        if part and (len(part) == MOST_CHANNELS or size + own > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(name)
        size += own
    if part:
        yield part
