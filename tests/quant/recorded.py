"""Option quotes Deribit really sent, beside ours of the same inputs."""

import json
from pathlib import Path

import polars as pl

from quant import conventions
from quant.black76 import GREEKS, with_price_and_greeks

RECORDED = Path(__file__).parents[3] / "shared" / "data"
QUANTITIES = ("mark_price", *GREEKS)
FILES = {
    "BTC 2021-02": "option_quotes_2021_02/btc_option_data.csv",
    "ETH 2021-02": "option_quotes_2021_02/eth_option_data.csv",
    "tickers 2026-09": "rest_results_2026_09/option_tickers.json",
}

_NAME = (
    r"^(?<base>[A-Z]+)(?<linear>_USDC)?-(?<date>\d+[A-Z]{3}\d\d)-(?<strike>[\dd]+)-(?<type>[CP])$"
)


def compared(name):
    """Quotes of a file with their `forward`, `tenor`, `iv`, and per quantity ours less theirs."""
    quotes = _quotes(RECORDED / FILES[name]).with_columns(_parsed()).filter(
        pl.col("tenor") > 0, pl.col("iv") > 0
    )  # fmt: skip
    ours = with_price_and_greeks(quotes)
    errors = quotes.select(
        (ours[column] - quotes[f"their_{quantity}"]).abs().alias(f"{quantity}_error")
        for column, quantity in zip(("model_price", *GREEKS), QUANTITIES, strict=True)
    )
    rounded = (ours["gamma"].round(5) - quotes["their_gamma"]).abs()  # they print five decimals
    return quotes.hstack(errors.with_columns(gamma_error=rounded))


def _quotes(path):
    if path.suffix == ".json":
        tickers = json.loads(path.read_text()).values()
        rows = [
            {f"greeks.{greek}": float(ticker["greeks"][greek]) for greek in GREEKS}
            | {key: ticker[key] for key in ("instrument_name", "timestamp")}
            | {key: float(ticker[key]) for key in ("mark_price", "mark_iv", "underlying_price")}
            for ticker in tickers
        ]
        return pl.DataFrame(rows)
    return pl.read_csv(path, infer_schema_length=None)


def _parsed():
    parts = pl.col("instrument_name").str.extract_groups(_NAME)
    date = parts.struct["date"].str.pad_start(7, "0").str.to_titlecase()
    expiry = conventions.expiry(date.str.strptime(pl.Date, "%d%b%y"))
    timestamp = pl.from_epoch("timestamp", "ms").dt.replace_time_zone("UTC")
    strike = parts.struct["strike"].str.replace("d", ".", literal=True).cast(pl.Float64)
    linear = parts.struct["linear"].is_not_null()
    return [
        pl.col("underlying_price").alias("forward"),
        (pl.col("mark_iv") / 100).alias("iv"),
        strike.alias("strike"),
        conventions.tenor(timestamp, expiry).alias("tenor"),
        pl.when(parts.struct["type"] == "C").then(pl.lit("call")).otherwise(pl.lit("put"))
        .alias("option_type"),
        pl.when(linear).then(pl.lit("linear")).otherwise(pl.lit("reversed"))
        .alias("instrument_type"),
        pl.col("mark_price").alias("their_mark_price"),
        *(pl.col(f"greeks.{greek}").alias(f"their_{greek}") for greek in GREEKS),
    ]  # fmt: skip
