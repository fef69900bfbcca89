"""Tickers of a flood by ccxt.pro, each a line on disk: run by `collect_peers`.

Either a task a symbol that waits for `watch_ticker`, or one for some hundred symbols that waits for
`watch_tickers`: the two ways its manual has. Its rate limit is off, or 7,000 subscriptions would
take six minutes; orjson is there, which it takes; the event loop is uvloop's.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import ccxt.pro
import orjson
import uvloop

from benchmarks.collect_lines import Lines, say, told

TOGETHER = 400  # symbols in one call, whose subscription fits into one frame


async def _one(client: Any, symbol: str, lines: Lines) -> None:
    while True:
        ticker = await client.watch_ticker(symbol)
        lines.add(orjson.dumps(ticker["info"]))


async def _some(client: Any, symbols: list[str], lines: Lines) -> None:
    while True:
        for ticker in (await client.watch_tickers(symbols)).values():
            lines.add(orjson.dumps(ticker["info"]))


async def _run(address: str, path: Path, seconds: float, way: str) -> None:
    client = ccxt.pro.deribit({"enableRateLimit": False, "timeout": 120_000})
    client.urls["api"] = {"rest": f"http://{address}", "ws": f"ws://{address}/ws/api/v2"}
    await client.load_markets()
    symbols = [one["symbol"] for one in client.markets.values() if one["option"]]
    lines = Lines(path / "lines")
    if way == "watch_ticker":
        works = [_one(client, symbol, lines) for symbol in symbols]
    else:
        parts = [symbols[at : at + TOGETHER] for at in range(0, len(symbols), TOGETHER)]
        works = [_some(client, part, lines) for part in parts]
    tasks = [asyncio.ensure_future(work) for work in (lines.run(), *works)]
    say(*await told(lambda: lines.count, seconds))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
