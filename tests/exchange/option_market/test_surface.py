"""Both truths about volatility are free of arbitrage, at any time, and the forward is one."""

import math

import numpy as np
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.option_market import black76, surface
from tests.exchange.option_market.families import BY_NAME, FAMILIES
from tests.exchange.path import EPOCH_MS

DAY_MS = 86_400_000
NOW = milliseconds("2025-10-18")
DAYS = [
    (milliseconds(day) - EPOCH_MS) // DAY_MS for day in ("2017-12-20", "2021-05-19", "2026-08-03")
]
YEARS = np.array([0.3 / 365, 1 / 365, 3 / 365, 7 / 365, 30 / 365, 90 / 365, 0.5, 1.0])
LOG_STRIKES = np.linspace(-2.0, 2.0, 401)


@pytest.fixture(scope="module")
def tape():
    return Market(7, NOW).world.options


def calls(tape, form, base, day):
    """Values of calls against the forward: strikes down, expiries across."""
    hours = surface.hourly(tape.underlyings, base, day)
    moment = np.full((len(LOG_STRIKES), len(YEARS)), EPOCH_MS + day * DAY_MS + 30_000_000)
    years, strikes = np.broadcast_arrays(YEARS, np.exp(LOG_STRIKES)[:, None])
    now = surface.at(hours, EPOCH_MS + day * DAY_MS, moment)
    ones = np.ones_like(strikes)
    return surface.fair(form, now, forward=ones, strike=strikes, years=years, sign=ones)[0]


@pytest.mark.parametrize("form", surface.FORMS)
@pytest.mark.parametrize("base", ["BTC", "ETH", "SOL", "XRP"])
@pytest.mark.parametrize("day", DAYS)
def test_there_is_no_arbitrage_between_strikes_and_expiries(tape, form, base, day):
    values = calls(tape, form, base, day)
    slopes = np.diff(values, axis=0) / np.diff(np.exp(LOG_STRIKES))[:, None]

    assert (slopes >= -1 - 1e-9).all()
    assert (slopes <= 1e-9).all()
    assert (np.diff(slopes, axis=0) >= -1e-7).all()  # no butterfly costs less than nothing
    assert (np.diff(values, axis=1) >= -1e-7).all()  # nor a calendar


def test_the_mixture_lies_outside_the_ssvi_family(tape):
    """Were it SSVI, its total variance would be the member with its own three numbers at each T."""
    hours = surface.hourly(tape.underlyings, "BTC", DAYS[1])
    k, years = np.linspace(-0.5, 0.5, 41), np.full(41, 30 / 365)
    now = surface.at(hours, 0, np.full(41, 3_600_000))
    forward, sign = np.ones(41), np.where(k < 0, -1.0, 1.0)
    about, iv = (
        surface.volatility(form, now, forward=forward, strike=np.exp(k), years=years, sign=sign)
        for form in surface.FORMS
    )
    variance = iv**2 * years
    theta = variance[20]
    best = min(
        np.abs(variance - _ssvi(k, theta, rho, phi)).max() / theta
        for rho in np.linspace(-0.9, 0.5, 71)
        for phi in np.geomspace(0.5, 40, 80)
    )

    assert np.isfinite(about).all()
    assert best > 0.02


def _ssvi(k, theta, rho, phi):
    return theta / 2 * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))


def test_parameters_stay_within_the_conditions_of_ssvi(tape):
    for day in range(-800, 3_000, 37):
        for base in ("BTC", "ETH", "SOL", "XRP"):
            now = surface.hourly(tape.underlyings, base, day)
            assert (now.eta * (1 + np.abs(now.rho)) <= 2).all()
            assert (now.near > 0.1).all()
            assert (now.far > 0.1).all()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_index_of_options_is_that_of_the_market(tape, family):
    moment = milliseconds("2026-09-20T13:21:34.567")
    day = (moment - EPOCH_MS) // DAY_MS
    underlying, _ = tape.underlying(family, day)
    found = math.exp(underlying.log_index_at(np.array([moment]))[0])

    assert found == pytest.approx(Market(7, moment).index_price(family.perpetual), rel=1e-4)


