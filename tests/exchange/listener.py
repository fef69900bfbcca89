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

BACKLOG = 256


class CountedProtocol(HttpToolsProtocol):
    """An HTTP connection that the exchange counts."""

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection in."""
        super().connection_made(transport)
        self._connections.opened(transport.get_extra_info("peername"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        self._connections.closed(self.transport.get_extra_info("peername"))
        super().connection_lost(exc)


class Listener(uvicorn.Server):
    """A server that ends with exit code 0 when it is told to stop."""

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

    def _stop(self) -> None:
        self.should_exit = True
        self.force_exit = True  # do not wait for clients that keep their connections open


async def listen(exchange: Exchange, port: int) -> None:
    """Serve an exchange until a signal stops it."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a cut body is no error here
    config = uvicorn.Config(
        application(exchange),
        http=partial(CountedProtocol, connections=exchange.connections),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=900,
    )
    with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as opened:
        await Listener(config).serve(sockets=[opened])
