"""What comes over a socket: notifications of channels, answers, heartbeats; none loses a member.

An envelope is read once; what a channel brought stays as it was sent until somebody needs it.
"""

import msgspec

from etl.deribit.answer import RpcError
from etl.deribit.numbers import Moment, decoder


class Note(msgspec.Struct, gc=False, frozen=True):
    """The parameters of a notification: of a channel with its data, or a heartbeat's type."""

    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    type: str = ""


class Envelope(msgspec.Struct, gc=False, frozen=True):
    """Any message of the exchange; times in microseconds."""

    method: str = ""
    params: Note = Note()
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None
    us_out: int | None = msgspec.field(default=None, name="usOut")


class Bar(msgspec.Struct, gc=False, frozen=True):
    """One state of a candle, as ``chart.trades`` sends it; `tick` is its open time [ms]."""

    tick: Moment
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    cost: float | None = None


class Stamp(msgspec.Struct, gc=False, frozen=True):
    """When something is of [ms]: a ticker, a quote, the funding of a perpetual."""

    timestamp: Moment


class IndexPrice(msgspec.Struct, gc=False, frozen=True):
    """One price of an index."""

    timestamp: Moment
    price: float
    index_name: str = ""


class State(msgspec.Struct, gc=False, frozen=True):
    """What became of an instrument."""

    instrument_name: str
    state: str = ""
    timestamp: int | None = None


class Platform(msgspec.Struct, gc=False, frozen=True):
    """What the exchange says of itself; a maintenance is told when it begins."""

    maintenance: bool | None = None
    locked: bool | str | None = None
    price_index: str | None = None


read_envelope = msgspec.json.Decoder(Envelope).decode
read_bar = decoder(Bar)
read_stamp, read_stamps = decoder(Stamp), decoder(list[Stamp])
read_price = decoder(IndexPrice)
read_state = decoder(State)
read_platform = decoder(Platform)
read_names = msgspec.json.Decoder(list[str]).decode