@pytest.mark.parametrize("name", ["BTC-27DEC24", "ETH-28MAR25", "BTC-8NOV24"])
def test_the_forward_of_an_expiry_is_the_price_of_its_future(tape, name):
    family = BY_NAME[name.partition("-")[0]]
    moment = milliseconds("2024-11-05T17:03:09")
    chain = tape.chain(family.name)
    expiry = next(one for one in chain.expiries if one.name == name)
    day, _ = tape.underlying(family, (moment - EPOCH_MS) // DAY_MS)
    found = day.log_forward_at(
        np.array([moment]), np.array([expiry.expiration_ms]), np.array([0.0])
    )

    future = Market(7, moment).world.tapes[name].log_price(moment)
    assert found[0] == pytest.approx(future, abs=1e-9)


def test_days_before_there_were_daily_futures_stand_on_the_index(tape):
    chain = tape.chain("BTC")
    named = {one.name: n for n, one in enumerate(chain.expiries)}
    on_index = [chain.on_index[chain.first[named[day]]] for day in ("BTC-16JUN25", "BTC-27JUN25")]

    assert on_index == [1.0, 0.0]


def test_the_last_half_hour_turns_towards_the_price_of_delivery(tape):
    market = Market(7, NOW)
    expires = milliseconds("2025-06-16T08:00")
    day, _ = tape.underlying(BY_NAME["BTC"], (expires - 1 - EPOCH_MS) // DAY_MS)
    found = day.log_forward_at(np.array([expires - 1]), np.array([expires]), np.array([1.0]))

    assert math.exp(found[0]) == pytest.approx(
        market.delivery_price("BTC-PERPETUAL", expires), rel=1e-5
    )


def test_prices_and_volatilities_invert_each_other():
    strike = np.linspace(40_000, 200_000, 81)
    forward, years = np.full(81, 90_000.0), np.full(81, 21 / 365)
    for sign in (np.ones(81), -np.ones(81)):
        value = black76.price(forward, strike, np.full(81, 0.55) * np.sqrt(years), sign)
        found = black76.implied(value, forward, strike, years=years, sign=sign, guess=np.ones(81))
        has_time_value = value - np.maximum(sign * (forward - strike), 0) > 1e-3
        assert found[has_time_value] == pytest.approx(0.55, abs=1e-7)


def test_black_76_has_the_published_values():
    """QuantLib's test-suite after Haug (1998): F = K = 19, discounted at 10 % for 0.75 years."""
    one = np.array([19.0])
    value = black76.price(one, one, 0.28 * np.sqrt(np.array([0.75])), np.array([1.0]))

    assert value[0] * math.exp(-0.1 * 0.75) == pytest.approx(1.7011, abs=5e-5)
    assert black76.normal_cdf(np.array([-1.96, 0.0, 3.0, -9.0])) == pytest.approx(
        [0.5 * math.erfc(x / math.sqrt(2)) for x in (1.96, 0.0, -3.0, 9.0)], rel=1e-12
    )


def test_a_price_below_intrinsic_value_has_no_volatility():
    found = black76.implied(
        np.array([9_999.0, 100_001.0]), np.array([100_000.0] * 2), np.array([90_000.0] * 2),
        years=np.array([0.1] * 2), sign=np.ones(2), guess=np.ones(2),
    )  # fmt: skip

    assert np.isnan(found).all()


@pytest.mark.parametrize("form", surface.FORMS)
def test_marks_of_trades_are_what_the_truth_says(form):
    """Both kinds of market agree with their own surface, and not with the other's."""
    market = Market(7, NOW, surface=form, option_activity=0.03)
    start = milliseconds("2025-03-03T08:00")
    trades = market.option_trades("ETH", start, start + DAY_MS)
    tape = market.world.options
    chain = tape.chain("ETH")
    rows = np.array([chain.rows[name] for name in trades["instrument_name"]])
    ms = trades["timestamp"].to_numpy()
    day, hours = tape.underlying(BY_NAME["ETH"], (start - EPOCH_MS) // DAY_MS)
    forward = np.exp(day.log_forward_at(ms, chain.expiration_ms[rows], chain.on_index[rows]))
    marks = {
        each: surface.fair(
            each,
            surface.at(hours, start, ms),
            forward=forward,
            strike=chain.strike[rows],
            years=(chain.expiration_ms[rows] - ms) / black76.YEAR_MS,
            sign=chain.sign[rows],
        )[0]
        / forward
        for each in surface.FORMS
    }
    other = next(each for each in surface.FORMS if each != form)

    assert trades["iv"].is_not_null().mean() > 0.95
    assert trades["mark_price"].to_numpy() == pytest.approx(marks[form], abs=2e-7)
    assert np.abs(trades["mark_price"].to_numpy() - marks[other]).max() > 1e-3
