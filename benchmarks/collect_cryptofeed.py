"""Tickers of a flood by cryptofeed, each a line on disk: run by `collect_peers`.

In an environment of its own, with nothing but the library, its uvloop and its own JSON parser.
Nothing of it is changed but where it goes: it insists on wss://, and takes another address from its
hook for sockets that want a login. Its TICKER wants one, and the flood grants any. `raw` is its own
way of keeping messages: files, synchronised every 10,000 messages.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L1_BOOK, TICKER
from cryptofeed.exchanges import Deribit
from cryptofeed.raw_data_collection import AsyncFileCallback

from benchmarks.collect_lines import Lines, say, told

ADDRESS, PATH, SECONDS, WAY = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
LISTS = [
    f"/api/v2/public/get_instruments?currency={one}&kind=option" for one in ("BTC", "ETH", "USDC")
]
CONFIG = {
    "log": {"disabled": True}, "uvloop": True, "deribit": {"key_id": "any", "key_secret": "any"},
}  # fmt: skip


class Here(Deribit):
    """Deribit, at the flood's address."""

    websocket_endpoints = [WebsocketEndpoint(f"wss://{ADDRESS}", authentication=True)]  # noqa: RUF012
    rest_endpoints = [RestEndpoint(f"http://{ADDRESS}", routes=Routes(LISTS))]  # noqa: RUF012

    async def _ws_authentication(self, address: str, options: Any) -> tuple[str, Any]:
        return address.replace("wss:", "ws:", 1), options


def main() -> None:
    """Collect for so many seconds."""
    lines, raw = Lines(PATH / "lines"), None
    if WAY == "raw":
        raw = AsyncFileCallback(str(PATH))

    async def take(found: Any, received: float) -> None:
        if raw is None:
            row = {**found.to_dict(numeric_type=float), "received": received}
            lines.add(json.dumps(row).encode())

    handler = FeedHandler(CONFIG, raw)
    channel = L1_BOOK if WAY == "l1_book" else TICKER
    symbols = [name for name in Here.symbols() if name.endswith(("-call", "-put"))]
    feed = Here(
        symbols=symbols, channels=[channel], callbacks={channel: take}, config=handler.config
    )
    handler.add_feed(feed)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler.run(start_loop=False, install_signal_handlers=False)
    writing = loop.create_task(lines.run())
    if raw is None:
        say(*loop.run_until_complete(told(lambda: lines.count, SECONDS)))
    else:
        found, seconds, cpu = loop.run_until_complete(told(_written, SECONDS))
        say(found / _bytes_of_a_line(), seconds, cpu)
    writing.cancel()
    os._exit(0)  # it closes nothing in order while messages pour in


def _files() -> list[Path]:
    return sorted(path for path in PATH.iterdir() if ".ws." in path.name)


def _written() -> int:
    return sum(path.stat().st_size for path in _files())


def _bytes_of_a_line() -> float:
    with _files()[0].open("rb") as file:
        text = file.read(10_000_000)
    return text.rindex(b"\n") / text.count(b"\n")


if __name__ == "__main__":
    main()
