from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform import (
    check_chart,
    check_funding,
    decode_chart,
    decode_funding,
    latest,
    transform_candles,
    transform_funding,
)
from tests.etl.staged import HOUR, START, chart, envelope, funding, minutes

COLUMNS = ["timestamp_ms", "open", "high", "low", "close", "volume", "cost"]


def result_of(body):
    return msgspec.json.decode(body, type=dict[str, msgspec.Raw])["result"]


def numbered(*rows):
    """Rows as (minute, attempt, value)."""
    frame = pl.DataFrame(rows, schema=["minute", "attempt", "value"], orient="row")
    start = datetime(2024, 3, 1, tzinfo=UTC)
    time = pl.lit(start).dt.cast_time_unit("us") + pl.duration(minutes="minute")
    return frame.select(time.alias("timestamp"), "attempt", "value")


def test_a_page_of_candles_decodes_to_its_rows_as_sent():
    page = decode_chart(chart(minutes(0, 1), close=[1, 2.5]))

    assert page.schema == dict.fromkeys(COLUMNS, pl.Float64) | {"timestamp_ms": pl.Int64}
    assert page.select("timestamp_ms", "close").rows() == [(START, 1.0), (START + 60_000, 2.5)]


def test_integers_floats_and_nulls_may_be_mixed():
    page = decode_chart(chart(minutes(0, 1, 2), volume=[1, None, 2.5]))

    assert page["volume"].to_list() == [1.0, None, 2.5]


@pytest.mark.parametrize(
    "result", [{}, {"status": "no_data"}, {"status": "no_data", "ticks": [], "open": []}]
)
def test_no_data_decodes_to_no_rows_of_the_same_columns(result):
    page = decode_chart(envelope(result))

    assert (page.columns, len(page)) == (COLUMNS, 0)


def test_members_added_later_are_ignored():
    assert len(decode_chart(chart(minutes(0), new_member=[1]))) == 1


@pytest.mark.parametrize(
    "page",
    [
        chart(minutes(0, 1), close=[1.0]),
        chart(minutes(0), open=["100"]),
        chart([None]),
        chart([START + 0.5]),
        chart([float(START)]),
        chart(["2024-03-01"]),
        envelope([]),
        envelope("ok"),
        envelope(None),
        envelope({"ticks": None}),
    ],
)
def test_what_is_not_a_page_of_candles_is_refused(page):
    with pytest.raises(msgspec.ValidationError):
        check_chart(result_of(page))


def test_nan_is_no_json_and_is_refused():
    with pytest.raises(msgspec.DecodeError):
        check_chart(msgspec.Raw(b'{"ticks":[1],"open":[NaN]}'))


def test_columns_of_different_length_are_named():
    with pytest.raises(msgspec.ValidationError, match="'close': 1"):
        check_chart(result_of(chart(minutes(0, 1), close=[1.0])))


@pytest.mark.parametrize(
    "page", [envelope({}), envelope([{}]), envelope([{"timestamp": None}]), envelope([1])]
)
def test_what_is_not_a_page_of_funding_is_refused(page):
    with pytest.raises(msgspec.ValidationError):
        check_funding(result_of(page))


def test_a_page_of_funding_decodes_to_its_rows_as_sent():
    page = decode_funding(funding([START, START + HOUR], interest_1h=1e-5, interest_8h=None))

    assert page.select("timestamp_ms", "interest_1h", "interest_8h").rows() == [
        (START, 1e-5, None),
        (START + HOUR, 1e-5, None),
    ]


def test_no_funding_decodes_to_the_same_columns():
    assert decode_funding(envelope([])).schema == decode_funding(funding([START])).schema


def test_clean_candles_carry_their_open_time_in_utc_and_their_instrument():
    raw = decode_chart(chart(minutes(1))).with_columns(attempt=0).lazy()

    clean = transform_candles(raw, "ETH-PERPETUAL").collect()

    assert clean.row(0) == (
        datetime(2024, 3, 1, 0, 1, tzinfo=UTC), "ETH-PERPETUAL", *[100.0] * 4, 2.0, 200.0, 0,
    )  # fmt: skip
    assert clean.schema["timestamp"] == pl.Datetime("us", "UTC")


def test_clean_funding_keeps_rates_as_fractions():
    raw = decode_funding(funding([START], interest_1h=1e-5)).with_columns(attempt=0).lazy()

    clean = transform_funding(raw, "BTC-PERPETUAL").collect()

    assert clean.row(0)[1:] == ("BTC-PERPETUAL", 100.0, 100.0, 1e-5, 0.0, 0)


def test_of_several_rows_of_a_minute_the_latest_attempt_stays():
    rows = numbered((2, 0, "a"), (1, 1, "b"), (1, 0, "c"), (2, 0, "d"))

    assert latest(rows)["value"].to_list() == ["b", "d"]


def test_no_rows_have_no_latest():
    assert latest(numbered((0, 0, "a")).clear()).is_empty()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=60))
def test_latest_is_the_last_of_each_minute_by_attempt_then_place(rows):
    placed = [(minute, attempt, place) for place, (minute, attempt) in enumerate(rows)]
    expected = {minute: place for minute, _, place in sorted(placed, key=lambda row: row[1:])}

    found = latest(numbered(*placed))

    assert found["timestamp"].is_sorted()
    assert found["value"].to_list() == [expected[minute] for minute in sorted(expected)]


def test_latest_does_not_depend_on_the_order_of_many_rows():
    """More rows than any sort keeps in place by insertion."""
    size = 5_000
    rows = pl.DataFrame({"minute": [i % 7 for i in range(size)], "value": range(size)})
    time = pl.lit(datetime(2024, 3, 1, tzinfo=UTC)) + pl.duration(minutes="minute")
    frame = rows.select(time.dt.cast_time_unit("us").alias("timestamp"), "value", attempt=0)

    assert sorted(latest(frame)["value"]) == list(range(size - 7, size))
