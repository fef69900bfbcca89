"""Ours against the exchange's own numbers, within tolerances measured on thousands of quotes."""

import polars as pl
import pytest

from quant.implied_vol import with_implied_vol
from tests.quant.recorded import FILES, QUANTITIES, RECORDED, compared

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
LARGEST = {"mark_price": 6e-4, "delta": 2e-4, "vega": 0.05, "rho": 0.03}
TWO_DAYS = 2 / 365


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_is_the_one_deribit_published(name, quantity):
    quotes = compared(name)
    tolerance = LARGEST.get(quantity)
    if quantity == "gamma":  # that of a coin of one dollar shows how old the exchange's own is
        tolerance = 1.01e-5 + 1.2e-3 * quotes["their_gamma"]
    if quantity == "theta":
        tolerance = pl.when(quotes["tenor"] < TWO_DAYS).then(2.0).otherwise(0.7)

    off = quotes.filter(~(pl.col(f"{quantity}_error") <= tolerance))

    assert quotes.height > 5
    assert off.is_empty(), off.select("instrument_name", f"their_{quantity}", f"{quantity}_error")


@pytest.mark.parametrize("name", ["BTC 2021-02", "ETH 2021-02"])
def test_the_volatility_of_a_mark_price_is_the_mark_volatility(name):
    """Where the price says more of it than its own rounding (8 digits) and theirs (2) hide."""
    quotes = compared(name)
    solved = with_implied_vol(quotes, price="their_mark_price").filter(
        pl.col("iv_status") == "ok", pl.col("their_vega") > 5.0, pl.col("tenor") > TWO_DAYS
    )
    errors = (solved["iv"] - solved["mark_iv"] / 100).abs()

    assert solved.height > 150
    assert errors.median() < 1e-3
    assert solved.join(quotes, on="instrument_name", how="anti").is_empty()
