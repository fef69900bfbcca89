"""One WebSocket: its handshake, the frames of its client, and what is written to it.

uvicorn hands over an HTTP connection that asks for an upgrade. Handshake and client frames are the
`websockets` library's; frames of the server are made by hand, unless permessage-deflate was
offered and agreed on.
"""

import asyncio
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.exchange.responses import AWAY
from tests.exchange.server import Exchange
from tests.exchange.socket.frames import frame
from tests.exchange.socket.session import Session

PATH = "/ws/api/v2"
_LARGEST = 1 << 20  # above what is answered as too large, a frame ends the connection


class Line(asyncio.Protocol):
    """A connection between a client and its session; `lines` are the open ones."""

    def __init__(
        self, *, exchange: Exchange, lines: set[asyncio.Transport], **_uvicorn: object
    ) -> None:
        self._exchange, self._lines = exchange, lines
        self._protocol = ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()], max_size=_LARGEST
        )
        self._parts: list[bytes] = []
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection, counted in already."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer: tuple[str, int] = transport.get_extra_info("peername")[:2]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        self._exchange.connections.closed(self.transport.get_extra_info("peername"))
        self._lines.discard(self.transport)
        if self.session is not None:
            self.session.ended("client" if exc is None else "lost")

    def data_received(self, data: bytes) -> None:
        """Handle what has come."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()

    def eof_received(self) -> None:
        """Close when the client has."""
        self._protocol.receive_eof()
        self._flush()

    @property
    def is_compressed(self) -> bool:
        """Whether permessage-deflate was agreed on."""
        return bool(self._protocol.extensions)

    @property
    def unread(self) -> int:
        """How many bytes wait to be sent."""
        return self.transport.get_write_buffer_size()

    def send(self, payloads: list[bytes], frames: bytes | None = None) -> None:
        """Send messages; `frames` are the same as frames, where somebody made them already."""
        if self.transport.is_closing() or self._protocol.state is not State.OPEN:
            return
        if not self.is_compressed:
            self.transport.write(b"".join(map(frame, payloads)) if frames is None else frames)
            return
        for payload in payloads:
            self._protocol.send_text(payload)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        if not self.transport.is_closing() and self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Cut the connection: the client sees code 1006."""
        self.transport.abort()

    def _open(self, request: Request) -> None:
        response = self._refusal(request) or self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.session = Session(self._exchange, self)

    def _refusal(self, request: Request) -> Response | None:
        if self._exchange.limits.enforced and self._exchange.connections.is_excess(self.peer):
            return _page(HTTPStatus.TOO_MANY_REQUESTS, AWAY["http_429_html"][1])
        if self._exchange.is_away():
            return _page(HTTPStatus.SERVICE_UNAVAILABLE, AWAY["html_503"][1])
        if request.path.partition("?")[0] != PATH:
            return self._protocol.reject(HTTPStatus.NOT_FOUND, "Not found\n")
        return None

    def _take(self, event: Frame) -> None:
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(event.data))
            if event.fin and self.session is not None:
                text, self._parts = b"".join(self._parts), []
                self.session.take(text)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()


def _page(status: HTTPStatus, body: bytes) -> Response:
    headers = Headers(
        [("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "close")]
    )
    return Response(status.value, status.phrase, headers, body)
