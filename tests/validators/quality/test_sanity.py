from datetime import UTC, datetime

import polars as pl
import pytest

from tests.validators.candles import START, TICK, clean_candles
from validators.quality import find_faults
from validators.quality.pieces import PIECE_ROWS
from validators.ticks import load_tick_sizes

AT = 500
AT_TIME = START + pl.duration(minutes=AT)


def faults(frame, **changes):
    """The faults of a frame whose candle number 500 is changed."""
    is_it = pl.int_range(pl.len()) == AT
    changed = frame.with_columns(
        pl.when(is_it).then(change).otherwise(pl.col(name)).alias(name)
        for name, change in changes.items()
    )
    return find_faults(changed, resolution="1", tick_size=TICK)


@pytest.fixture(scope="module")
def candles():
    """Clean candles whose number 500 is a simple one."""
    simple = {"open": 60_000.0, "high": 60_010.0, "low": 59_990.0, "close": 60_005.0}
    values = simple | {"volume": 2.0, "cost": 120_000.0}
    is_it = pl.int_range(pl.len()) == AT
    return clean_candles(1_000).with_columns(
        pl.when(is_it).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    )


def test_clean_candles_have_no_fault(candles):
    assert faults(candles).is_empty()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"high": pl.lit(59_995.0)}, "high_is_highest"),
        ({"low": pl.lit(60_002.0), "cost": pl.lit(120_010.0)}, "low_is_lowest"),
        ({"close": pl.lit(60_005.25)}, "off_tick"),
        ({"volume": pl.lit(0.0)}, "filler_not_flat"),
        ({"cost": pl.lit(0.0), "volume": pl.lit(0.0)}, "filler_not_flat"),
        ({"cost": pl.lit(2.0)}, "cost_wrong_unit"),
        ({"timestamp": AT_TIME + pl.duration(seconds=30)}, "timestamp:on_grid"),
        ({"timestamp": AT_TIME - pl.duration(minutes=1)}, "duplicate"),
        ({"timestamp": pl.lit(START) - pl.duration(minutes=1)}, "unsorted"),
    ],
)
def test_one_fault_is_one_unexplained_finding(candles, changes, check):
    found = faults(candles, **changes)

    assert found.select("check", "status").rows() == [(check, "unexplained")]


def test_a_price_that_is_not_finite_is_a_finding(candles):
    found = faults(candles, high=pl.lit(float("inf")))

    assert "high:finite" in found["check"]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (120_020.0, []),
        (120_020.0 * 1.00009, []),
        (120_020.0 * 1.0002, [("cost_off_bar", "review", "cost/volume 2.0 bp off the bar")]),
        (119_980.0 * 0.9995, [("cost_off_bar", "review", "cost/volume 5.0 bp off the bar")]),
        (
            119_980.0 * 0.98,
            [("cost_wrong_unit", "unexplained", "cost/volume 200.0 bp off the bar")],
        ),
    ],
)
def test_cost_per_volume_lies_on_the_bar_up_to_rounding(candles, cost, expected):
    found = faults(candles, cost=pl.lit(cost))

    assert found.select("check", "status", "detail").rows() == expected


def test_a_coin_amount_rounded_to_a_millionth_is_not_of_a_wrong_unit(candles):
    found = faults(candles, volume=pl.lit(17e-6), cost=pl.lit(1.0))

    assert found.select("check", "status").rows() == [("cost_off_bar", "review")]


def test_the_grid_is_the_one_valid_at_the_time():
    quarters = {"open": 4_000.25, "high": 4_000.25, "low": 4_000.25, "close": 4_000.25}
    days = [datetime(2019, *day, 8, tzinfo=UTC) for day in [(1, 29), (1, 30), (6, 8)]]
    frame = pl.DataFrame({"timestamp": days, "instrument": "BTC-PERPETUAL"}).with_columns(
        **{name: pl.lit(price) for name, price in quarters.items()},
        volume=pl.lit(1.0),
        cost=pl.lit(4_000.25),
    )

    found = find_faults(frame, resolution="1D", tick_sizes=load_tick_sizes())

    assert found["timestamp"].to_list() == [days[0], days[2]]


def test_a_fault_beyond_the_first_piece_is_found():
    frame = clean_candles(PIECE_ROWS + 10)
    last = pl.int_range(pl.len()) == PIECE_ROWS + 9
    bad = frame.with_columns(volume=pl.when(last).then(-1.0).otherwise("volume"))

    found = find_faults(bad, resolution="1", tick_size=TICK)

    assert found.select("timestamp", "check").rows() == [
        (frame["timestamp"][-1], "volume:not_negative")
    ]


def test_an_empty_frame_has_no_fault(candles):
    assert find_faults(candles.clear(), resolution="1").is_empty()
