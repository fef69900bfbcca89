"""The exchange on a loopback socket: counts connections, says when it is ready, can be stopped."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.exchange.limits import Connections
from tests.exchange.server import Exchange, application
from tests.exchange.socket.line import Line

BACKLOG = 256


class CountedProtocol(HttpToolsProtocol):
    """An HTTP connection that the exchange counts."""

    def __init__(
        self, *args: Any, connections: Connections, lines: set[asyncio.Transport], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._lines = lines

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection in."""
        super().connection_made(transport)
        self._connections.opened(transport.get_extra_info("peername"))
        self._lines.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        self._connections.closed(self.transport.get_extra_info("peername"))
        self._lines.discard(self.transport)
        super().connection_lost(exc)


class Listener(uvicorn.Server):
    """A server that ends with exit code 0 when it is told to stop."""

    is_shut = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; uvicorn would raise them once more at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens, as soon as it does."""
        await super().startup(sockets)
        for opened in sockets or []:
            host, port = opened.getsockname()
            print(f"listening on http://{host}:{port}", flush=True)  # noqa: T201 - the interface

    def shut(self, seconds: float, port: int, lines: set[asyncio.Transport]) -> None:
        """Cut all connections, and refuse new ones from now on for some seconds.

        One that was about to be taken is cut when it asks, with another call.
        """
        for line in list(lines):
            line.abort()
        is_open, self.is_shut = not self.is_shut, True
        if not is_open:
            return
        for server in self.servers:
            server.close()
        if seconds != float("inf"):
            asyncio.get_running_loop().call_later(seconds, self._open_again, port)

    def _open_again(self, port: int) -> None:
        opened = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self.opening = asyncio.ensure_future(super().startup(sockets=[opened]))

    def _stop(self) -> None:
        self.should_exit = True
        self.force_exit = True  # do not wait for clients that keep their connections open


async def listen(exchange: Exchange, port: int) -> None:
    """Serve an exchange until a signal stops it."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a cut body is no error here
    lines: set[asyncio.Transport] = set()
    counted = partial(CountedProtocol, connections=exchange.connections, lines=lines)
    config = uvicorn.Config(
        application(exchange),
        http=counted,  # type: ignore[arg-type]
        ws=partial(Line, exchange=exchange, lines=lines),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=exchange.clock.delay(900),  # type: ignore[arg-type]  # any number
    )
    with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as opened:
        listener = Listener(config)
        if exchange.outage:
            address = opened.getsockname()[1]
            exchange.outage.shut = lambda seconds: listener.shut(
                exchange.clock.delay(seconds), address, lines
            )
        sending = asyncio.ensure_future(exchange.hub.run())
        await listener.serve(sockets=[opened])
        sending.cancel()
