"""What Deribit really sent goes through contract and quality; every failure is known by name."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from validators.contract import check, split
from validators.outages import load_outages
from validators.quality import find_faults, find_gaps, find_outliers
from validators.schemas.candles import candles_model
from validators.schemas.funding_rates import FundingRates
from validators.ticks import load_tick_sizes

RECORDED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
NUMBERS = ("open", "high", "low", "close", "volume", "cost")


def snapshots(name, prefix, instrument):
    """Single minutes recorded beside option snapshots: not contiguous."""
    frame = pl.read_csv(RECORDED / "candles" / name, infer_schema_length=None)
    return frame.select(
        moments(f"{prefix}tick_ms"),
        pl.col(instrument).alias("instrument"),
        *(pl.col(f"{prefix}{number}").cast(pl.Float64).alias(number) for number in NUMBERS),
    )


def moments(column):
    """The times of a column of milliseconds, as `timestamp`."""
    time = pl.from_epoch(column, "ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    return time.alias("timestamp")


@pytest.fixture(scope="module")
def perpetuals():
    return snapshots("perpetual_futures_prices.csv", "candle_", "instrument_name")


@pytest.fixture(scope="module")
def futures():
    return snapshots("term_futures_marks.csv", "term_candle_", "futures_instrument_name")


@pytest.fixture(scope="module")
def days():
    frame = pl.read_csv(RECORDED / "candles" / "BTC-PERPETUAL_daily.csv")
    return frame.sort("unix").select(
        moments("unix"), pl.col("symbol").alias("instrument"), *NUMBERS[:5], cost="base_volume"
    )


@pytest.fixture(scope="module")
def funding():
    text = (RECORDED / "funding" / "deribit_btc_funding_hourly.json").read_text()
    rows = pl.DataFrame(json.loads(text)["data"], infer_schema_length=None)
    instrument = pl.lit("BTC-PERPETUAL").alias("instrument")
    numbers = ["index_price", "prev_index_price", "interest_1h", "interest_8h"]
    return rows.select(moments("timestamp"), instrument, pl.col(numbers).cast(pl.Float64))


def faults(candles, **tick):
    """The findings of every instrument, row by row."""
    parts = candles.sort("timestamp").partition_by("instrument")
    return pl.concat(find_faults(part, resolution="1", **tick) for part in parts)


@pytest.mark.parametrize(
    ("name", "model", "rows"),
    [
        ("perpetuals", candles_model("1"), 838),
        ("futures", candles_model("1"), 5_854),
        ("days", candles_model("1D"), 2_727),
        ("funding", FundingRates, 8_533),
    ],
)
def test_every_recorded_row_keeps_its_contract(name, model, rows, request):
    frame = request.getfixturevalue(name)

    cut = split(frame, model)

    assert cut.rejected.rows() == []
    assert len(cut.valid) == rows
    check(frame.sort("timestamp", "instrument"), model)


def test_six_perpetual_minutes_cost_more_or_less_than_their_bar(perpetuals):
    found = faults(perpetuals, tick_sizes=load_tick_sizes())

    assert found.select("check", "status").rows() == [("cost_off_bar", "review")] * 6
    assert found["detail"].str.contains(r"^cost/volume [1-3]\.\d+ bp off the bar$").all()


def test_forty_three_future_minutes_do_and_none_is_wrong_otherwise(futures):
    is_bitcoin = pl.col("instrument").str.starts_with("BTC")

    found = pl.concat(
        [
            faults(futures.filter(is_bitcoin), tick_size=2.5),
            faults(futures.filter(~is_bitcoin), tick_size=0.25),
        ]
    )

    assert found.select("check", "status").rows() == [("cost_off_bar", "review")] * 43


def test_the_daily_bars_are_whole_and_on_the_grid_of_their_time(days):
    assert find_gaps(days, resolution="1D", outages=load_outages()).rows() == []
    assert find_faults(days, resolution="1D", tick_sizes=load_tick_sizes()).rows() == []


def test_the_outlier_of_the_daily_bars_is_the_crash_of_march_2020(days):
    found = find_outliers(days, resolution="1D", tick_size=0.5)

    assert found["timestamp"].dt.strftime("%Y-%m-%d").to_list() == ["2020-03-12"]


def test_the_eleven_funding_holes_of_a_wrong_pager_are_found_exactly(funding):
    first = datetime(2025, 6, 1, 1, tzinfo=UTC)
    expected = [first + page * timedelta(hours=745) for page in range(11)]

    found = find_gaps(funding, resolution="60", outages=load_outages(), describes_past=True)

    assert found["start"].to_list() == expected
    assert set(found["minutes"]) == {60}
    assert set(found["status"]) == {"unexplained"}
