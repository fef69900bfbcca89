"""What a side that differs may have done: the convention that leaves least outside."""

import polars as pl
import pytest

from etl.check.greek_age import Age
from etl.check.greek_conventions import EXCHANGE
from etl.check.greek_hints import hints
from etl.check.greek_tally import tally
from tests import greek_tickers
from tests.exchange.incidents import milliseconds
from validators.greeks.errors import judged

HOURS = [milliseconds(f"2025-10-16T{hour:02}:00") for hour in (3, 7, 13)]
OLD = [Age("BTC", 500, 20.0, 0.5, 1.0)]


def told(wrong, *, ages=(), age_s=0.0, hours=HOURS, within=None):
    rows = pl.concat(greek_tickers.tickers("BTC", at_ms, wrong) for at_ms in hours)
    if within is not None:
        rows = rows.filter(pl.col("expiry") - pl.col("timestamp") < pl.duration(hours=within))
    found = tally([rows], EXCHANGE.older(age_s), stale_s=30)
    return hints(found.sample, judged(*found.counts["mark_iv"]), list(ages), age_s)


def test_nothing_is_said_of_what_passes():
    assert told(greek_tickers.RIGHT) == []


@pytest.mark.parametrize("age_s", [0.0, 5.0, 40.0])
def test_an_age_is_named_whatever_age_was_taken(age_s):
    (hint,) = told(greek_tickers.Wrong(later_s=20.0), ages=OLD, age_s=age_s)

    assert (hint.convention, hint.explains) == ("Greeks 20 s old", True)
    assert hint.outside == 0


def test_a_convention_is_named_though_greeks_are_old_too():
    wrong = greek_tickers.Wrong(later_s=20.0, premium_adjusted=True)
    (hint,) = told(wrong, ages=OLD, age_s=20.0)

    assert (hint.convention, hint.greek) == ("premium-adjusted delta", "delta")
    assert hint.explains


def test_options_that_a_convention_has_expired_are_far_off():
    wrong = greek_tickers.Wrong(year_days=300.0)
    (hint,) = told(wrong, hours=HOURS[1:2], within=30)

    assert not hint.explains
    assert "no convention tried explains it; nearest is " in hint.words
