"""One WebSocket connection, from handshake to end: whole messages in, frames out."""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgspec
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from etl.collect.messages import Envelope
from etl.deribit.answer import reason_of
from etl.deribit.surroundings import certificates, proxy_of
from etl.errors import DeribitError, NoExchangeError

if TYPE_CHECKING:
    import ssl

HANDSHAKE_S = 20.0
ANSWER_S = 20.0
ABNORMAL = 1006  # how an end without a close frame is called
_TEXT = WSMsgType.TEXT
_OF_MESSAGES = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION})


class Wire(WSListener):
    """A connection; `take` is handed every whole message as it came.

    Attributes
    ----------
    frame_at, data_at
        When anything came, and when a channel's data did [s of the event loop].
    """

    def __init__(self, take: Callable[["Wire", bytes], None], most_bytes: int) -> None:
        self._take = take
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._transport: WSTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, asyncio.Future[Envelope]] = {}
        self._next_id = 1
        self.frame_at = self.data_at = self._loop.time()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._why = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame: a message, a part of one, or the end."""
        self.frame_at = self._loop.time()
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and not self._parts:
            self._take(self, frame.get_payload_as_bytes())
        elif kind in _OF_MESSAGES:
            self._piece(frame)
        elif kind == WSMsgType.CLOSE:
            code, words = frame.get_close_code(), frame.get_close_message() or b""
            told = f" {words.decode(errors='replace')!r}" if words else ""
            self._why = self._why or f"closed by the exchange: {code or ABNORMAL}{told}"
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _piece(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > self._most_bytes:
            self.end(f"a message of more than {self._most_bytes:,} bytes")
        elif frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._take(self, whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Say why it ended, and that no answer will come any more."""
        del transport
        for asked in self._asked.values():
            if not asked.done():
                asked.cancel()
        if not self.ended.done():
            self.ended.set_result(self._why or f"cut off ({ABNORMAL})")

    def end(self, why: str) -> None:
        """End the connection without waiting for the other side."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def pause(self, *, is_paused: bool) -> None:
        """Read no more for now, or again: what the exchange sends then waits at its end."""
        if self._transport is None or self.ended.done():
            return
        stream = self._transport.underlying_transport
        if is_paused:
            stream.pause_reading()
        elif not stream.is_reading():
            stream.resume_reading()

    def say(self, frame: bytes) -> None:
        """Send a message; what cannot be sent any more is of a connection that ends."""
        if self._transport is not None and not self.ended.done():
            self._transport.send(WSMsgType.TEXT, frame)

    async def call(self, method: str, params: dict[str, object]) -> Envelope:
        """Return the answer to a request.

        Raises
        ------
        DeribitError
            If it is refused.
        TimeoutError
            If no answer comes, or the connection ends before.
        """
        number = self.next_id()
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        return await self.ask(number, method, msgspec.json.encode(message))

    async def ask(self, number: int, method: str, frame: bytes) -> Envelope:
        """Send a request that has an id, and return the answer; errors as `call`."""
        answer = self._asked[number] = self._loop.create_future()
        self.say(frame)
        try:
            done, _ = await asyncio.wait({answer}, timeout=ANSWER_S)
        finally:
            del self._asked[number]
        if not done or answer.cancelled():
            message = f"no answer to {method}"
            raise TimeoutError(message)
        envelope: Envelope = answer.result()
        if envelope.error is not None:
            refused = envelope.error
            raise DeribitError(method, refused.code, refused.message, reason_of(refused.data))
        return envelope

    def next_id(self, count: int = 1) -> int:
        """Return an id nothing was asked with, the first of `count`."""
        first, self._next_id = self._next_id, self._next_id + count
        return first

    def answered(self, envelope: Envelope) -> bool:
        """Hand an answer to whoever waits for it, and tell whether anybody does."""
        number = envelope.id
        asked = self._asked.get(number) if isinstance(number, int) else None
        if asked is None or asked.done():
            return False
        asked.set_result(envelope)
        return True


async def connect(url: str, take: Callable[[Wire, bytes], None], *, most_bytes: int) -> Wire:
    """Return an open connection, through the proxy the environment names.

    Raises
    ------
    NoExchangeError
        If there is none to be had; the message names the address and why.
    """
    plain = "http" + url.removeprefix("ws")
    is_secure = url.startswith("wss:")
    context: ssl.SSLContext | None = certificates(os.environ) if is_secure else None
    try:
        _, listener = await ws_connect(
            lambda: Wire(take, most_bytes),
            url,
            ssl_context=context,
            proxy=_proxy(plain),
            websocket_handshake_timeout=HANDSHAKE_S,
            max_frame_size=most_bytes,
            enable_auto_pong=True,
            max_redirects=0,
            use_aiofastnet=False,  # it takes the place of the event loop's own sockets
        )
    except (WSError, OSError, TimeoutError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _is_ours():
            raise
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        message = f"{url} opened no socket: {reason}"
        raise NoExchangeError(message) from error
    if listener is None:  # picows returns none where the other side ends it unanswered
        message = f"{url} opened no socket: the connection was ended without an answer"
        raise NoExchangeError(message)
    return cast("Wire", listener)


def _proxy(url: str) -> str | None:
    """Return the address of the proxy the environment names, checked; None where it names none."""
    found = proxy_of(url, os.environ)
    if found is None:
        return None
    found.read()
    value = found.value if "://" in found.value else f"http://{found.value}"
    return value.replace("socks5h://", "socks5://", 1)  # names are the proxy's to resolve in both


def _is_ours() -> bool:
    """Whether it is this task that is cancelled, and not something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
