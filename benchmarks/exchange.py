"""How fast the simulated exchange is: pages of 5,000 candles per second, and bytes per candle.

Run with ``python -m benchmarks.exchange``.
"""

import http.client
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa

from benchmarks.machine import show
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Columns, Market
from tests.exchange.running import NOW, running

INSTRUMENT = "BTC-PERPETUAL"
PAGE_MS = 5_000 * 60_000
PAGES = 400
FIRST = milliseconds("2020-01-01")


def main() -> None:
    """Print one table."""
    market = Market(7, milliseconds(NOW))
    served, peak = _served()
    bodies = [_encoded(_page(market, number)) for number in range(0, PAGES, 10)]
    page = _page(market, 0)
    rows = [
        ("served over a socket, one keep-alive client", f"{served:.0f} pages/s"),
        ("generation alone, uncached", f"{_rate(_generator(market)):.0f} pages/s"),
        ("JSON encoding alone", f"{_rate(lambda _: _encoded(page)):.0f} pages/s"),
        ("body", f"{sum(map(len, bodies)) / len(bodies) / 5_000:.1f} B/candle"),
        ("body, zstd 3", f"{_compressed(bodies) / len(bodies) / 5_000:.1f} B/candle"),
        ("peak memory of the server", f"{peak:.0f} MB"),
    ]
    show(f"Simulated exchange: pages of 5,000 candles of {INSTRUMENT}", ("what", "value"), rows)


def _served() -> tuple[float, float]:
    """Return pages per second over a real socket, and the server's peak memory [MB]."""
    with running(limits=False) as exchange:
        connection = http.client.HTTPConnection(exchange.url.removeprefix("http://"))

        def fetch(number: int) -> None:
            connection.request("GET", _path(number))
            connection.getresponse().read()

        rate = _rate(fetch)
        return rate, _peak_mb(exchange.pid)


def _path(number: int) -> str:
    start, end = _window(number)
    return (
        f"/api/v2/public/get_tradingview_chart_data?instrument_name={INSTRUMENT}&resolution=1"
        f"&start_timestamp={start}&end_timestamp={end - 60_000}"
    )


def _window(number: int) -> tuple[int, int]:
    return FIRST + number * PAGE_MS, FIRST + (number + 1) * PAGE_MS


def _generator(market: Market) -> Callable[[int], Columns]:
    return lambda number: _page(market, number)


def _page(market: Market, number: int) -> Columns:
    return market.candles(INSTRUMENT, *_window(number))


def _encoded(page: Columns) -> bytes:
    return orjson.dumps(page, option=orjson.OPT_SERIALIZE_NUMPY)


def _compressed(bodies: list[bytes]) -> int:
    codec = pa.Codec("zstd", compression_level=3)
    return sum(len(codec.compress(body, asbytes=True)) for body in bodies)


def _rate(work: Callable[[int], object]) -> float:
    start = time.perf_counter()
    for number in range(PAGES):
        work(number)
    return PAGES / (time.perf_counter() - start)


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    main()
