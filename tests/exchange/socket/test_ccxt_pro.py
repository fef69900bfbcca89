"""An unmodified third-party client follows the socket: ccxt.pro, but for the host."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import ccxt.pro

BTC = "BTC/USD:BTC"


@asynccontextmanager
async def following(exchange):
    client = ccxt.pro.deribit()
    client.urls["api"] = {"rest": exchange.url, "ws": f"ws{exchange.url[4:]}/ws/api/v2"}
    client.timeout = 120_000  # its list of everything is long, and the machine may be busy
    try:
        yield client
    finally:
        await client.close()


def test_trades_tickers_and_candles_are_watched(fast):
    async def follow():
        async with following(fast) as client:
            await client.load_markets()
            trades = await client.watch_trades(BTC)
            ticker = await client.watch_ticker(BTC)
            candles = {}
            while len(candles) < 3:
                candles |= {one[0]: list(one) for one in await client.watch_ohlcv(BTC, "1m")}
            return trades, ticker, list(candles.values())

    trades, ticker, candles = asyncio.run(follow())

    assert trades[0]["symbol"] == BTC
    assert trades[0]["side"] in {"buy", "sell"}
    assert trades[0]["price"] > 0
    assert ticker["bid"] < ticker["ask"]
    assert [b[0] - a[0] for a, b in pairwise(candles)] == [60_000] * (len(candles) - 1)
    assert all(low <= close <= high for _, _, high, low, close, _ in candles)
