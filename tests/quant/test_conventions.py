from datetime import UTC, date, datetime

import polars as pl
import pytest

from quant import conventions


def value(expression, **columns):
    return pl.DataFrame(columns).select(expression).item()


def test_everything_expires_at_eight_utc():
    expected = datetime(2024, 12, 27, 8, tzinfo=UTC)

    assert value(conventions.expiry(pl.col("d")), d=[date(2024, 12, 27)]) == expected


def test_a_tenor_counts_years_of_365_days_to_the_millisecond():
    expiry = datetime(2024, 12, 27, 8, tzinfo=UTC)
    now = datetime(2024, 12, 26, 7, 59, 59, 999_000, tzinfo=UTC)
    tenor = conventions.tenor(pl.col("now"), pl.col("expiry"))

    assert value(tenor, now=[now], expiry=[expiry]) == 86_400_001 / (365 * 86_400_000)


def test_days_to_expiry_are_negative_after_it():
    expiry = datetime(2024, 12, 27, 8, tzinfo=UTC)
    days = conventions.days_to_expiry(pl.col("now"), pl.col("expiry"))

    assert value(days, now=[datetime(2024, 12, 28, 20, tzinfo=UTC)], expiry=[expiry]) == -1.5


def test_milliseconds_count_as_microseconds_do():
    moments = {"now": [datetime(2024, 12, 26, 8)], "expiry": [datetime(2024, 12, 27, 8)]}  # noqa: DTZ001
    frame = pl.DataFrame(moments, schema=dict.fromkeys(moments, pl.Datetime("ms", "UTC")))

    tenor = frame.select(conventions.tenor(pl.col("now"), pl.col("expiry"))).item()

    assert tenor == 1 / 365


def test_log_moneyness_is_positive_above_the_forward():
    k = conventions.log_moneyness(pl.col("strike"), pl.col("forward"))

    assert value(k, strike=[110.0], forward=[100.0]) == pytest.approx(0.09531017980432493)


def test_total_variance_is_squared_volatility_times_tenor():
    assert value(
        conventions.total_variance(pl.col("iv"), pl.col("tenor")), iv=[0.6], tenor=[0.25]
    ) == pytest.approx(0.09)


@pytest.mark.parametrize(("kind", "usd"), [("reversed", 3_000.0), ("linear", 0.05), (None, None)])
def test_a_premium_in_coin_is_worth_the_forward(kind, usd):
    columns = {"price": [0.05], "forward": [60_000.0], "kind": pl.Series([kind], dtype=pl.String)}
    names = (pl.col("price"), pl.col("forward"), pl.col("kind"))

    assert value(conventions.premium_usd(*names), **columns) == usd


def test_a_premium_goes_to_dollars_and_back():
    there = conventions.premium_usd(pl.col("p"), pl.col("f"), pl.col("k"))
    back = conventions.premium_quoted(there, pl.col("f"), pl.col("k"))
    frame = pl.DataFrame({"p": [0.05, 12.5], "f": [6e4, 6e4], "k": ["reversed", "linear"]})

    assert frame.select(back).to_series().to_list() == [0.05, 12.5]
