from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from etl.sources import candles, funding_rates
from tests.etl.staged import HOUR, START, chart, envelope, funding, minutes

COLUMNS = ["timestamp_ms", "open", "high", "low", "close", "volume", "cost"]


def result_of(body):
    return msgspec.json.decode(body, type=dict[str, msgspec.Raw])["result"]


def test_a_page_of_candles_decodes_to_its_rows_as_sent():
    page = candles.decode(chart(minutes(0, 1), close=[1, 2.5]))

    assert page.schema == dict.fromkeys(COLUMNS, pl.Float64) | {"timestamp_ms": pl.Int64}
    assert page.select("timestamp_ms", "close").rows() == [(START, 1.0), (START + 60_000, 2.5)]


def test_integers_floats_and_nulls_may_be_mixed():
    page = candles.decode(chart(minutes(0, 1, 2), volume=[1, None, 2.5]))

    assert page["volume"].to_list() == [1.0, None, 2.5]


@pytest.mark.parametrize(
    "result", [{}, {"status": "no_data"}, {"status": "no_data", "ticks": [], "open": []}]
)
def test_no_data_decodes_to_no_rows_of_the_same_columns(result):
    page = candles.decode(envelope(result))

    assert (page.columns, len(page)) == (COLUMNS, 0)


def test_members_added_later_are_ignored():
    assert len(candles.decode(chart(minutes(0), new_member=[1]))) == 1


@pytest.mark.parametrize(
    "page",
    [
        chart(minutes(0, 1), close=[1.0]),
        chart(minutes(0), open=["100"]),
        chart([None]),
        chart([START + 0.5]),
        chart(["2024-03-01"]),
        envelope([]),
        envelope("ok"),
        envelope(None),
        envelope({"ticks": None}),
    ],
)
def test_what_is_not_a_page_of_candles_is_refused(page):
    with pytest.raises(msgspec.ValidationError):
        candles.check(result_of(page))


def test_nan_is_no_json_and_is_refused():
    with pytest.raises(msgspec.DecodeError):
        candles.check(msgspec.Raw(b'{"ticks":[1],"open":[NaN]}'))


def test_columns_of_different_length_are_named():
    with pytest.raises(msgspec.ValidationError, match="'close': 1"):
        candles.check(result_of(chart(minutes(0, 1), close=[1.0])))


@pytest.mark.parametrize(
    "page", [envelope({}), envelope([{}]), envelope([{"timestamp": None}]), envelope([1])]
)
def test_what_is_not_a_page_of_funding_is_refused(page):
    with pytest.raises(msgspec.ValidationError):
        funding_rates.check(result_of(page))


def test_a_page_of_funding_decodes_to_its_rows_as_sent():
    page = funding_rates.decode(funding([START, START + HOUR], interest_1h=1e-5, interest_8h=None))

    assert page.select("timestamp_ms", "interest_1h", "interest_8h").rows() == [
        (START, 1e-5, None),
        (START + HOUR, 1e-5, None),
    ]


def test_no_funding_decodes_to_the_same_columns():
    assert (
        funding_rates.decode(envelope([])).schema == funding_rates.decode(funding([START])).schema
    )


def test_clean_candles_carry_their_open_time_in_utc_and_their_instrument():
    raw = candles.decode(chart(minutes(1))).with_columns(attempt=0).lazy()

    clean = candles.transform(raw, "ETH-PERPETUAL").collect()

    assert clean.row(0) == (
        datetime(2024, 3, 1, 0, 1, tzinfo=UTC), "ETH-PERPETUAL", *[100.0] * 4, 2.0, 200.0, 0,
    )  # fmt: skip
    assert clean.schema["timestamp"] == pl.Datetime("us", "UTC")


def test_clean_funding_keeps_rates_as_fractions():
    raw = funding_rates.decode(funding([START], interest_1h=1e-5)).with_columns(attempt=0).lazy()

    clean = funding_rates.transform(raw, "BTC-PERPETUAL").collect()

    assert clean.row(0)[1:] == ("BTC-PERPETUAL", 100.0, 100.0, 1e-5, 0.0, 0)
