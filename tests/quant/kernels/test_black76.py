"""Prices and Greeks: against 60 digits, and what no arbitrage demands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.kernels.black76 import price, price_and_greeks, vanna_and_volga
from tests.quant import reference
from tests.quant.markets import SETS
from tests.quant.reference import EPS, Option

GREEKS = ("price", "delta", "gamma", "vega", "theta", "rho")

strikes = st.floats(1e-2, 1e6)
moneynesses = st.floats(-4.0, 4.0)
tenors = st.floats(1e-4, 3.0)
ivs = st.floats(0.01, 5.0)


def greeks_of(option):
    columns = (np.array([x]) for x in (option.forward, option.strike, option.tenor, option.iv))
    return dict(
        zip(GREEKS, (x[0] for x in price_and_greeks(*columns, np.array([option.is_call]))),
            strict=True)
    )  # fmt: skip


def options(moneyness, strike, tenor, iv, is_call):
    return Option(strike * np.exp(moneyness), strike, tenor, iv, is_call)


any_option = st.builds(options, moneynesses, strikes, tenors, ivs, st.booleans())


@pytest.mark.parametrize("name", SETS)
def test_prices_and_greeks_are_as_exact_as_their_inputs(name):
    """Off by no more than ten roundings of the forward, strike or tenor would make them."""
    market = SETS[name](400)
    results = price_and_greeks(
        market.forward, market.strike, market.tenor, market.iv, market.is_call
    )
    worst = dict.fromkeys(GREEKS, 0.0)
    for i in range(400):
        option = Option(
            *(x[i] for x in (market.forward, market.strike, market.tenor, market.iv)),
            bool(market.is_call[i]),
        )
        exact = reference.greeks(option)
        slack = float(1 + abs(option.deviations[0]) + abs(option.deviations[1])) ** 2
        stdev = option.iv * option.tenor**0.5
        for greek, result, truth in zip(GREEKS, results, exact, strict=True):
            units = abs(float(result[i] / truth - 1)) / EPS
            worst[greek] = max(worst[greek], units / (slack * (1 + 1 / stdev)))

    assert all(units < 10.0 for units in worst.values()), worst


@given(any_option)
def test_call_less_put_is_forward_less_strike(option):
    put = Option(option.forward, option.strike, option.tenor, option.iv, not option.is_call)
    call_less_put = option.sign * (greeks_of(option)["price"] - greeks_of(put)["price"])

    largest = max(option.forward, option.strike)
    assert call_less_put == pytest.approx(option.forward - option.strike, abs=4 * EPS * largest)


@given(any_option)
def test_a_price_lies_between_intrinsic_value_and_maximum(option):
    value = greeks_of(option)["price"]

    assert value >= max(option.sign * (option.forward - option.strike), 0.0)
    assert value <= (option.forward if option.is_call else option.strike) * (1 + EPS)


@given(any_option, st.floats(1e-3, 1e3))
def test_twice_the_coin_is_twice_the_price(option, factor):
    scaled = Option(
        option.forward * factor, option.strike * factor, option.tenor, option.iv, option.is_call
    )
    largest = max(scaled.forward, scaled.strike)

    expected = greeks_of(option)["price"] * factor
    assert greeks_of(scaled)["price"] == pytest.approx(expected, abs=20 * EPS * largest)


@given(any_option, st.floats(1.0, 2.0))
def test_a_price_grows_with_volatility_and_falls_with_the_strike_of_a_call(option, factor):
    more = Option(option.forward, option.strike, option.tenor, option.iv * factor, option.is_call)
    call = Option(option.forward, option.strike, option.tenor, option.iv, is_call=True)
    further = Option(option.forward, option.strike * factor, option.tenor, option.iv, is_call=True)
    slack = 20 * EPS * max(option.forward, option.strike) * factor

    assert greeks_of(more)["price"] >= greeks_of(option)["price"] - slack
    assert greeks_of(further)["price"] <= greeks_of(call)["price"] + slack


@given(any_option)
def test_theta_takes_no_more_than_a_day_of_life_and_no_more_than_the_price(option):
    greeks = greeks_of(option)
    plain = option.forward * float(reference.mpmath.npdf(option.deviations[0]))
    plain *= option.iv / (2 * option.tenor**0.5) / 365

    assert -greeks["theta"] <= greeks["price"]
    assert -greeks["theta"] <= plain * min(1.0, 365 * option.tenor) * (1 + 1e-9)


@pytest.mark.parametrize("is_call", [True, False])
def test_delta_gamma_and_vega_are_the_derivatives_of_the_price(is_call):
    """Differentiated in 60 digits, by a step that is far below a double's last digit."""
    option = Option(65_000.0, 70_000.0, 30 / 365, 0.6, is_call)
    step = reference.mpf(10) ** -20
    at = reference.price

    def moved(forward, iv):
        return Option(option.forward + forward, option.strike, option.tenor, option.iv + iv,
                      is_call)  # fmt: skip

    up, down = at(moved(step, 0)), at(moved(-step, 0))
    greeks = greeks_of(option)

    assert greeks["delta"] == pytest.approx(float((up - down) / (2 * step)), rel=1e-13)
    gamma = float((up - 2 * at(option) + down) / step**2)
    assert greeks["gamma"] == pytest.approx(gamma, rel=1e-13)
    vega = float((at(moved(0, step)) - at(moved(0, -step))) / (2 * step))
    assert greeks["vega"] == pytest.approx(vega / 100, rel=1e-13)


def test_vanna_and_volga_are_the_derivatives_of_delta_and_vega():
    option = Option(65_000.0, 70_000.0, 30 / 365, 0.6, is_call=True)
    step = reference.mpf(10) ** -20

    def moved(iv):
        return Option(option.forward, option.strike, option.tenor, option.iv + iv, is_call=True)

    def change(index):
        up, down = reference.greeks(moved(step))[index], reference.greeks(moved(-step))[index]
        return float((up - down) / (2 * step)) / 100

    columns = (np.array([x]) for x in (option.forward, option.strike, option.tenor, option.iv))
    vanna, volga = vanna_and_volga(*columns)

    assert vanna[0] == pytest.approx(change(1), rel=1e-12)
    assert volga[0] == pytest.approx(change(3), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(4))
def test_a_number_outside_the_domain_makes_its_row_nan_and_no_other(column, bad):
    columns = [np.full(3, x) for x in (100.0, 110.0, 0.5, 0.6)]
    alone = price_and_greeks(*columns, np.array([True, False, True]))
    columns[column] = columns[column].copy()
    columns[column][1] = bad

    spoilt = price_and_greeks(*columns, np.array([True, False, True]))

    for result, good in zip(spoilt, alone, strict=True):
        assert np.isnan(result[1])
        assert result[[0, 2]].tolist() == good[[0, 2]].tolist()
    assert np.isnan(price(*columns, np.array([True, False, True]))[1])
    assert np.isnan(vanna_and_volga(*columns)[0][1])


def test_the_price_alone_is_the_price_of_all():
    market = SETS["mkt"](10_000)
    columns = (market.forward, market.strike, market.tenor, market.iv, market.is_call)

    largest = np.maximum(market.forward, market.strike)
    assert (np.abs(price(*columns) - price_and_greeks(*columns)[0]) <= 4 * EPS * largest).all()


def test_threads_change_no_bit():
    market = SETS["mkt"](100_000)
    columns = (market.forward, market.strike, market.tenor, market.iv, market.is_call)

    one, two = price_and_greeks(*columns), price_and_greeks(*columns, threads=2)

    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
