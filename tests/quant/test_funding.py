"""Funding over a span: published figures, the exchange's own, and what must not matter."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.funding import funding_value
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.methods import METHODS
from tests.exchange.params import Params

START = datetime(2025, 5, 1, tzinfo=UTC)


def frame(hours):
    rates, prices = zip(*hours, strict=True)
    stamps = [START + timedelta(hours=i + 1) for i in range(len(hours))]
    return pl.DataFrame(
        {"timestamp": stamps, "interest_1h": rates, "prev_index_price": prices},
        schema_overrides={"interest_1h": pl.Float64, "prev_index_price": pl.Float64},
    )


def value(rows, *, is_inverse):
    return rows.select(funding_value(is_inverse=is_inverse)).item()


hours = st.lists(st.tuples(st.floats(-1e-3, 1e-3), st.floats(1e3, 2e5)), min_size=1, max_size=50)


def test_two_hours_by_hand():
    rows = frame([(0.0001, 100_000.0), (0.0002, 50_000.0)])

    assert value(rows, is_inverse=True) == pytest.approx(0.0001 + 0.0002 * 2)
    assert value(rows, is_inverse=False) == pytest.approx(0.0003)


def test_no_hours_cost_nothing():
    assert value(frame([(0.1, 1.0)]).clear(), is_inverse=True) == 0
    assert value(frame([(0.1, 1.0)]).clear(), is_inverse=False) == 0


@given(hours, st.integers(0, 2**32))
def test_the_order_of_rows_does_not_matter(hours, seed):
    rows = frame(hours)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)

    assert value(shuffled, is_inverse=True) == pytest.approx(
        value(rows, is_inverse=True), rel=1e-9, abs=1e-15
    )


@given(hours)
def test_at_a_constant_price_inverse_and_linear_agree(hours):
    rows = frame([(rate, 60_000.0) for rate, _ in hours])

    assert value(rows, is_inverse=True) == pytest.approx(
        value(rows, is_inverse=False), rel=1e-9, abs=1e-15
    )


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL"])
def test_it_is_what_the_exchange_says(name):
    market = Market(7, milliseconds("2025-10-18"))
    start, end = milliseconds("2025-05-01"), milliseconds("2025-05-20")
    asked = {"instrument_name": name, "start_timestamp": start, "end_timestamp": end}
    said = METHODS["public/get_funding_rate_value"](market, Params(asked))
    rows = pl.DataFrame(market.funding(name, start + 1, end + 1))

    result = value(rows, is_inverse="_" not in name)

    assert result == pytest.approx(said, rel=1e-12)
