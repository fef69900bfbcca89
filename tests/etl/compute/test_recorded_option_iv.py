"""Volatilities of trades Deribit really made, against the ones it printed with them."""

import json
import sys
from datetime import timedelta

import polars as pl
import pytest

from etl.compute.forward_curve import COLUMNS as WITNESSED
from etl.compute.forward_curve import curve_of
from etl.compute.option_iv import COLUMNS, vols_of
from etl.instruments.names import with_name_parts
from lake.arrow import arrow
from lake.span import Span
from tests.priced_trades import SCHEMA
from tests.quant.recorded import RECORDED

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
BODIES = "rest_results_2026_09"
TOLD = {  # printed beside the prices: docs of the exchange's bodies, half a step either way
    "BTC-21SEP26-80000-P": (31.20, 31.75, 32.29),
    "BTC-30OCT26-85000-C": (34.03, 34.23, 34.43),
    "BTC-9OCT26-88000-C": (34.25, 34.72, 35.19),
    "BTC-25SEP26-95000-C": (0.0, 56.30, 58.91),  # at the least price
}


def recorded(name):
    return json.loads((RECORDED / BODIES / name).read_text())


@pytest.fixture(scope="module")
def trades():
    rows = [
        {
            "timestamp": row["timestamp"] * 1000, "instrument": row["instrument_name"],
            "trade_seq": row["trade_seq"], "trade_id": row["trade_id"], "price": row["price"],
            "amount": row["amount"], "direction": row["direction"], "iv": row["iv"] / 100,
            "index_price": row["index_price"],
        }
        for row in recorded("trades_currency.json")["trades"]
    ]  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(pl.col("timestamp").cast(SCHEMA["timestamp"]))
    absent = [
        pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns
    ]
    return frame.with_columns(absent).select(*SCHEMA).sort("instrument", "timestamp", "trade_seq")


@pytest.fixture(scope="module")
def tickers(trades):
    """Return the marks of the futures, heard seconds after the trades, as if heard before."""
    rows = pl.DataFrame(recorded("book_summary_future.json")).filter(
        pl.col("instrument_name") != "BTC-PERPETUAL"
    )
    said = with_name_parts(rows.select(pl.col("instrument_name").alias("instrument")))
    before = trades["timestamp"].min() - timedelta(minutes=2)
    return pl.DataFrame(
        {
            "underlying": "BTC", "expiry": said["expiry"], "underlying_price": rows["mark_price"],
            "index_price": rows["estimated_delivery_price"],
        }
    ).with_columns(timestamp=pl.lit(before, SCHEMA["timestamp"]))  # fmt: skip


def coded(trades, columns):
    table = arrow(trades).select(columns)
    at = columns.index("instrument")
    return table.set_column(at, "instrument", table["instrument"].dictionary_encode())


@pytest.fixture(scope="module")
def vols(trades, tickers):
    hour = trades["timestamp"].min().replace(minute=0, second=0, microsecond=0)
    start = round(hour.timestamp() * 1000)
    span = Span(start, start + 2 * 3_600_000)
    curve = curve_of([coded(trades, WITNESSED)], [], span, [tickers])
    return vols_of(coded(trades, COLUMNS), curve)


def test_every_recorded_trade_has_a_volatility_of_a_forward_its_ticker_told(vols):
    assert vols["status"].to_list() == ["ok"] * 5
    assert set(vols["forward_source"]) <= {"ticker", "trade"}


def test_they_are_the_exchange_s_own_to_a_twentieth_of_a_point_and_mostly_to_its_rounding(vols):
    days = (pl.col("expiry") - pl.col("timestamp")).dt.total_seconds() / 86_400
    told = with_name_parts(vols.with_columns(pl.col("instrument").cast(pl.String)).drop("status"))
    error = told.select("instrument", days.alias("days"), off=pl.col("iv_difference").abs() * 100)

    sys.stdout.write(f"{error.sort('days')}\n")  # shown with -s
    assert error["off"].median() < 0.01
    assert error["off"].max() < 0.06


@pytest.mark.parametrize("name", TOLD)
def test_their_intervals_are_those_that_were_measured(vols, name):
    row = vols.filter(pl.col("instrument") == name).row(0, named=True)

    found = [100 * row[column] for column in ("iv_low", "iv", "iv_high")]

    assert found == pytest.approx(TOLD[name], abs=0.06)
