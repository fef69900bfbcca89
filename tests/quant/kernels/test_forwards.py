"""Forwards recovered from a trade's price and implied volatility."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.kernels import black76
from quant.kernels.forwards import IV_ROUNDING, LARGEST_RATE, recovered
from tests.quant import reference
from tests.quant.reference import Option

RECORDED = Path(__file__).parents[4] / "shared" / "data"
BODIES = (
    "rest_and_ws_fixtures/http_get_last_trades_option_combo.json",
    "rest_results_2026_09/trades_currency.json",
)
YEAR_MS = 365 * 86_400_000
BP = 1e-4
INDEX = 65_000.0


def solve(columns, is_call, is_coin):
    """Recover from price, iv, index, strike and tenor."""
    columns = [np.asarray(x, dtype=float) for x in columns]
    rate, error = np.empty_like(columns[0]), np.empty_like(columns[0])
    recovered(*columns, np.asarray(is_call), np.asarray(is_coin), rate, error)
    return rate, error


def one(option, *, is_coin, index=INDEX):
    """What is recovered from the exact price of an option."""
    price = float(reference.price(option)) / (option.forward if is_coin else 1.0)
    columns = [[x] for x in (price, option.iv, index, option.strike, option.tenor)]
    return price, solve(columns, [option.is_call], [is_coin])


def recorded_trades():
    """Legs and trades Deribit really sent, one per instrument."""
    trades = {}
    for body in BODIES:
        answer = json.loads((RECORDED / body).read_text())
        for trade in answer.get("result", answer)["trades"]:
            for each in trade.get("legs", [trade]):
                trades[each["instrument_name"]] = each
    return trades


def tenor_of(trade):
    day = datetime.strptime(trade["instrument_name"].split("-")[1], "%d%b%y").replace(tzinfo=UTC)
    return ((day.timestamp() + 8 * 3600) * 1000 - trade["timestamp"]) / YEAR_MS


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded bodies are not here")
def test_recorded_trades_stand_on_their_index_or_on_a_carry_known_to_a_fifth_of_a_basis_point():
    """The exchange's own volatility, index and price, solved for the forward by another program."""
    trades = recorded_trades()
    expected = {
        "BTC-19MAY26-75000-C": (0.01, 0.01),
        "BTC-19MAY26-70000-C": (0.00, 0.00),
        "BTC-21SEP26-80000-P": (0.28, 0.03),
        "BTC-25SEP26-95000-C": (7.26, 0.16),
        "BTC-9OCT26-88000-C": (25.78, 0.18),
        "BTC-30OCT26-85000-C": (57.24, 0.18),
    }
    rows = [trades[name] for name in expected]
    names = [name.split("-") for name in expected]
    columns = (
        [row["price"] for row in rows],
        [row["iv"] / 100 for row in rows],
        [row["index_price"] for row in rows],
        [float(strike) for _, _, strike, _ in names],
        [tenor_of(row) for row in rows],
    )
    rate, error = solve(columns, [kind == "C" for *_, kind in names], [True] * len(rows))

    wanted = np.array(list(expected.values()))
    assert np.expm1(rate) / BP == pytest.approx(wanted[:, 0], abs=0.0051)
    assert error / BP == pytest.approx(wanted[:, 1], abs=0.0051)


@given(
    deviations=st.floats(-5.0, 5.0),
    tenor=st.floats(1e-4, 2.0),
    iv=st.floats(0.05, 3.0),
    rate=st.floats(-0.3, 0.3),
    is_call=st.booleans(),
    is_coin=st.booleans(),
)
def test_the_forward_behind_a_price_is_found_again(deviations, tenor, iv, rate, is_call, is_coin):
    forward = INDEX * np.exp(rate)
    strike = forward * np.exp(deviations * iv * tenor**0.5)
    option = Option(forward, strike, tenor, iv, is_call)
    price, (found, error) = one(option, is_coin=is_coin)

    # a price near its bound, 1 coin for a call and the strike for a put, hides the forward
    slack = 1e-13 * price / abs(slope(option, is_coin=is_coin)) / (1.0 if is_coin else forward)
    assert found[0] == pytest.approx(rate, abs=1e-13 + slack)
    assert error[0] >= 0.0


