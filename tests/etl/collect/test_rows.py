from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from etl.catalog import DATASETS
from etl.collect.rows import ANSWER, SOCKET, LiveRows

START = datetime(2025, 10, 18, tzinfo=UTC)


def candles(*rows: tuple[int, float]) -> pl.DataFrame:
    """Candles of minutes with a close each."""
    return pl.DataFrame(
        [
            {
                "timestamp": START + timedelta(minutes=minute),
                "instrument": "BTC-PERPETUAL",
                "open": close,
                "high": close,
                "low": close,
                "close": close,
                "volume": 1.0,
                "cost": close,
            }
            for minute, close in rows
        ],
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


def live() -> LiveRows:
    return LiveRows(DATASETS["perpetuals_ohlcv"])


def closes(rows: LiveRows) -> list[float]:
    return rows.frame["close"].to_list()


def test_what_rest_says_stands_against_what_a_channel_says_later():
    rows = live()
    rows.add(candles((0, 1.0)), ANSWER)
    rows.merge()
    rows.add(candles((0, 2.0)), SOCKET)
    assert rows.merge().changed.is_empty()
    assert closes(rows) == [1.0]


def test_of_two_answers_the_later_is_believed():
    rows = live()
    rows.add(candles((0, 1.0)), ANSWER)
    rows.add(candles((0, 2.0)), ANSWER)
    rows.merge()
    assert closes(rows) == [2.0]


def test_merging_says_what_changed_and_how_rest_judged():
    rows = live()
    rows.add(candles((0, 1.0), (1, 1.0), (3, 1.0)), SOCKET)
    assert len(rows.merge().changed) == 3
    rows.add(candles((0, 1.0), (1, 9.0), (2, 5.0)), ANSWER)
    merged = rows.merge()
    assert (merged.confirmed, merged.revised, merged.filled) == (1, 1, 1)
    assert sorted(merged.changed["close"]) == [5.0, 9.0]
    assert closes(rows) == [1.0, 9.0, 5.0, 1.0]


def test_what_channels_said_at_the_same_time_is_not_counted_as_filled():
    rows = live()
    rows.add(candles((0, 1.0), (1, 1.0)), SOCKET)
    rows.add(candles((2, 1.0)), ANSWER)
    merged = rows.merge()
    assert (merged.confirmed, merged.revised, merged.filled) == (0, 0, 1)


def test_the_same_rows_again_change_nothing():
    rows = live()
    rows.add(candles((0, 1.0), (1, 2.0)), SOCKET)
    rows.merge()
    rows.add(candles((0, 1.0), (1, 2.0)), SOCKET)
    assert not rows.is_dirty or rows.merge().changed.is_empty()


def test_a_row_that_breaks_the_contract_is_left_out_and_counted():
    rows = live()
    broken = candles((0, 1.0), (1, 1.0)).with_columns(
        low=pl.when(pl.col("timestamp") == START).then(7.0).otherwise("low")
    )
    assert rows.add(broken, SOCKET) == 1
    rows.merge()
    assert rows.frame["timestamp"].to_list() == [START + timedelta(minutes=1)]


def test_rows_that_are_published_are_let_go_and_others_of_that_time_stay():
    rows = live()
    rows.add(candles((0, 1.0), (1, 2.0), (2, 3.0)), SOCKET)
    rows.merge()
    known = candles((0, 1.0), (2, 3.0)).select("timestamp", "instrument")
    rows.forget(known, round((START + timedelta(minutes=2)).timestamp() * 1000))
    assert closes(rows) == [2.0, 3.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0, 1])),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_however_they_are_gathered_the_best_and_latest_row_of_a_key_is_held(came, every):
    rows = live()
    for number, (minute, close, rank) in enumerate(came):
        rows.add(candles((minute, close)), rank)
        if number % every == 0:
            rows.merge()
    rows.merge()
    best: dict[int, tuple[int, float]] = {}
    for minute, close, rank in came:
        if minute not in best or rank >= best[minute][0]:
            best[minute] = rank, close
    assert closes(rows) == [best[minute][1] for minute in sorted(best)]
