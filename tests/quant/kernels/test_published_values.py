"""Values from the literature. Ours are undiscounted: published ones are divided by exp(-r T).

Theta and rho of Black's formula with a rate are other quantities than the exchange's, and are
compared where the rate is zero, or not at all.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from quant.kernels.black76 import price_and_greeks, vanna_and_volga
from quant.kernels.implied_vol import implied_vol
from quant.kernels.status import OK


@dataclass(frozen=True)
class Published:
    forward: float
    strike: float
    tenor: float
    iv: float
    rate: float
    is_call: bool
    expected: dict

    @property
    def columns(self):
        return tuple(np.array([float(x)]) for x in (self.forward, self.strike, self.tenor, self.iv))

    @property
    def discount(self):
        return math.exp(-self.rate * self.tenor)


def greeks(published):
    names = ("price", "delta", "gamma", "vega", "theta", "rho")
    results = price_and_greeks(*published.columns, np.array([published.is_call]))
    return {name: result[0] for name, result in zip(names, results, strict=True)}


def haug(forward, tenor, iv, is_call, price):
    return Published(forward, 100.0, tenor, iv, 0.1, is_call, {"price": price})


HAUG = [
    haug(90, 0.1, 0.15, True, 0.0205),
    haug(100, 0.1, 0.15, True, 1.8734),
    haug(110, 0.1, 0.15, True, 9.9413),
    haug(90, 0.1, 0.15, False, 9.9210),
    haug(100, 0.1, 0.15, False, 1.8734),
    haug(110, 0.1, 0.15, False, 0.0408),
    haug(90, 0.5, 0.35, True, 4.9329),
    haug(100, 0.5, 0.35, True, 9.3679),
    haug(110, 0.5, 0.35, True, 15.3086),
    haug(90, 0.5, 0.35, False, 14.4452),
    haug(100, 0.5, 0.35, False, 9.3679),
    haug(110, 0.5, 0.35, False, 5.7963),
    Published(19, 19, 0.75, 0.28, 0.1, True, {"price": 1.7011}),
    Published(19, 19, 0.75, 0.28, 0.1, False, {"price": 1.7011}),
]


@pytest.mark.parametrize("published", HAUG)
def test_haug_1998_options_on_futures(published):
    """E. G. Haug, "The Complete Guide to Option Pricing Formulas", as in QuantLib's tests."""
    value = greeks(published)["price"] * published.discount

    # the book itself is off by up to 6e-5: QuantLib allows 1e-4
    assert value == pytest.approx(published.expected["price"], abs=1e-4)


@pytest.mark.parametrize(("is_call", "delta"), [(True, 0.5946), (False, -0.3566)])
def test_haug_1998_delta_of_options_on_futures(is_call, delta):
    published = Published(105, 100, 0.5, 0.36, 0.1, is_call, {})

    value = greeks(published)["delta"] * published.discount

    assert value == pytest.approx(delta, abs=5e-5)


def spot(price, rate, carry, tenor):
    """Forward of a spot price: Haug's Greeks of stocks in terms of ours."""
    return price * math.exp((rate - carry) * tenor)


def test_haug_1998_gamma_and_vega_of_a_stock_option():
    tenor, rate, price = 0.75, 0.1, 55.0
    forward = spot(price, rate, 0.0, tenor)
    ours = greeks(Published(forward, 60.0, tenor, 0.3, rate, True, {}))
    discount = math.exp(-rate * tenor)

    assert ours["gamma"] * discount * (forward / price) ** 2 == pytest.approx(0.0278, abs=5e-5)
    assert ours["vega"] * 100 * discount == pytest.approx(18.9358, abs=5e-5)


def test_haug_1998_rho_of_a_stock_option():
    tenor, rate, carry, price = 1.0, 0.09, 0.0, 72.0
    ours = greeks(Published(spot(price, rate, carry, tenor), 75.0, tenor, 0.19, rate, True, {}))

    # the exchange's rho is K T N(d2): that of a spot option, undiscounted
    assert ours["rho"] * 100 * math.exp(-rate * tenor) == pytest.approx(38.7325, abs=5e-5)