def slope(option, *, is_coin):
    """Change of the price in coin, or of that in dollars over the forward, with ln(forward)."""
    d1, d2 = option.deviations
    part = d2 if is_coin else d1
    weight = option.strike / option.forward if is_coin else 1.0
    return option.sign * weight * float(reference.mpmath.ncdf(option.sign * part))


@pytest.mark.parametrize("is_coin", [True, False])
@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [50_000.0, 65_000.0, 90_000.0])
def test_the_error_is_what_half_a_digit_of_the_volatility_moves(strike, is_call, is_coin):
    option = Option(66_000.0, strike, 60 / 365, 0.6, is_call)
    price, (rate, error) = one(option, is_coin=is_coin)
    ivs = [0.6 - IV_ROUNDING, 0.6 + IV_ROUNDING]
    columns = ([price] * 2, ivs, [INDEX] * 2, [strike] * 2, [60 / 365] * 2)
    moved, _ = solve(columns, [is_call] * 2, [is_coin] * 2)

    assert rate[0] == pytest.approx(np.log(66 / 65), abs=1e-14)
    assert error[0] == pytest.approx(abs(moved[1] - moved[0]) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("price", "is_call", "is_coin"),
    [
        (1.0, True, True),  # no call is worth a coin
        (70_000.0, False, False),  # no put its strike
        (1e-90, True, True),  # a forward a tenth of the index
        (60_000.0, False, False),
        (0.0, True, True),
        (-0.01, False, True),
    ],
)
def test_a_price_that_no_forward_near_the_index_makes_has_none(price, is_call, is_coin):
    rate, error = solve([[price], [0.6], [INDEX], [70_000.0], [0.1]], [is_call], [is_coin])

    assert np.isnan(rate[0])
    assert np.isnan(error[0])


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0, np.inf])
@pytest.mark.parametrize("column", range(5))
def test_a_number_outside_the_domain_makes_its_row_nan_and_no_other(column, bad):
    columns = [np.full(3, x) for x in (0.05, 0.6, INDEX, 70_000.0, 0.1)]
    flags = np.array([True, True, False]), np.array([True, True, True])
    alone = solve(columns, *flags)
    columns[column][1] = bad

    spoilt = solve(columns, *flags)

    for result, good in zip(spoilt, alone, strict=True):
        assert np.isnan(result[1])
        assert result[[0, 2]].tolist() == good[[0, 2]].tolist()
        assert np.isfinite(good).all()


def test_an_option_minutes_before_expiry_far_from_the_index_is_found_by_the_search():
    """Fifty standard deviations from the index the price there is zero, and its slope too."""
    option = Option(INDEX * 1.1, INDEX * 1.1, 10 / 525_600, 0.5, is_call=True)
    assert np.log(1.1) / (option.iv * option.tenor**0.5) > 40
    _, (rate, _) = one(option, is_coin=True)

    assert rate[0] == pytest.approx(np.log(1.1), abs=1e-13)
    assert abs(rate[0]) < LARGEST_RATE


def test_rows_of_a_year_of_markets_are_all_found():
    random = np.random.default_rng(5)
    n = 20_000
    tenor = np.exp(random.uniform(np.log(1 / 8760), 0.0, n))
    iv = np.exp(random.uniform(np.log(0.2), np.log(2.0), n))
    forward = INDEX * np.exp(random.normal(0.0, 0.05, n) * tenor)
    strike = forward * np.exp(random.uniform(-4.0, 4.0, n) * iv * np.sqrt(tenor))
    is_call, is_coin = random.random(n) < 0.5, random.random(n) < 0.5
    usd = black76.price(forward, strike, tenor, iv, is_call)
    price = usd / np.where(is_coin, forward, 1.0)

    rate, error = solve((price, iv, np.full(n, INDEX), strike, tenor), is_call, is_coin)

    assert np.abs(rate - np.log(forward / INDEX)).max() < 1e-12
    assert (error < 1e-3).all()
