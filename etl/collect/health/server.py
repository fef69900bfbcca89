"""The page and what machines read, over HTTP on loopback, inside the collector's event loop.

Only loopback is listened on unless settings say otherwise, and only requests that name it are
answered: a web page elsewhere could have its own name lead here, and read along.
"""

import asyncio
import base64
import errno
import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etl.collect.board import Board
from etl.collect.health.metrics import TYPE, metrics
from etl.collect.health.overview import overview, reasons
from etl.collect.health.page import SCRIPT, STYLE, page
from etl.collect.health.rates import Rates
from etl.config import Collect
from etl.errors import UsageError

JSON = "application/json"
UNAVAILABLE, MISDIRECTED = 503, 421
Clock = Callable[[], int]


def listen(collect: Collect) -> socket.socket | None:
    """Return a socket that listens where settings say; None where they say nowhere.

    Raises
    ------
    UsageError
        If that is no address, not loopback though it has to be, or taken.
    """
    if not collect.listen:
        return None
    host, port = _address(collect.listen)
    if not (collect.listen_beyond_loopback or _is_loopback(host)):
        message = (
            f"collect.listen = {collect.listen!r} is not on loopback: expected 127.0.0.1:8642,"
            " or collect.listen_beyond_loopback = true"
        )
        raise UsageError(message)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "something listens there already" if taken else error.strerror or error
        message = f"collect.listen = {collect.listen!r}: {reason}"
        raise UsageError(message) from error


def application(board: Board, rates: Rates, now_ms: Clock, *, any_host: bool = False) -> ASGIApp:
    """Return what answers requests about a board."""

    async def shown(_: Request) -> Response:
        return HTMLResponse(page(overview(board, rates, now_ms())))

    async def health(_: Request) -> Response:
        found = reasons(board, now_ms())
        body = msgspec.json.encode({"ok": not found, "reasons": found})
        return Response(body, UNAVAILABLE if found else 200, media_type=JSON)

    async def status(_: Request) -> Response:
        return Response(msgspec.json.encode(overview(board, rates, now_ms())), media_type=JSON)

    async def read(_: Request) -> Response:
        return Response(metrics(board, now_ms()), headers={"Content-Type": TYPE})

    paths = {"/": shown, "/healthz": health, "/status.json": status, "/metrics": read}
    routes = [Route(path, answer, methods=["GET"]) for path, answer in paths.items()]
    return _guarded(Starlette(routes=routes), any_host=any_host)


async def serve(application: ASGIApp, opened: socket.socket) -> None:
    """Answer requests on a socket until cancelled, and close it."""
    config = uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    with opened:
        await _Server(config).serve(sockets=[opened])


class _Server(uvicorn.Server):
    """A server that leaves signals to others, and ends when its task is cancelled."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def main_loop(self) -> None:
        """Wait to be cancelled; uvicorn's own looks ten times a second whether to end."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # what follows closes connections
            return


def _guarded(application: ASGIApp, *, any_host: bool) -> ASGIApp:
    """Return an application that refuses hosts that are not us, and says how to treat answers."""
    headers = _headers()
    refused = PlainTextResponse("no such host here\n", MISDIRECTED)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        is_us = any_host or (len(hosts) == 1 and _is_loopback(_host(hosts[0])))
        await (application if is_us else refused)(scope, receive, sending)

    return guarded


def _headers() -> dict[str, str]:
    style, script = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (STYLE, SCRIPT)
    )
    policy = (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        message = f"collect.listen = {listen!r} is no address: expected host:port, 127.0.0.1:8642"
        raise UsageError(message)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _host(header: str) -> str:
    """Return the host a header names, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
