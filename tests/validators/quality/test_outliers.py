from datetime import UTC, datetime

import polars as pl

from tests.validators.candles import TICK, clean_candles
from validators.outages import load_outages
from validators.quality import find_outliers

FLAT = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1.0, "cost": 100.0}


def spiked(frame, at, factor, *, names=("high",)):
    is_it = pl.int_range(pl.len()) == at
    return frame.with_columns(
        pl.when(is_it).then(pl.col(name) * factor).otherwise(name).alias(name) for name in names
    )


def test_calm_candles_hold_no_outlier():
    assert find_outliers(clean_candles(5_000), resolution="1", tick_size=TICK).is_empty()


def test_a_spike_is_marked_for_review_with_its_price_and_return():
    frame = spiked(clean_candles(5_000, filler_share=0), 2_000, 1.05)

    found = find_outliers(frame, resolution="1", tick_size=TICK)

    spike = found.row(0, named=True)
    assert found["timestamp"].to_list() == [frame["timestamp"][2_000]]
    assert spike["price"] == frame["high"][2_000]
    assert 0.045 < spike["log_return"] < 0.055
    assert (spike["robust_z"] > 20, spike["status"], spike["source"]) == (True, "review", None)


def test_a_crash_is_negative():
    frame = spiked(clean_candles(5_000, filler_share=0), 2_000, 0.9, names=("low",))

    found = find_outliers(frame, resolution="1", tick_size=TICK)

    assert found["robust_z"].to_list()[0] < -20


def test_a_market_that_stands_still_moves_by_one_tick_without_alarm():
    frame = clean_candles(1_000).with_columns(**{k: pl.lit(v) for k, v in FLAT.items()})
    moved = spiked(frame, 500, 1.005)

    assert find_outliers(moved, resolution="1", tick_size=0.5).is_empty()


def test_fillers_are_no_neighbours():
    frame = clean_candles(3_000, filler_share=0.6)

    assert find_outliers(frame, resolution="1", tick_size=TICK).is_empty()


def test_few_candles_are_not_judged():
    frame = spiked(clean_candles(50), 20, 2.0)

    assert find_outliers(frame, resolution="1", tick_size=TICK).is_empty()


def test_documented_bad_prints_explain_their_outliers():
    start = datetime(2019, 10, 31, 12, tzinfo=UTC)
    frame = clean_candles(1_440, start=start, filler_share=0)
    crash = spiked(frame, 9 * 60 + 1, 0.85, names=("low", "close"))

    found = find_outliers(crash, resolution="1", outages=load_outages(), tick_size=TICK)

    assert set(found["status"]) == {"documented"}
    assert "flash-crash" in found["source"][0]
