"""300,000 options: fold their lists, load them, ask them, compare two moments of them.

Each task runs in a process of its own, so that its memory is its own; commands are timed from
their start to their end; the reference is DuckDB reading the same file. The lists are made up, of
records with every member Deribit sends, as it sends them: what expired by currency, what lives at
once.
"""

import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.command import LAKE
from benchmarks.machine import show
from benchmarks.memory import peak_mb
from etl.instruments import table
from etl.instruments.names import with_name_parts
from lake import raw
from lake.paths import Lake, open_lake

EXPIRED = {"BTC": 120_000, "ETH": 100_000, "USDC": 60_000, "SOL": 14_500}
LIVING, STRIKES = 5_500, 50
OPTIONS = sum(EXPIRED.values()) + LIVING
DAY_MS = 86_400_000
FIRST_MS = 1_467_964_800_000  # 2016-07-08 08:00, the first expiry there are names of
NOW_US = 1_760_745_600_000_000
SINCE, UNTIL = (pl.lit(datetime(2020, month, 1, tzinfo=UTC)) for month in (3, 4))
SHOW = ["show", "--kind", "option", "--currency", "BTC", "--at", "2020-03-01"]
DIFF = ["diff", "--since", "2020-03-01", "--until", "2020-04-01"]


def main() -> None:
    """Stage the lists and print the table."""
    with tempfile.TemporaryDirectory() as name:
        lake = open_lake(Path(name) / "lake", create=True)
        _apart(_stage, lake)  # what this process once held, its children would be charged for
        body = [_row("fold from raw", _fold, lake)]
        _apart(partial(_stage, now_us=NOW_US + DAY_MS * 1000), lake)
        body += [_row(name, task, lake) for name, task in TASKS.items()]
        body += [_command(lake, words) for words in (SHOW, DIFF)]
        show(f"{OPTIONS:,} options", ["", "seconds", "peak MB"], body)


def _fold(lake: Lake) -> None:
    table.refold(lake)


def _load(lake: Lake) -> None:
    pl.read_parquet(lake.clean(table.PARTITION))


def _living(lake: Lake) -> None:
    table.at(table.scan(lake), SINCE).collect()


def _diff(lake: Lake) -> None:
    table.diff(table.scan(lake), SINCE, UNTIL).collect()


def _names(lake: Lake) -> None:
    with_name_parts(table.scan(lake).select("instrument").collect())


def _duckdb(lake: Lake) -> None:
    query = "SELECT * FROM read_parquet(?) WHERE valid_from <= TIMESTAMPTZ '2020-03-01'"
    duckdb.sql(query, params=[str(lake.clean(table.PARTITION))]).pl()


TASKS: dict[str, Callable[[Lake], None]] = {
    "fold the same lists of the day after": _fold,
    "load, records and all": _load,
    "living at a moment": _living,
    "difference of two moments": _diff,
    f"what {OPTIONS:,} names say": _names,
    "DuckDB reads the same rows (reference)": _duckdb,
}


def _row(name: str, task: Callable[[Lake], None], lake: Lake) -> list[str]:
    seconds, peak = _apart(task, lake)
    return [name, f"{seconds:.2f}", f"{peak:.0f}"]


def _command(lake: Lake, words: list[str]) -> list[str]:
    line = [LAKE, "--lake", str(lake.root), "instruments", *words]
    started = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
        peak = peak_mb(process)
    return [f"`instruments {words[0]}`", f"{time.perf_counter() - started:.2f}", f"{peak:.0f}"]


def _apart(task: Callable[[Lake], None], lake: Lake) -> tuple[float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (task, lake))


def _measured(task: Callable[[Lake], None], lake: Lake) -> tuple[float, float]:
    started = time.perf_counter()
    task(lake)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _stage(lake: Lake, now_us: int = NOW_US) -> None:
    first = 0
    for order, (currency, number) in enumerate({"any": LIVING, **EXPIRED}.items()):
        record = partial(_record, currency=currency if currency in EXPIRED else "BTC")
        listed = [record(each) for each in range(first, first + number)]
        if currency == "any":
            _write(lake.raw("get_instruments", kind="option", currency="any"), listed, now_us)
        else:
            folder = lake.raw("get_instruments", kind="option", expired="true", currency=currency)
            _write(folder, listed, now_us + order)
        first += number


def _write(folder: Path, listed: list[dict[str, object]], now_us: int) -> None:
    body = json.dumps({"result": listed}).encode()
    attempt = raw.Attempt(
        attempt_id=f"{now_us}-00000000", fetched_at=now_us, host="", params="{}", window_start=0,
        window_end=0, outcome="ok", http_status=200, us_in=now_us, us_out=now_us, body=body,
    )  # fmt: skip
    raw.stage([attempt], folder)


def _record(number: int, currency: str) -> dict[str, object]:
    expiry_number, strike_number = divmod(number, 2 * STRIKES)
    expiry = FIRST_MS + expiry_number * DAY_MS
    strike, is_call = 1_000 + 500 * (strike_number // 2), strike_number % 2 == 0
    day = f"{datetime.fromtimestamp(expiry / 1000, UTC):%d%b%y}".upper().lstrip("0")
    return {
        "state": "archivized", "price_index": "btc_usd", "kind": "option",
        "instrument_name": f"{currency}-{day}-{strike}-{'C' if is_call else 'P'}",
        "maker_commission": 0.0003, "taker_commission": 0.0003, "instrument_type": "reversed",
        "expiration_timestamp": expiry, "instrument_id": 10_000 + number,
        "underlying_type": "crypto", "product_group": "TIER_1",
        "creation_timestamp": expiry - 14 * DAY_MS, "is_active": False, "contract_size": 1.0,
        "tick_size": 0.0005, "strike": float(strike), "counter_currency": "USD",
        "option_type": "call" if is_call else "put", "min_trade_amount": 0.1,
        "block_trade_commission": 0.0003, "block_trade_min_trade_amount": 25,
        "block_trade_tick_size": 0.0001, "settlement_currency": currency,
        "settlement_period": "week", "base_currency": currency, "quote_currency": currency,
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}], "rfq": False,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
