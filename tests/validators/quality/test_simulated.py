"""On simulated candles quality has nothing to say besides outliers and documented outages."""

from datetime import UTC, datetime

import polars as pl
import pytest

from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market
from validators.contract import check
from validators.outages import load_outages
from validators.quality import find_faults, find_fillers, find_gaps, find_outliers
from validators.quality.sanity import VOLUME_ROUNDING
from validators.schemas.candles import Candles, candles_model
from validators.ticks import load_tick_sizes

PERIODS = [
    ("BTC-PERPETUAL", "2019-05-01", "2019-06-20", 2),  # a change of tick size, and two outages
    ("ETH-PERPETUAL", "2020-08-15", "2020-12-15", 3),
    ("ETH_USDC-PERPETUAL", "2022-03-01", "2022-05-01", 0),  # thin: a fifth are fillers
]


def milliseconds(date):
    return round(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.fixture(scope="module")
def market():
    return Market(seed=1, now_ms=milliseconds("2025-10-18"))


@pytest.fixture(params=PERIODS, ids=lambda period: f"{period[0]} {period[1]}", scope="module")
def period(request, market):
    """Candles of an instrument, its tick of today, and how many outages are to be seen."""
    name, start, end, outages = request.param
    columns = market.candles(name, milliseconds(start), milliseconds(end))
    frame = pl.DataFrame(columns).with_columns(
        pl.from_epoch("ticks", "ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us"),
        instrument=pl.lit(name),
    )
    names = list(Candles.to_schema().columns)
    return frame.rename({"ticks": "timestamp"}).select(names), BY_NAME[name].tick_size, outages


def test_they_keep_the_contract(period):
    check(period[0], candles_model("1"))


def test_every_gap_is_a_documented_outage(period):
    frame, _, outages = period

    found = find_gaps(frame, resolution="1", outages=load_outages())

    assert found["status"].to_list() == ["documented"] * outages


def test_no_candle_is_at_fault_beyond_the_rounding_of_its_volume(period):
    frame, tick_size, _ = period

    found = find_faults(frame, resolution="1", tick_size=tick_size, tick_sizes=load_tick_sizes())

    assert set(found["check"]) <= {"cost_off_bar"}
    amount = pl.col("cost") / pl.col("open")  # a bar of one price: one trade or a few of it
    is_rounded = (amount - pl.col("volume")).abs() <= VOLUME_ROUNDING
    assert found.select(is_rounded.all()).item()


def test_no_silence_is_a_finding(period):
    assert find_fillers(period[0], resolution="1", outages=load_outages()).is_empty()


def test_outliers_are_for_review_and_few(period):
    frame, tick_size, _ = period

    found = find_outliers(frame, resolution="1", tick_size=tick_size, outages=load_outages())

    assert set(found["status"]) <= {"review"}
    assert len(found) < 1e-4 * len(frame)
