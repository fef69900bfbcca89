"""The age of Greeks inside their ticker, told from pairs of calls and puts."""

import polars as pl
import pytest

from etl.check.greek_age import Age, age_of, best, pairs_of
from etl.check.greek_conventions import quotes_of
from etl.check.greek_tolerances import against
from tests import greek_tickers
from tests.exchange.incidents import milliseconds
from validators.greeks.quotes import QUANTITIES, left_out, with_halves

HOURS = [milliseconds(f"2025-10-16T{hour:02}:00") for hour in range(0, 24, 3)]


def age(seconds, *, underlying="BTC", currency="BTC", hours=HOURS):
    wrong = greek_tickers.Wrong(later_s=seconds)
    told = pl.concat(greek_tickers.tickers(currency, at_ms, wrong) for at_ms in hours)
    rows = with_halves(told.filter(told.select(left_out(stale_s=60)).to_series().is_null()))
    quotes = quotes_of(rows)
    _, tolerance = against(quotes, rows.select(QUANTITIES).to_numpy().T.copy())
    return age_of(underlying, best(pairs_of(rows, quotes, tolerance)))


@pytest.mark.parametrize("seconds", [0.0, 2.0, 20.0, 47.0, -15.0])
def test_the_age_is_told_to_a_second(seconds):
    found = age(seconds)

    assert found.seconds == pytest.approx(seconds, abs=found.error)
    assert found.error < 1
    assert found.agreement > 0.99
    assert found.is_old == (seconds > 4)


def test_tickers_of_one_second_leave_a_minute_of_ages_open():
    wrong = greek_tickers.Wrong(later_s=20.0)
    told = greek_tickers.tickers("BTC", HOURS[4], wrong).with_columns(
        pl.col("timestamp").alias("quoted_at")
    )
    rows = with_halves(told)
    quotes = quotes_of(rows)
    _, tolerance = against(quotes, rows.select(QUANTITIES).to_numpy().T.copy())
    found = age_of("BTC", pairs_of(rows, quotes, tolerance))

    assert found.error == pytest.approx(30, abs=1)
    assert not found.is_old


def test_cheap_coins_do_not_tell():
    found = age(20.0, underlying="XRP_USDC", currency="USDC", hours=HOURS[:2])

    assert (found.pairs, found.seconds, found.is_old) == (0, None, False)
    assert found.words == "XRP_USDC: 0 pairs of call and put that tell an age"


def test_an_expiry_at_another_hour_is_no_age():
    found = age(-8 * 3600.0)

    assert (found.seconds, found.is_old) == (None, False)
    assert found.words == "BTC: no age makes the exchange's time to expiry ours"


def test_an_age_that_is_more_than_chance_is_said():
    assert Age("BTC", 99, 17.5, 0.5, 1.0).words == (
        "BTC: the exchange's Greeks are 17.5 ± 0.5 s older than their ticker (99 pairs)"
    )
    young = Age("BTC", 99, 5.0, 3.0, 1.0)
    assert young.words == "BTC: the age of the Greeks is 5.0 ± 3.0 s (99 pairs)"
