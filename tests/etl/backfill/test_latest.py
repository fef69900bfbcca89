"""Of the rows of a key, that of the latest attempt stays."""

from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from etl.backfill.fold import latest

TRADES = ("instrument", "timestamp", "trade_seq")


def numbered(*rows):
    """Rows as (minute, attempt, value)."""
    frame = pl.DataFrame(rows, schema=["minute", "attempt", "value"], orient="row")
    start = datetime(2024, 3, 1, tzinfo=UTC)
    time = pl.lit(start).dt.cast_time_unit("us") + pl.duration(minutes="minute")
    return frame.select(
        time.alias("timestamp"), pl.lit("X").alias("instrument"), "attempt", "value"
    )


def latest_of(rows, key=("timestamp", "instrument")):
    return latest(rows, key)


def test_of_several_rows_of_a_minute_the_latest_attempt_stays():
    rows = numbered((2, 0, "a"), (1, 1, "b"), (1, 0, "c"), (2, 0, "d"))

    assert latest_of(rows)["value"].to_list() == ["b", "d"]


def test_no_rows_have_no_latest():
    assert latest_of(numbered((0, 0, "a")).clear()).is_empty()


def test_no_trades_have_no_latest():
    named = pl.col("instrument").cast(pl.Categorical)
    none = numbered((0, 0, "a")).with_columns(named, trade_seq=1).clear()

    assert latest_of(none, TRADES).is_empty()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=60))
def test_latest_is_the_last_of_each_minute_by_attempt_then_place(rows):
    placed = [(minute, attempt, place) for place, (minute, attempt) in enumerate(rows)]
    expected = {minute: place for minute, _, place in sorted(placed, key=lambda row: row[1:])}

    found = latest_of(numbered(*placed))

    assert found["timestamp"].is_sorted()
    assert found["value"].to_list() == [expected[minute] for minute in sorted(expected)]


def test_latest_does_not_depend_on_the_order_of_many_rows():
    """More rows than any sort keeps in place by insertion."""
    size = 5_000
    rows = pl.DataFrame({"minute": [i % 7 for i in range(size)], "value": range(size)})
    time = pl.lit(datetime(2024, 3, 1, tzinfo=UTC)) + pl.duration(minutes="minute")
    time = time.dt.cast_time_unit("us").alias("timestamp")
    frame = rows.select(time, pl.lit("X").alias("instrument"), "value", attempt=0)

    assert sorted(latest_of(frame)["value"]) == list(range(size - 7, size))


def test_three_trades_of_one_millisecond_are_three_rows_in_the_order_of_their_key():
    rows = numbered((0, 0, "a"), (0, 0, "b"), (0, 1, "c"), (0, 1, "d"))
    rows = rows.with_columns(trade_seq=pl.Series([7, 5, 6, 5]))

    assert latest_of(rows, TRADES)["value"].to_list() == ["d", "c", "a"]


def test_a_key_that_begins_with_the_instrument_sorts_by_it():
    rows = numbered((0, 0, "a"), (1, 0, "b"), (2, 0, "c"))
    rows = rows.with_columns(instrument=pl.Series(["Y", "X", "Y"]), trade_seq=1)

    assert latest_of(rows, TRADES)["value"].to_list() == ["b", "a", "c"]
