"""Every message, as it comes: into the journal as it was sent, and to whom its channel is for.

Nothing is thrown away: what is of an unknown channel, or cannot be read, is kept, counted, and
logged once. When the disk is behind, reading stops until it is not: the exchange then keeps what it
sends, or ends the connection, and what was not heard is asked for.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from etl.collect.board import Board, Source
from etl.collect.channels import Channel, family_of
from etl.collect.clock import ExchangeClock
from etl.collect.messages import Envelope, read_envelope
from etl.collect.socket import Socket
from etl.collect.wire import Wire
from etl.deribit.numbers import UNREADABLE
from lake.journal import Message

logger = logging.getLogger(__name__)

REST = 0
"""The number of the connection that answers of REST are journalled under; sockets begin at 1."""

MOST_WAITING = 64 << 20  # bytes not yet on disk, beyond which nothing more is read
RESUMED_AT = MOST_WAITING // 4
LOOKED_AT = 8  # of so many tickers of a currency one is read
_TICKER = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.'
_PONG = msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": "public/test", "params": {}})

Handle = Callable[["Route", msgspec.Raw], None]


class Route(NamedTuple):
    """Where the data of a channel go; `newest` has the last message of each, where that is kept."""

    channel: Channel
    family: str
    handle: Handle
    source: Source | None
    newest: dict[str, bytes] | None = None


def kept(_route: Route, _data: msgspec.Raw) -> None:
    """Do nothing more with data that are kept."""


class Intake:
    """What came and is not on disk yet, and the routes of channels."""

    def __init__(self, board: Board, clock: ExchangeClock) -> None:
        self.routes: dict[str, Route] = {}
        self.sockets: list[Socket] = []
        self._board = board
        self._clock = clock
        self._waiting: list[Message] = []
        self._bytes = 0
        self._unwritten = 0  # bytes, with those that are being written
        self._is_paused = False
        self._told: set[str] = set()

    def take(self, _socket: Socket, wire: Wire, message: bytes) -> None:
        """Take one message."""
        received_us = time.time_ns() // 1000
        if message.startswith(_TICKER) and (route := self._one_of_many(message)) is not None:
            wire.data_at = wire.frame_at
            name = route.channel.name
            self._keep((received_us, _socket.number, route.family, name, message))
            return
        family, name = "other", ""
        try:
            if not message.isascii():
                message.decode()  # what is no UTF-8 would be found by whoever reads it later
            envelope = read_envelope(message)
        except UNREADABLE as error:
            self._odd("unreadable", "a message that cannot be read", error)
        else:
            if name := envelope.params.channel:
                wire.data_at = wire.frame_at
                route = self.routes.get(name) or self._stranger(name)
                family = route.family
                try:
                    route.handle(route, envelope.params.data)
                    if route.newest is not None:
                        route.newest[name] = message
                except UNREADABLE as error:
                    self._odd("unreadable", f"data of {family}", error)
            else:
                family = self._control(wire, envelope)
        self._keep((received_us, _socket.number, family, name, message))
        if self._is_paused:  # a connection that was opened since reads as if there were room
            wire.pause(is_paused=True)

    def _one_of_many(self, message: bytes) -> Route | None:
        """Return the route of a ticker that is not looked into now; None of all else.

        They are thousands a second, alike but for their numbers, and all of them are kept.
        """
        name = message[len(_TICKER) - len("ticker.") : message.find(b'"', len(_TICKER))]
        route = self.routes.get(name.decode()) if message.isascii() else None
        if route is None or route.newest is None or route.source is None:
            return None
        if route.source.messages % LOOKED_AT == 0:
            return None
        route.source.messages += 1
        route.newest[route.channel.name] = message
        return route

    def answered(self, received_us: int, name: str, body: bytes) -> None:
        """Keep an answer of REST; `name` says what was asked."""
        self._keep((received_us, REST, "rest", name, body))

    def _keep(self, message: Message) -> None:
        size = len(message[-1])
        if not self._waiting:
            self._board.kept_s = time.monotonic()
            self._board.kept_ms = self._clock.now_ms()
        self._waiting.append(message)
        self._bytes += size
        self._unwritten += size
        if self._unwritten > MOST_WAITING and not self._is_paused:
            self._pause(is_paused=True)

    def handed_over(self) -> Sequence[Message]:
        """Return what is to be written now; tell `written` when it is."""
        waiting, self._waiting = self._waiting, []
        self._board.counts["messages"] += len(waiting)
        self._board.counts["bytes"] += self._bytes
        self._bytes = 0
        return waiting

    def written(self) -> None:
        """Take note that all that was handed over is on disk."""
        self._unwritten = self._bytes
        if self._is_paused and self._unwritten < RESUMED_AT:
            self._pause(is_paused=False)

    def _pause(self, *, is_paused: bool) -> None:
        self._is_paused = is_paused
        if is_paused:
            self._board.counts["paused"] += 1
            logger.warning("the disk is behind: nothing more is read until it is not")
        for socket in self.sockets:
            if socket.wire is not None:
                socket.wire.pause(is_paused=is_paused)

    def _control(self, wire: Wire, envelope: Envelope) -> str:
        """Take what is of no channel: an answer, a heartbeat, or what nobody knows."""
        if envelope.us_out:
            self._clock.heard(envelope.us_out)
        if envelope.method == "heartbeat":
            if envelope.params.type == "test_request":
                self._board.counts["test_request"] += 1
                wire.say(_PONG)
            return "heartbeat"
        if not (wire.answered(envelope) or envelope.id == 0):
            self._odd("unknown_message", "a message nobody waits for", envelope.method)
        return "answer"

    def _stranger(self, name: str) -> Route:
        """Return a route for a channel nobody asked for, or not any more: its messages are kept.

        It is not remembered: the other side would say how much there is to remember.
        """
        self._odd("unknown_channel", "a channel nobody asked for", name)
        return Route(Channel(name, "other", ""), family_of(name), kept, None)

    def _odd(self, count: str, what: str, why: object) -> None:
        self._board.counts[count] += 1
        if what not in self._told:
            self._told.add(what)
            logger.warning("%s is kept as it came: %s", what, why)
