"""Every ticker with Greeks that Deribit really sent and that is at hand, as rows of our own."""

import json
from pathlib import Path

import polars as pl

from etl.instruments.names import with_name_parts
from validators.greeks.quotes import GREEKS, NEEDED

RECORDED = Path(__file__).parents[2] / "shared" / "data"
FILES = {
    "BTC 2021-02": "option_quotes_2021_02/btc_option_data.csv",
    "ETH 2021-02": "option_quotes_2021_02/eth_option_data.csv",
    "session 2021-07": "ws_session_2021_07/DERIBIT.ws.1.0",
    "tickers 2026-09": "rest_results_2026_09/option_tickers.json",
    "Tardis 2020-06": "tardis_samples/options_chain.csv",
}
CHAIN = "book_summary_2025_06/BTC_option_book_summary_20250615_055819.json"
_REAL_OF_TARDIS = 2  # the others of that sample are made up: round steps from row to row
_MEMBERS = ("mark_price", "mark_iv", "underlying_price", "index_price")


def recorded(name):
    """The tickers of a set, with the columns `validate-greeks` reads."""
    return _kept(_sent(RECORDED / FILES[name]))


def recorded_chain():
    """The rows of a whole chain, without Greeks."""
    rows = json.loads((RECORDED / CHAIN).read_text())
    told = [
        {"instrument": one["instrument_name"], "ms": one["creation_timestamp"]}
        | {name: float(one[name]) for name in ("mark_price", "mark_iv", "underlying_price")}
        for one in (rows if isinstance(rows, list) else rows["result"])
    ]
    none = pl.lit(None, pl.Float64)
    absent = dict.fromkeys(("index_price", *GREEKS), none)
    return _kept(pl.DataFrame(told).with_columns(**absent))


def _kept(told):
    moment = pl.from_epoch("ms", "ms").cast(pl.Datetime("us", "UTC"))
    rows = with_name_parts(told).with_columns(
        moment.alias("quoted_at"),
        moment.max().alias("timestamp"),
        pl.concat_str("base", "counter", separator="_", ignore_nulls=True).alias("underlying"),
        (pl.col("mark_iv") / 100).round(10),
    )
    return rows.select(NEEDED)


def _sent(path):
    if path.suffix == ".json":
        return _of_messages(json.loads(path.read_text()).values())
    if path.name == "options_chain.csv":
        rows = pl.read_csv(path).head(_REAL_OF_TARDIS)
        return rows.select(
            pl.col("symbol").alias("instrument"),
            (pl.col("timestamp") // 1000).alias("ms"),
            pl.col("mark_price", "mark_iv", "underlying_price", *GREEKS),
            pl.lit(None, pl.Float64).alias("index_price"),
        )
    if path.suffix == ".csv":
        rows = pl.read_csv(path, infer_schema_length=None)
        return rows.select(
            pl.col("instrument_name").alias("instrument"),
            pl.col("timestamp").alias("ms"),
            pl.col(*_MEMBERS).cast(pl.Float64),
            *(pl.col(f"greeks.{name}").cast(pl.Float64).alias(name) for name in GREEKS),
        )
    lines = (line.partition(": ")[2] for line in path.read_text().splitlines() if "greeks" in line)
    return _of_messages(json.loads(line)["params"]["data"] for line in lines)


def _of_messages(tickers):
    rows = [
        {"instrument": one["instrument_name"], "ms": one["timestamp"]}
        | {name: float(one[name]) for name in _MEMBERS}
        | {name: float(one["greeks"][name]) for name in GREEKS}
        for one in tickers
    ]
    return pl.DataFrame(rows)
