"""What rows that are fetched and rows that are computed take: bytes, and time of a core.

Two days of trades and some weeks of candles are fetched from the simulated exchange and folded
again from raw; all that is computed is made of a month of trades of every currency, and of an hour
of the chain's tickers.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.greeks import publish_rates
from benchmarks.history import LIMITLESS
from benchmarks.sizing_lake import (
    DAY_MS,
    Chain,
    Took,
    bytes_of,
    collect_tickers,
    fold_tickers,
    publish_span,
    publish_trades,
)
from benchmarks.sizing_model import (
    CANDLES,
    KEPT,
    MESSAGES,
    SURFACES,
    TICKER_MINUTES,
    TICKERS,
    TRADES,
    Unit,
)
from etl.backfill.replay import replay
from etl.backfill.run import rules_of
from etl.catalog import find_computed, find_fetched
from etl.compute.run import Ask, compute
from etl.config import load_settings
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.ledger import records
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.span import period_span
from tests.exchange.running import running

CURRENCIES = ("BTC", "ETH", "USDC")
FETCHED = {
    "option_trades": (
        ("options", "--currency", ",".join(CURRENCIES), "--start", "2025-10-15", "--end",
         "2025-10-17"),
        "get_last_trades_by_currency_and_time", TRADES,
    ),
    "perpetuals_ohlcv": (
        ("perpetuals", "--instruments", "BTC-PERPETUAL,ETH-PERPETUAL", "--start", "2025-08-01",
         "--end", "2025-10-17"),
        "get_tradingview_chart_data", CANDLES,
    ),
}  # fmt: skip
STAGES = {
    "options_ohlcv": "candles of options",
    "forward_curve": "forwards",
    "option_iv": "implied volatilities",
    "options_greeks": "Greeks",
    "vol_slices": "surfaces",
    "vol_grid": "surfaces",
    "constant_maturity_vol": "surfaces",
    "variance_swap": "surfaces",
}
QUOTED = ("forward_curve", "vol_slices", "vol_grid", "constant_maturity_vol", "variance_swap")
"""Steps that take tickers, too."""
MONTH, UNDERLYINGS = "2025-09", 6
ROUNDS, WARM_MS = 60, period_span("2025-08").end_ms - DAY_MS
CADENCES = (1, 10, 60)
HOUR_MS = 3_600_000
NOON_MS = period_span("2025-10-15").start_ms + 12 * HOUR_MS


def fetched(folder: Path) -> Iterator[Unit]:
    """Yield what a trade and a candle take in raw and in clean, and to fold them."""
    root = folder / "fetched"
    with running(limits=False, options_since="2025-10-13") as exchange:
        for words, _, _ in FETCHED.values():
            command = [str(Path(sys.executable).with_name("deribit-lake")), "--host", exchange.url]
            command += ["--lake", str(root / "lake"), "backfill", *words]
            environment = os.environ | LIMITLESS | {"DERIBIT_LAKE_LOG_DIR": str(root / "logs")}
            subprocess.run(command, env=environment, check=True, capture_output=True)
    settings, took = load_settings(root=root / "lake", log_dir=root / "logs"), Took()
    lake = Lake(settings.root)
    for name, (_, method, of) in FETCHED.items():
        dataset = [find_fetched(name)]
        for attempt in ("warm", name):  # the first imports and compiles
            with took.timed(attempt):
                rows = sum(
                    record.rows for _, record in replay(lake, dataset, rules_of(settings), count=1)
                )
        folders = lake.root.glob(f"raw/{method}*")
        yield Unit(name, "raw", of, sum(map(bytes_of, folders)) / rows, 0.0, "")
        size = bytes_of(lake.root / "clean" / name) / rows
        yield Unit(name, "clean", of, size, took.seconds[name] / rows * 1e6, f"fold {name}")


def computed(folder: Path) -> list[Unit]:
    """Return what each step takes for a trade, or for a surface of trades."""
    lake = open_lake(folder / "computed", create=True)
    publish_rates(lake, 2025)
    trades = sum(publish_trades(lake, currency, MONTH) for currency in CURRENCIES)
    _warm(folder)
    took, sizes = steps(lake)
    hours = (period_span(MONTH).end_ms - period_span(MONTH).start_ms) / HOUR_MS * UNDERLYINGS
    found = []
    for name, stage in STAGES.items():
        of, count = (SURFACES, hours) if stage == "surfaces" else (TRADES, float(trades))
        seconds = took.seconds[name]
        found.append(Unit(name, "derived", of, sizes[name] / count, seconds / count * 1e6, stage))
    return found


def _warm(folder: Path) -> None:
    """Compute something small: the first run compiles."""
    lake = open_lake(folder / "warm", create=True)
    publish_rates(lake, 2025)
    publish_span(lake, Partition("option_trades", "BTC", "2025-08"), WARM_MS, WARM_MS + DAY_MS)
    steps(lake)


def steps(lake: Lake) -> tuple[Took, dict[str, int]]:
    """Compute everything on one core; return what each step took, and the bytes it made."""
    took, sizes = Took(), {}
    for name in STAGES:
        with took.timed(name):
            ask = Ask(anew=True, workers=1)
            compute(lake, find_computed(name), Listing(0, {}), LogProgress(), ask)
        sizes[name] = bytes_of(lake.root / "derived" / name)
        took.counts[name] = sum(record.rows for _, record in records(lake, name))
    return took, sizes


def tickers(folder: Path) -> tuple[Lake, Took, dict[int, float]]:
    """Collect an hour of the chain, and as many tickers at shorter distances.

    Returns
    -------
    Lake
        With the hour, folded.
    Took
        What that took.
    dict
        Bytes of a message in raw, by how many seconds lie between messages.
    """
    raw = {}
    for every in CADENCES:
        took, lake = Took(), open_lake(folder / f"tickers-{every}", create=True)
        collect_tickers(lake, NOON_MS, ROUNDS * every, Chain(every), took)
        raw[every] = bytes_of(lake.root / "raw") / took.counts["messages"]
    fold_tickers(lake, took)
    return lake, took, raw


def of_tickers(lake: Lake, folder: Path, took: Took) -> Iterator[Unit]:
    """Yield what a ticker takes on its way, and what is computed of the chains of full hours.

    What is computed needs trades as well: what those take alone is taken off.
    """
    yield Unit(TICKERS, "journal", MESSAGES, 0.0, took.each("journal", "messages"), "collect")
    yield Unit(TICKERS, "raw", KEPT, 0.0, took.each("settle", "messages"), "collect")
    rows, size = took.counts[TICKERS], bytes_of(lake.root / "clean" / TICKERS)
    fold = f"fold {TICKERS}"
    yield Unit(TICKERS, "clean", TICKER_MINUTES, size / rows, took.each("fold", TICKERS), fold)
    plain = open_lake(folder / "plain", create=True)
    (alone, least), (both, most) = (_steps_of_the_hour(one) for one in (plain, lake))
    for name, stage in STAGES.items():
        if name in QUOTED:
            seconds = max(both.seconds[name] - alone.seconds[name], 0.0)
            size = most[name] - least[name]
            yield Unit(name, "derived", TICKER_MINUTES, size / rows, seconds / rows * 1e6, stage)


def _steps_of_the_hour(lake: Lake) -> tuple[Took, dict[str, int]]:
    """Compute everything with the trades of the hour tickers are of."""
    publish_rates(lake, 2025)
    for one in CURRENCIES:
        publish_span(lake, Partition("option_trades", one, "2025-10"), NOON_MS, NOON_MS + HOUR_MS)
    return steps(lake)