def test_hull_put_on_a_futures_price():
    """J. C. Hull, "Options, Futures, and Other Derivatives", Black's model."""
    published = Published(20, 20, 4 / 12, 0.25, 0.09, False, {})

    assert greeks(published)["price"] * published.discount == pytest.approx(1.12, abs=5e-3)


def test_vollib_docstring_of_black():
    published = Published(100, 100, 0.5, 0.2, 0.02, True, {})

    value = greeks(published)["price"] * published.discount

    assert value == pytest.approx(5.5811067246, abs=5e-11)


def thirty(forward, strike, tenor, iv, rate, is_call, expected):  # noqa: PLR0913, PLR0917
    return Published(forward, strike, tenor, iv, rate, is_call, expected)


THIRTY_DIGITS = {
    "19/19": thirty(19, 19, 0.75, 0.28, 0.1, True, {
        "price": 1.7010507252362671, "delta": 0.5086362359336519,
        "gamma": 0.079745034679121141, "vega": 6.0454710790241737,
        "vanna": 0.15909134418484668, "volga": -0.31738723164876912}),
    "105/100": thirty(105, 100, 0.5, 0.36, 0.1, True, {
        "price": 12.432844508202189, "delta": 0.59462865972999562,
        "gamma": 0.01349363711052063, "vega": 26.77812284582819,
        "vanna": -0.064505853849550521, "volga": 1.5275285853141983}),
    "20/20 put": thirty(20, 20, 4 / 12, 0.25, 0.09, False, {
        "price": 1.1166414565589435, "delta": -0.4573067303602805,
        "gamma": 0.13376450266134561, "vega": 4.4588167553781871}),
    "100/100": thirty(100, 100, 0.5, 0.2, 0.02, True, {
        "price": 5.5811067246048101, "delta": 0.52293045049760808,
        "gamma": 0.027859055399082605, "vega": 27.859055399082605}),
    "65000/70000 call": thirty(65_000, 70_000, 30 / 365, 0.6, 0.0, True, {
        "price": 2547.9595859266661, "delta": 0.36511624964930327,
        "gamma": 3.3621170902489934e-5, "vega": 7005.1782113270123,
        "theta": -25568.900471343595 / 365, "vanna": 0.32380897258451225,
        "volga": 2080.6746810316711}),
    "65000/70000 put": thirty(65_000, 70_000, 30 / 365, 0.6, 0.0, False, {
        "price": 7547.9595859266661, "delta": -0.63488375035069673,
        "theta": -25568.900471343595 / 365}),
}  # fmt: skip
PER = {"price": 1, "delta": 1, "gamma": 1, "vega": 100, "theta": 1, "vanna": 100, "volga": 10_000}


@pytest.mark.parametrize("published", THIRTY_DIGITS.values(), ids=THIRTY_DIGITS)
def test_values_computed_in_30_digits(published):
    ours = greeks(published)
    vanna, volga = vanna_and_volga(*published.columns)
    ours |= {"vanna": vanna[0], "volga": volga[0]}

    # theta is a sum of parts of both signs only where there is a rate
    for name, expected in published.expected.items():
        value = ours[name] * PER[name] * published.discount
        assert value == pytest.approx(expected, rel=2e-14), name


@pytest.mark.parametrize("published", THIRTY_DIGITS.values(), ids=THIRTY_DIGITS)
def test_the_volatility_of_a_price_in_30_digits(published):
    forward, strike, tenor, _ = published.columns
    price = np.array([published.expected["price"] / published.discount])

    iv, status = implied_vol(price, forward, strike, tenor, np.array([published.is_call]))

    assert status[0] == OK
    assert iv[0] == pytest.approx(published.iv, rel=1e-14)
