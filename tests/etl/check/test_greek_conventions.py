"""Greeks by the exchange's convention, and by others: against a second implementation."""

from dataclasses import replace

import numpy as np
import pytest

from etl.check.greek_conventions import EXCHANGE, OTHERS, Quotes, evaluated, tenor
from tests.exchange.option_market import black76
from validators.greeks.quotes import QUANTITIES

ROWS = 500


def quotes(*, is_coin=True, seed=3, digits=5e-9):
    """Quotes of all tenors and strikes, whose marks are the model's price of whole minutes."""
    dice = np.random.default_rng(seed)
    forward = np.round(dice.uniform(50_000, 120_000, ROWS), 2)
    seconds = np.exp(dice.uniform(np.log(300), np.log(3e7), ROWS))
    iv, is_call = np.round(dice.uniform(0.2, 1.5, ROWS), 4), dice.random(ROWS) < 0.5
    years = np.rint(seconds / 60) / 525_600
    strike = forward * np.exp(dice.normal(0, 1.5, ROWS) * iv * np.sqrt(years))
    sign = np.where(is_call, 1.0, -1.0)
    price = black76.price(forward, strike, iv * np.sqrt(years), sign)
    mark = price / forward if is_coin else price
    return Quotes(
        forward=forward,
        forward_half=np.full(ROWS, 0.005),
        index=forward * 0.99,
        strike=strike,
        seconds=seconds,
        iv=iv,
        mark=mark,
        mark_half=np.full(ROWS, digits),
        is_call=is_call,
        is_coin=np.full(ROWS, is_coin),
    )


def told(convention=EXCHANGE, **more):
    made = quotes(**more)
    return made, dict(zip(QUANTITIES, evaluated(made, convention), strict=True))


def named(words):
    return next(one for one in OTHERS if one.words == words)


@pytest.mark.parametrize("is_coin", [True, False])
def test_the_exchange_s_convention_is_that_of_an_independent_implementation(is_coin):
    made, found = told(is_coin=is_coin)
    years = np.rint(made.seconds / 60) / 525_600
    sign = np.where(made.is_call, 1.0, -1.0)
    expected = black76.greeks(made.forward, made.strike, years, made.iv, sign)

    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=2e-3 * (name == "theta"))
    np.testing.assert_allclose(found["mark_price"], made.mark, rtol=1e-9, atol=1e-15)


def test_theta_is_capped_by_the_mark_where_that_is_less_than_the_model_s_price():
    made = quotes()
    cheap = replace(made, mark=made.mark / 2)

    theta = evaluated(cheap)[QUANTITIES.index("theta")]

    assert (-theta <= cheap.mark * cheap.forward * (1 + 1e-9) + 1e-3).all()
    assert (-theta > 0.999 * cheap.mark * cheap.forward - 1e-3).any()


def test_a_mark_of_few_digits_caps_by_the_model_s_price_as_far_as_it_rounds_to_it():
    made, coarse = quotes(), quotes(digits=5e-5)
    rounded = replace(coarse, mark=np.round(made.mark, 4))

    found, expected = (evaluated(one)[4] for one in (rounded, made))

    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_time_is_counted_in_the_nearest_whole_minute_and_greeks_that_are_older_have_more():
    made = quotes()

    minutes, older = (525_600 * tenor(made, one) for one in (EXCHANGE, EXCHANGE.older(60)))

    np.testing.assert_allclose(minutes, np.rint(minutes), atol=1e-6)
    np.testing.assert_allclose(older - minutes, 1, atol=1e-6)
    assert np.abs(minutes - made.seconds / 60).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("words", "same"), [
    ("a year of 365.25 days", ()),
    ("uncapped theta", ("mark_price", "delta", "gamma", "vega", "rho")),
    ("theta capped by the price alone", ("mark_price", "delta", "gamma", "vega", "rho")),
    ("theta capped by the last day alone", ("mark_price", "delta", "gamma", "vega", "rho")),
    ("the index for the forward", ()),
    ("premium-adjusted delta", ("mark_price", "gamma", "vega", "theta", "rho")),
    ("expiry at midnight, 00:00 UTC", ()),
    ("expiry at midnight, 24:00 UTC", ()),
    ("time to expiry to the millisecond", ()),
])  # fmt: skip
def test_another_convention_changes_what_it_should(words, same):
    _, ours = told()
    _, others = told(named(words))
    moved = {name for name in QUANTITIES if not np.array_equal(ours[name], others[name])}

    assert moved == set(QUANTITIES) - set(same)


def test_uncapped_theta_is_a_year_of_it_over_365():
    made, found = told(named("uncapped theta"))
    root = np.sqrt(tenor(made))
    d1 = np.log(made.forward / made.strike) / (made.iv * root) + made.iv * root / 2
    expected = -made.forward * black76.density(d1) * made.iv / (2 * root) / 365

    np.testing.assert_allclose(found["theta"], expected, rtol=1e-9)


def test_premium_adjusted_delta_is_less_by_the_price_in_coin():
    made, found = told(named("premium-adjusted delta"))
    _, plain = told()

    np.testing.assert_allclose(found["delta"], plain["delta"] - made.mark, atol=1e-9)


def test_an_option_without_time_has_no_greeks():
    _, found = told(named("expiry at midnight, 00:00 UTC"))
    made = quotes()
    is_over = made.seconds < 8 * 3600 - 60

    assert is_over.any()
    assert all(np.isnan(values[is_over]).all() for values in found.values())
