"""Greeks in coin and discounted: against 60 digits, and none where there can be none."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from quant.kernels import black76
from quant.kernels.greeks import COIN, DISCOUNTED, EXCHANGE, NAMES, greeks
from tests.quant import reference
from tests.quant.markets import SETS
from tests.quant.reference import EPS, Option

STEP = mpf(10) ** -20
INDEX, RATE = 64_800.0, 0.043
OPTIONS = [
    Option(65_000.0, strike, days / 365, iv, is_call)
    for strike, days, iv in [(70_000.0, 30, 0.6), (40_000.0, 90, 0.8), (66_000.0, 0.2, 0.4)]
    for is_call in (True, False)
]


def of(option, *, index=INDEX, rate=RATE, is_coin=True):
    numbers = (option.forward, index, option.strike, option.tenor, option.iv, rate)
    columns = (np.array([x]) for x in numbers)
    found = greeks(*columns, np.array([option.is_call]), np.array([is_coin]))
    return dict(zip(NAMES, found[:, 0], strict=True))


def moved(option, *, forward=0, tenor=0, iv=0):
    return Option(
        option.forward + forward, option.strike, option.tenor + tenor, option.iv + iv,
        option.is_call,
    )  # fmt: skip


def derivative(function, step=STEP):
    return (function(step) - function(-step)) / (2 * step)


def second(function, step=STEP):
    return (function(step) - 2 * function(0) + function(-step)) / step**2


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_coin_greeks_are_the_derivatives_of_the_price_in_coin(option):
    found = of(option)

    def coin(forward=0, iv=0):
        return reference.price(moved(option, forward=forward, iv=iv)) / (option.forward + forward)

    slack = 50 * EPS * (1 + found["price"] / option.forward) / option.forward
    by_forward = derivative(lambda step: coin(forward=step))
    assert found["delta_coin"] == pytest.approx(float(by_forward), rel=1e-12, abs=slack)
    curvature = second(lambda step: coin(forward=step))
    slack *= 2 / option.forward
    assert found["gamma_coin"] == pytest.approx(float(curvature), rel=1e-11, abs=slack)
    by_iv = derivative(lambda step: coin(iv=step)) / 100
    assert found["vega_coin"] == pytest.approx(float(by_iv), rel=1e-12)
    assert found["theta_coin"] == pytest.approx(found["theta"] / option.forward, rel=1e-15)
    assert found["net_delta"] == pytest.approx(
        found["delta"] - found["price"] / option.forward, rel=1e-15, abs=1e-15
    )


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_discounted_greeks_are_the_derivatives_of_the_discounted_price(option):
    found = of(option)
    multiple = mpf(option.forward) / mpf(INDEX)

    def worth(index=0, iv=0, tenor=0, rate=0):
        then = moved(option, forward=multiple * index, iv=iv, tenor=tenor)
        return mpmath.exp(-(mpf(RATE) + rate) * then.tenor) * reference.price(then)

    expected = {
        "price_disc": worth(),
        "delta_disc": derivative(lambda step: worth(index=step)),
        "gamma_disc": second(lambda step: worth(index=step)),
        "vega_disc": derivative(lambda step: worth(iv=step)) / 100,
        "theta_disc": -derivative(lambda step: worth(tenor=step)) / 365,
        "rho_disc": derivative(lambda step: worth(rate=step)) / 100,
    }
    assert tuple(expected) == DISCOUNTED
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-11), name
    assert found["coin_rate"] == pytest.approx(
        RATE - float(mpmath.log(multiple)) / option.tenor, rel=1e-12
    )


def test_at_no_rate_and_on_the_index_discounting_changes_nothing_but_rho_and_the_caps():
    option = Option(65_000.0, 70_000.0, 30 / 365, 0.6, is_call=True)
    found = of(option, index=option.forward, rate=0.0)

    assert found["coin_rate"] == 0
    for name in ("price", "delta", "gamma", "vega"):
        assert found[f"{name}_disc"] == found[name]
    assert found["theta_disc"] == pytest.approx(found["theta"], rel=1e-15)


@pytest.mark.parametrize("name", SETS)
def test_the_exchanges_greeks_are_those_of_black76(name):
    market = SETS[name](3_000)
    columns = market.forward, market.strike, market.tenor, market.iv
    some = np.full(3_000, 0.04)
    ones = np.ones(3_000, bool)
    found = greeks(
        market.forward, market.forward * 0.99, *columns[1:], some, market.is_call, ones
    )  # fmt: skip

    alone = black76.price_and_greeks(*columns, market.is_call)
    assert np.array_equal(found[: len(EXCHANGE)], np.array(alone))
    assert np.array_equal(found[6:8], np.array(black76.vanna_and_volga(*columns)))


def test_threads_and_places_for_results_change_nothing():
    market = SETS["mkt"](40_000)
    columns = (market.forward, market.forward, market.strike, market.tenor, market.iv)
    columns += (np.full(40_000, 0.04), market.is_call, np.ones(40_000, bool))
    out = np.zeros((len(NAMES), 40_000))

    assert greeks(*columns, threads=2, out=out) is out
    assert np.array_equal(out, greeks(*columns))


def test_an_option_that_pays_dollars_has_no_greeks_in_coin():
    found = of(OPTIONS[0], is_coin=False)

    assert {name for name, value in found.items() if np.isnan(value)} == {*COIN}


@pytest.mark.parametrize("rate", [np.nan, np.inf, -np.inf, 1e300])
def test_without_a_rate_only_what_it_enters_is_missing(rate):
    found = of(OPTIONS[0], rate=rate)

    assert {name for name, value in found.items() if np.isnan(value)} == {*DISCOUNTED, "coin_rate"}


@pytest.mark.parametrize("index", [np.nan, 0.0, -1.0, np.inf])
def test_without_an_index_only_what_it_enters_is_missing(index):
    found = of(OPTIONS[0], index=index)

    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == {*DISCOUNTED, "coin_rate"}


@given(
    st.floats(-2, 2), st.floats(1e-4, 3), st.floats(0.05, 4), st.floats(-0.02, 0.2), st.booleans()
)  # fmt: skip
def test_net_deltas_of_call_and_put_differ_by_the_strike_in_coin(k, tenor, iv, rate, is_call):
    """Call less put is worth F - K: a delta of 1 less 1 - K/F of coin."""
    forward, strike = 65_000.0, 65_000.0 * np.exp(k)
    one, other = (
        of(Option(forward, strike, tenor, iv, which), rate=rate) for which in (is_call, not is_call)
    )
    sign = 1 if is_call else -1
    largest = max(1.0, strike / forward)

    apart = sign * (one["net_delta"] - other["net_delta"])
    assert apart == pytest.approx(strike / forward, abs=20 * EPS * largest)


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0, np.inf])
@pytest.mark.parametrize("column", [0, 2, 3, 4])
def test_a_number_outside_the_domain_makes_its_row_nan_and_no_other(column, bad):
    columns = [np.full(3, x) for x in (100.0, 99.0, 110.0, 0.5, 0.6, 0.04)]
    flags = np.array([True, False, True]), np.ones(3, bool)
    alone = greeks(*columns, *flags)
    columns[column] = columns[column].copy()
    columns[column][1] = bad

    spoilt = greeks(*columns, *flags)

    of_no_iv = [NAMES.index("coin_rate")] if column in {2, 4} else []
    assert np.flatnonzero(~np.isnan(spoilt[:, 1])).tolist() == of_no_iv
    assert np.array_equal(spoilt[:, [0, 2]], alone[:, [0, 2]])
