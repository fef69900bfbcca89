from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from etl.collect.candles import Candles
from etl.collect.messages import Bar

MINUTE = 60_000
AT = 1_760_000_040_000 // MINUTE * MINUTE
NAME = "BTC-PERPETUAL"


def bar(minute: int, volume: float, close: float = 100.0) -> Bar:
    return Bar(AT + minute * MINUTE, 100.0, 101.0, 99.0, close, volume, volume * 100)


def taken(*bars: Bar) -> pl.DataFrame | None:
    candles = Candles()
    for one in bars:
        candles.take("perpetuals_ohlcv", NAME, one)
    return candles.rows().get("perpetuals_ohlcv")


def test_a_candle_is_closed_by_the_next_minute_and_not_before():
    assert taken(bar(0, 1), bar(0, 2)) is None
    rows = taken(bar(0, 1), bar(0, 2, close=99.5), bar(1, 0))
    assert rows is not None
    assert rows.to_dicts() == [
        {
            "timestamp": datetime.fromtimestamp(AT / 1000, UTC),
            "instrument": NAME,
            "open": 100.0,
            "high": 101.0,
            "low": 99.0,
            "close": 99.5,
            "volume": 2.0,
            "cost": 200.0,
        }
    ]


def test_a_state_that_comes_late_takes_nothing_back():
    rows = taken(bar(0, 2), bar(0, 1), bar(1, 0), bar(0, 1))
    assert rows is not None
    assert rows["volume"].to_list() == [2.0]


def test_what_still_comes_of_a_closed_candle_is_taken():
    rows = taken(bar(0, 2), bar(1, 0), bar(0, 3))
    assert rows is not None
    assert rows["volume"].to_list() == [2.0, 3.0]


def test_a_candle_behind_which_minutes_are_left_out_may_not_be_whole():
    assert taken(bar(0, 2), bar(2, 1)) is None


def test_what_was_forming_when_a_socket_ended_is_forgotten():
    candles = Candles()
    candles.take("perpetuals_ohlcv", NAME, bar(0, 1))
    candles.forget(NAME)
    candles.take("perpetuals_ohlcv", NAME, bar(1, 1))
    assert candles.rows() == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 9)), min_size=1))
def test_the_last_row_of_a_minute_has_the_most_volume_that_came_of_it(states):
    """States in order, then each once more: repeating changes nothing."""
    ordered = [bar(minute, volume) for minute, volume in sorted(states)]
    once, twice = taken(*ordered), taken(*(one for one in ordered for _ in range(2)))
    if once is None:
        assert twice is None
        return
    assert twice is not None
    assert once.equals(twice)
    most = dict(sorted(states))
    for moment, volume in once.select("timestamp", "volume").iter_rows():
        assert most[round(moment.timestamp() * 1000 - AT) // MINUTE] == volume


def test_what_nothing_closed_is_overdue_once_its_minute_is_over():
    candles = Candles()
    candles.take("perpetuals_ohlcv", NAME, bar(0, 1))
    candles.take("perpetuals_ohlcv", "ETH-PERPETUAL", bar(0, 1))
    candles.take("perpetuals_ohlcv", "ETH-PERPETUAL", bar(1, 1))
    names = [NAME, "ETH-PERPETUAL"]
    assert candles.overdue(names, AT) == []
    assert candles.overdue(names, AT + MINUTE) == [NAME]


def test_what_nothing_was_heard_of_is_overdue():
    """A thin market after a start or a cut: nobody trades, and no bar comes."""
    candles = Candles()
    assert candles.overdue([NAME], AT) == [NAME]
    candles.take("perpetuals_ohlcv", NAME, bar(0, 1))
    candles.forget(NAME)
    assert candles.overdue([NAME], AT) == [NAME]
