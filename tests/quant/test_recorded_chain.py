"""The chain of 746 options of 15 June 2025: which quotes are good, and what is broken in it."""

import numpy as np
import polars as pl
import pytest

from quant.implied_vol import with_implied_vol
from quant.quote_repair import repaired
from quant.quotes import with_quote_status
from quant.static_arbitrage import TOLERANCE
from quant.svi import STATUSES, fitted
from quant.variance_swap import at_maturity, variance_swaps
from tests.quant.chain import BODY, as_arrays, recorded_chain

pytestmark = pytest.mark.skipif(not BODY.exists(), reason="the recorded chain is not here")
LEAST_ERROR = 0.001  # half a tick is not less at the money
TWO_SIDED = ["no_bid", "no_ask", "crossed"]


def test_of_746_options_333_quotes_may_shape_a_surface():
    counts = dict(with_quote_status(recorded_chain())["quote_status"].value_counts().iter_rows())

    assert counts == {
        "ok": 333,
        "in_the_money": 279,
        "no_bid": 109,
        "few_ticks": 16,
        "wide_spread": 6,
        "no_ask": 3,
    }


def test_good_quotes_break_eleven_inequalities_and_are_mended_inside_their_spreads():
    quotes = with_quote_status(recorded_chain()).filter(pl.col("quote_status") == "ok")

    repair = repaired(*as_arrays(quotes))

    assert repair.before.total == 11
    assert repair.worst_before == pytest.approx(2.25e-4, rel=1e-3)
    assert repair.status == "ok"
    assert repair.after.total == 0
    assert repair.worst_after <= TOLERANCE
    assert not repair.is_outside.any()


def test_all_quotes_with_two_sides_break_more_and_are_mended_inside_their_spreads():
    quotes = with_quote_status(recorded_chain())
    quotes = quotes.filter(~pl.col("quote_status").is_in(TWO_SIDED))

    repair = repaired(*as_arrays(quotes))

    assert quotes.height == 634
    assert repair.before.total > 150
    assert repair.worst_after <= TOLERANCE
    assert not repair.is_outside.any()


def mended_quotes():
    """Good quotes at their repaired prices, with volatilities and errors, last expiry first."""
    quotes = with_quote_status(recorded_chain()).filter(pl.col("quote_status") == "ok")
    quotes = quotes.with_columns(repaired=pl.Series(repaired(*as_arrays(quotes)).price))
    for price in ("bid_price", "ask_price", "repaired"):
        solved = with_implied_vol(quotes, price=price)
        quotes = quotes.with_columns(solved["iv"].alias(f"{price}_iv"))
    half = (pl.col("ask_price_iv") - pl.col("bid_price_iv").fill_null(0.0)) / 2
    return (
        quotes.filter(pl.col("repaired_iv").is_not_null())
        .with_columns(error=pl.max_horizontal(half, LEAST_ERROR))
        .sort("number", descending=True, maintain_order=True)
    )


def test_svi_from_the_last_expiry_to_the_first_is_free_of_arbitrage_and_near_the_quotes():
    quotes = mended_quotes()
    of_slice = quotes["number"].max() - quotes["number"]
    k = (quotes["strike"] / quotes["forward"]).log()
    columns = (x.to_numpy() for x in (of_slice, k, quotes["repaired_iv"], quotes["error"]))
    tenor = quotes["tenor"].unique(maintain_order=True).to_numpy()

    fits = fitted(*columns, tenor, group=np.zeros(tenor.shape[0], np.int64))

    assert tenor.shape[0] == 11
    assert (fits.status <= STATUSES.index("constrained")).all()
    assert fits.least_durrleman.min() >= 0.0
    assert fits.least_rise[1:].min() >= 0.0
    assert np.median(fits.rmse) < 0.005
    assert np.median(fits.misfit) < 0.6
    assert fits.misfit.max() < 1.5


def test_the_variance_swap_at_thirty_days_is_a_tenth_above_the_money():
    """The smile lifts it: marks at the money are 38.2 % at 19 days and 40.7 % at 40."""
    quotes = mended_quotes()
    moneyness, price = quotes["strike"] / quotes["forward"], quotes["repaired"]
    of_slice = (quotes["number"].max() - quotes["number"]).to_numpy()
    is_call = (quotes["option_type"] == "call").to_numpy()
    tenor = quotes["tenor"].unique(maintain_order=True).to_numpy()

    swaps = variance_swaps(of_slice, moneyness.to_numpy(), price.to_numpy(), is_call, tenor)
    found = at_maturity(np.zeros(tenor.shape[0], np.int64), tenor, swaps.total_variance)

    assert found.iv[0] == pytest.approx(0.4335, abs=5e-4)
    assert (swaps.truncation < 0.03 * swaps.total_variance).all()
