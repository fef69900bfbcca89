"""``python -m benchmarks.flood``: tickers of the whole chain over WebSocket, on their own core.

Tickers of every option of BTC, ETH and USDC that lives now are rendered once by the simulated
exchange; what is sent differs by nothing but its timestamp. A socket gets those it subscribed to,
round after round: its share of a stated rate, or as fast as it reads. It answers the few requests
over HTTP that clients begin with, takes every subscription and every login, and checks none.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from subprocess import PIPE, Popen
from sys import executable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.exchange.market import Market
from tests.exchange.methods import METHODS
from tests.exchange.option_market.families import BY_NAME
from tests.exchange.option_market.tickers import living, tickers
from tests.exchange.params import Params

CURRENCIES = ("BTC", "ETH", "USDC")
AT_ONCE = 50  # messages in one write: the exchange sends a burst every 100 ms
MOST_UNSENT = 1 << 20
SHORTEST_S = 0.001  # of a wait
QUOTE = ("timestamp", "instrument_name", "best_bid_price", "best_bid_amount", "best_ask_price",
         "best_ask_amount")  # fmt: skip
_STAMP = b'"timestamp":'
_DIGITS = 13  # of milliseconds
_LONG, _LONGER = 126, 1 << 16  # payloads from which on a frame says its length in 2 or 8 bytes


@dataclass(frozen=True, slots=True)
class Round:
    """Every ticker of a socket once, as frames.

    Attributes
    ----------
    frames
        All of them, one behind the other.
    ends
        Where the blocks of `AT_ONCE` frames end, and how many frames are before it.
    digits : int64 array, shape (n, 13)
        Where the digits of their timestamps are.
    """

    frames: bytearray
    ends: list[tuple[int, int]]
    digits: np.ndarray

    def stamped(self, now_ms: int) -> memoryview:
        """Return the frames as of a moment."""
        view = np.frombuffer(self.frames, np.uint8)
        view[self.digits] = np.frombuffer(str(now_ms).encode(), np.uint8)
        return memoryview(bytes(self.frames))


class Flood:
    """A server of one chain, and what it sent."""

    def __init__(self, rate: float) -> None:
        self.rate = rate  # messages a second over all sockets; 0: as fast as they read
        self.sent = 0
        self._market = Market(7, round(time.time() * 1000))
        self._tickers = {one["instrument_name"]: one for one in _chain(self._market)}

    def answer(self, _socket: ServerConnection, request: Request) -> Response | None:
        """Answer a request over HTTP; None opens a socket."""
        told = urlsplit(request.path)
        if told.path == "/chain":
            return _json(list(self._tickers))
        if told.path == "/sent":
            return _json(self.sent)
        method = "public/" + told.path.rpartition("/public/")[2]
        if "/public/" not in told.path:
            return None
        found = METHODS[method](self._market, Params(dict(parse_qsl(told.query))))
        return _json({"jsonrpc": "2.0", "result": found, "usOut": time.time_ns() // 1000})

    async def talk(self, socket: ServerConnection) -> None:
        """Answer what a socket asks, and send what it subscribed to."""
        wanted: dict[str, None] = {}
        sending = asyncio.create_task(self._send(socket, wanted))
        try:
            async for message in socket:
                call = orjson.loads(message)
                channels = call.get("params", {}).get("channels")
                if call["method"].endswith("/subscribe"):
                    wanted |= dict.fromkeys(channels)
                told = {"access_token": "-"} if call["method"] == "public/auth" else channels
                await socket.send(_answer(call["id"], told if told is not None else "ok"))
        except ConnectionClosed:
            return
        finally:
            sending.cancel()

    async def _send(self, socket: ServerConnection, wanted: dict[str, None]) -> None:
        made, count = Round(bytearray(), [], np.empty((0, _DIGITS), np.int64)), -1
        while True:
            if count != len(wanted):
                count = len(wanted)
                made = self._round(wanted)
                share = self.rate * len(made.digits) / len(self._tickers)
                began, sent = time.monotonic(), 0
            if not made.ends:
                await asyncio.sleep(0.05)
                continue
            frames, start, before = made.stamped(round(time.time() * 1000)), 0, 0
            for end, number in made.ends:
                socket.transport.write(frames[start:end])
                self.sent += number - before
                sent += number - before
                start, before = end, number
                await _paced(socket, began + sent / share if share else 0.0)

    def _round(self, channels: Sequence[str] | dict[str, None]) -> Round:
        frames, ends, stamps = bytearray(), [], []
        for channel in channels:
            family, name, *_ = channel.split(".")
            if name not in self._tickers:
                continue
            data = self._tickers[name]
            if family == "quote":
                data = {key: data[key] for key in QUOTE}
            payload = _notification(channel, data)
            frames += _head(len(payload))
            stamps.append(len(frames) + payload.index(_STAMP) + len(_STAMP))
            frames += payload
            if len(stamps) % AT_ONCE == 0:
                ends.append((len(frames), len(stamps)))
        if stamps and (not ends or ends[-1][1] < len(stamps)):
            ends.append((len(frames), len(stamps)))
        digits = np.array(stamps, np.int64)[:, None] + np.arange(_DIGITS)
        return Round(frames, ends, digits.reshape(-1, _DIGITS))


async def _paced(socket: ServerConnection, due: float) -> None:
    """Wait until a moment, and until the client has read most of what there is."""
    unsent = socket.transport.get_write_buffer_size
    while unsent() > MOST_UNSENT:  # noqa: ASYNC110  (the transport's own drain is the library's)
        await asyncio.sleep(0.0005)
    early = due - time.monotonic()
    await asyncio.sleep(early if early > SHORTEST_S else 0)


def _chain(market: Market, currencies: Collection[str] = CURRENCIES) -> Iterator[dict[str, Any]]:
    for name, family in BY_NAME.items():
        if family.settlement_currency in currencies:
            chain = market.world.options.chain(name)
            yield from tickers(market, chain, living(chain, market.now_ms))


def notifications_of(
    market: Market, currencies: Collection[str] = CURRENCIES
) -> Iterator[tuple[str, bytes]]:
    """Yield the channel and the message of the ticker of every option of a moment."""
    for data in _chain(market, currencies):
        channel = f"ticker.{data['instrument_name']}.agg2"
        yield channel, _notification(channel, data)


def _notification(channel: str, data: dict[str, Any]) -> bytes:
    params = {"channel": channel, "data": data}
    return orjson.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params})


def _answer(number: Any, result: Any) -> str:
    now = time.time_ns() // 1000
    return json.dumps(
        {"jsonrpc": "2.0", "id": number, "result": result, "usIn": now, "usOut": now, "usDiff": 0}
    )


def _json(found: Any) -> Response:
    body = orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)
    told = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    return Response(HTTPStatus.OK, "OK", told, body)


@cache
def _head(size: int) -> bytes:
    """Return the head of a text frame of a server."""
    if size < _LONG:
        return bytes([0x81, size])
    if size < _LONGER:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


@contextmanager
def flooding(core: int, rate: float = 0.0) -> Iterator[str]:
    """Run a server on a core, and yield its address without the scheme."""
    command = [executable, "-m", "benchmarks.flood", f"--core={core}", f"--rate={rate}"]
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101  (for the type checker)
            port = process.stdout.readline().strip()
            if not port:
                message = "the flood did not start"
                raise RuntimeError(message)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@asynccontextmanager
async def _serving(flood: Flood, port: int) -> AsyncIterator[int]:
    options: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None}
    async with serve(flood.talk, "127.0.0.1", port, process_request=flood.answer, **options) as one:
        yield next(iter(one.sockets)).getsockname()[1]


async def _run(rate: float, port: int) -> None:
    async with _serving(Flood(rate), port) as found:
        print(found, flush=True)
        await asyncio.Future()


def main() -> None:
    """Serve until terminated."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--port", type=int, default=0)
    told.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: no limit")
    told.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    options = told.parse_args()
    os.sched_setaffinity(0, {options.core})
    asyncio.run(_run(options.rate, options.port))


if __name__ == "__main__":
    main()
