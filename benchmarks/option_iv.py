"""Implied volatility of a month of option trades on one core, from Parquet to Parquet.

Simulated trades are read, forwards recovered from them and written, trades read again, solved with
the ends of their price step, and written. Floors are reading, the kernels and writing, each alone.
What a command does besides, it checks contracts, sums up for the ledger and makes durable. Beside
it the libraries a user would call from Polars, on the same trades with the forward given.
"""

import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.machine import best, pin_to_one_core, show
from benchmarks.option_iv_peers import FEW, SLOW, ours, peers
from etl.compute import forward_curve, option_iv
from etl.compute.run import Ask, compute
from etl.instruments.names import with_name_parts
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.read import checksum, read_table
from lake.write import publish_table
from tests.exchange.market import Market
from validators.contract import layout_of
from validators.schemas.forward_curve import ForwardCurve
from validators.schemas.option_iv import OptionIv
from validators.schemas.option_trades import OptionTrades

if TYPE_CHECKING:
    from collections.abc import Callable

MONTHS = tuple(f"2024-{month:02}" for month in range(3, 9))
ROUNDS = 5


def main() -> None:
    """Make months of trades, print the tables."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        lake = open_lake(Path(name) / "lake", create=True)
        for month in MONTHS:
            publish_month(lake, Partition("option_trades", "BTC", month))
        _workers(lake, cores)
        pin_to_one_core()
        _stages(lake, Partition("option_trades", "BTC", MONTHS[0]), Path(name))


def publish_month(lake: Lake, month: Partition) -> None:
    """Publish a month of simulated trades as a backfill does."""
    market = Market(7, month.span.end_ms + 40 * 86_400_000)
    sent = market.option_trades("BTC", month.span.start_ms, month.span.end_ms)
    trades = arrow(
        sent.rename({"instrument_name": "instrument"})
        .with_columns(
            (pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC")),
            (pl.col("iv") / 100).round(10),
            pl.col("block_rfq_id").cast(pl.String),
            other=pl.lit(None, pl.String),
        )
        .select(*OptionTrades.to_schema().columns)
        .sort("instrument", "timestamp", "trade_seq")
    )
    publish_table(trades, lake.clean(month), **layout_of(OptionTrades))
    write_record(lake, month, Record(rows=trades.num_rows, checksum=checksum(trades)))


def _workers(lake: Lake, cores: set[int]) -> None:
    """Compute all months with one worker process and with two."""
    seconds = {}
    for workers in (1, 2):
        os.sched_setaffinity(0, cores)
        seconds[workers] = best(lambda count=workers: _computed(lake, count), 2)
    trades = sum(
        pl.scan_parquet(path).select(pl.len()).collect().item()
        for path in lake.files("option_trades")
    )
    show(
        f"compute forwards and iv, {trades:,} trades in {len(MONTHS)} months, checked and durable",
        ["workers", "seconds", "million trades/s", "times"],
        [
            [str(count), f"{took:.2f}", f"{trades / took / 1e6:.2f}", f"{seconds[1] / took:.2f}"]
            for count, took in seconds.items()
        ],
    )


def _computed(lake: Lake, workers: int) -> None:
    ask = Ask(anew=True, workers=workers)
    for dataset in (forward_curve.FORWARD_CURVE, option_iv.OPTION_IV):
        compute(lake, dataset, Listing(0, {}), LogProgress(), ask)


def _stages(lake: Lake, month: Partition, folder: Path) -> None:
    """Print what each stage takes on one core, and what others take for the solving."""
    path = lake.clean(month)
    curve_path, out = folder / "curve.parquet", folder / "iv.parquet"

    def read(columns: tuple[str, ...]) -> pa.Table:
        return read_table(path, columns, coded=("instrument",))

    seen, traded = read(forward_curve.COLUMNS), read(option_iv.COLUMNS)
    curve = forward_curve.curve_of([seen], [], month.span)
    vols = option_iv.vols_of(traded, curve)
    tables = _table(curve), _table(vols)

    def write() -> None:
        publish_table(tables[0], curve_path, **layout_of(ForwardCurve))
        publish_table(tables[1], out, **layout_of(OptionIv))

    def whole() -> None:
        made = forward_curve.curve_of([read(forward_curve.COLUMNS)], [], month.span)
        publish_table(_table(made), curve_path, **layout_of(ForwardCurve))
        found = option_iv.vols_of(read(option_iv.COLUMNS), made)
        publish_table(_table(found), out, **layout_of(OptionIv))

    tasks: dict[str, Callable[[], object]] = {
        "read, twice": lambda: (read(forward_curve.COLUMNS), read(option_iv.COLUMNS)),
        "kernels": _kernels(traded, curve, month),
        "write": write,
        "Parquet to Parquet": whole,
    }
    seconds = {name: best(task, ROUNDS) for name, task in tasks.items()}
    floor = sum(list(seconds.values())[:3])
    rows = len(vols)
    show(
        f"{rows:,} trades, one core ({out.stat().st_size / rows:.1f} bytes each)",
        ["", "seconds", "million trades/s", "of the floors' harmonic sum"],
        [
            [name, f"{took:.2f}", f"{rows / took / 1e6:.2f}", f"{floor / took:.2f}"]
            for name, took in seconds.items()
        ],
    )
    _beside(vols)


def _kernels(traded: pa.Table, curve: pl.DataFrame, month: Partition) -> "Callable[[], object]":
    """Return what runs the three kernels on arrays that are there."""
    from quant.kernels import carry, forwards, traded_vol  # noqa: PLC0415  (numba)

    names = traded["instrument"].combine_chunks()
    terms, codes = option_iv.terms_of(names.dictionary), names.indices.to_numpy()
    moment = traded["timestamp"].to_numpy().view(np.int64)
    price, iv, index = (traded[name].to_numpy() for name in ("price", "iv", "index_price"))
    expiry, strike = terms.expiry[codes], terms.strike[codes]
    is_call, is_coin = terms.is_call[codes], terms.is_coin[codes]
    tenor = (expiry - moment) / forward_curve.YEAR_US
    basis, error = np.empty(len(codes)), np.empty(len(codes))
    expiries = np.unique(terms.expiry)
    order = np.argsort(moment, kind="stable")
    number = np.searchsorted(expiries, expiry)
    half = np.full(len(codes), 0.00005)
    sources, asks = np.zeros(len(codes), np.int64), np.ones(len(codes), bool)
    told = option_iv._forwards(terms, codes, moment, index, curve)  # noqa: SLF001
    forwards.recovered(price, iv, index, strike, tenor, is_call, is_coin, basis, error)
    sorted_columns = [each[order] for each in (moment, number, basis, error, sources, asks)]
    span = month.span.start_ms * 1000, month.span.end_ms * 1000

    def run() -> None:
        forwards.recovered(price, iv, index, strike, tenor, is_call, is_coin, basis, error)
        carry.trailing_carry(*sorted_columns, expiries, *span)
        option_iv._forwards(terms, codes, moment, index, curve)  # noqa: SLF001
        traded_vol.traded_vol(
            price, (half, half), told.forward, strike, told.tenor, is_call=is_call, is_coin=is_coin
        )

    return run


def _beside(vols: pl.DataFrame) -> None:
    """Print what libraries take to solve the same trades, one volatility each."""
    named = with_name_parts(
        vols.filter(pl.col("status").cast(pl.String) == "ok")
        .with_columns(pl.col("instrument").cast(pl.String))
        .drop("status")
    )
    left = (pl.col("expiry") - pl.col("timestamp")).dt.total_microseconds()
    frame = named.select(
        (pl.col("price") * pl.col("forward")).alias("price_usd"),
        "forward", "strike", tenor=left / forward_curve.YEAR_US, option_type="option_type",
    )  # fmt: skip
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    rows, reference = [], 0.0
    for name, way in [("deribit-lake", ours), *peers()]:
        some = frame.head(FEW) if name in SLOW else frame
        took = best(lambda way=way, some=some: way(some), 3) / len(some) * 1e9  # type: ignore[misc]
        reference = reference or took
        rows.append([name, f"{took:,.0f}", f"{took / reference:.1f}"])
    show(
        "one volatility from a Polars frame, the forward given",
        ["", "ns a row", "times ours"],
        rows,
    )


def _table(frame: pl.DataFrame) -> pa.Table:
    return arrow(frame.with_columns(pl.col(pl.Enum).cast(pl.String)))


if __name__ == "__main__":
    main()
