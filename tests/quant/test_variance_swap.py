"""Variance swaps from listed strikes, and at thirty days between expiries."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from quant.kernels import black76
from quant.variance_swap import (
    FEWEST_STRIKES,
    MATURITY,
    MATURITY_STATUSES,
    STATUSES,
    at_maturity,
    variance_swaps,
)

TENOR = 40 / 365


def flat(k):
    return np.full_like(np.asarray(k, dtype=float), 0.6)


def skewed(k):
    """SSVI (Gatheral and Jacquier): theta 0.04, rho -0.4, phi 2."""
    theta, rho, phi = 0.04, -0.4, 2.0
    w = theta / 2 * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))
    return np.sqrt(w / TENOR)


def premium(x, smile, is_call):
    """Price over the forward at a moneyness."""
    n = np.ones_like(x)
    return black76.price(n, x, TENOR * n, smile(np.log(x)), is_call)


def listed(x, smile=flat, is_call=None):
    """Fair variance from options out of the money at strikes, of one expiry."""
    x = np.asarray(x, dtype=float)
    is_call = x > 1.0 if is_call is None else is_call
    of_slice = np.zeros(x.shape[0], np.int64)
    return variance_swaps(of_slice, x, premium(x, smile, is_call), is_call, np.array([TENOR]))


def log_contract(smile):
    """Twice the integral of out-of-the-money prices over squared strikes, with scipy alone."""

    def integrand(k):
        stdev = float(smile(np.array(k))) * TENOR**0.5
        d1 = -k / stdev + stdev / 2
        sign = 1.0 if k > 0 else -1.0
        price = sign * (norm.cdf(sign * d1) - np.exp(k) * norm.cdf(sign * (d1 - stdev)))
        return 2 * price * np.exp(-k)

    return quad(integrand, -5.0, 0.0)[0] + quad(integrand, 0.0, 5.0)[0]


@pytest.mark.parametrize("smile", [flat, skewed])
def test_dense_strikes_pay_the_log_contract(smile):
    swap = listed(np.exp(np.arange(-3.0, 3.0, 0.002)), smile)

    assert swap.total_variance[0] == pytest.approx(log_contract(smile), rel=1e-4)
    assert swap.truncation[0] < 1e-6
    assert STATUSES[swap.status[0]] == "ok"


def test_one_volatility_is_its_own_variance_swap():
    swap = listed(np.exp(np.arange(-2.0, 2.0, 0.002)))

    assert swap.iv[0] == pytest.approx(0.6, abs=1e-5)
    assert swap.total_variance[0] == pytest.approx(0.36 * TENOR, rel=5e-5)


@pytest.mark.parametrize("ends", [(-0.3, 0.3), (-0.1, 0.4), (-0.5, 0.15)])
def test_what_missing_wings_lose_is_what_strikes_beyond_would_pay(ends):
    swap = listed(np.exp(np.arange(*ends, 0.002)))

    assert swap.truncation[0] > 1e-4
    total = swap.total_variance[0] + swap.truncation[0]
    assert total == pytest.approx(0.36 * TENOR, rel=2e-4)


def test_in_a_smile_the_loss_is_an_estimate_from_below():
    whole, part = (listed(np.exp(np.arange(-x, x, 0.002)), skewed) for x in (3.0, 0.5))

    lost = whole.total_variance[0] - part.total_variance[0]
    assert 0.5 * lost < part.truncation[0] < lost


def test_the_sum_is_that_of_the_published_formula():
    """Strike by strike, as Cboe's paper adds them up."""
    x = np.array([0.7, 0.8, 0.9, 0.98, 1.1, 1.25, 1.5])
    put, call = (premium(x, flat, np.full(7, side)) for side in (False, True))
    q = np.array([*put[:3], (put[3] + call[3]) / 2, *call[4:]])
    width = np.array([0.1, 0.1, 0.09, 0.1, 0.135, 0.2, 0.25])
    expected = 2 * (width * q / x**2).sum() - (1 / 0.98 - 1) ** 2

    assert listed(x).total_variance[0] == pytest.approx(expected, rel=1e-12)


def test_options_in_the_money_count_by_parity_and_both_of_a_strike_once():
    x = np.exp(np.linspace(-0.5, 0.5, 21))
    out = listed(x)

    calls = listed(x, is_call=np.ones(21, np.bool_))
    both = listed(np.tile(x, 2), is_call=np.repeat([True, False], 21))

    assert calls.total_variance == pytest.approx(out.total_variance)
    assert both.total_variance == pytest.approx(out.total_variance)
    assert both.strikes[0] == calls.strikes[0] == 21


def test_expiries_are_apart_and_rows_come_in_any_order():
    x = np.exp(np.linspace(-0.5, 0.5, 21))
    price = np.concatenate([premium(x, flat, x > 1.0), premium(x, skewed, x > 1.0)])
    order = np.random.default_rng(0).permutation(42)
    of_slice, tenors = np.repeat([0, 1], 21)[order], np.full(2, TENOR)
    columns = (np.tile(x, 2)[order], price[order], np.tile(x > 1.0, 2)[order])

    swaps = variance_swaps(of_slice, *columns, tenors)

    assert swaps.total_variance[0] == pytest.approx(listed(x).total_variance[0])
    assert swaps.total_variance[1] == pytest.approx(listed(x, skewed).total_variance[0])


@pytest.mark.parametrize(
    ("x", "tenor", "word"),
    [
        (np.linspace(0.8, 1.2, FEWEST_STRIKES - 1), TENOR, "few_strikes"),
        (np.linspace(1.01, 1.2, 9), TENOR, "no_puts"),
        (np.linspace(0.8, 1.0, 9), TENOR, "no_calls"),
        (np.linspace(0.8, 1.2, 9), 0.0, "bad_input"),
        (np.linspace(0.8, 1.2, 9), np.nan, "bad_input"),
        (np.empty(0), TENOR, "few_strikes"),
    ],
)
def test_an_expiry_without_variance_says_why(x, tenor, word):
    price = premium(x, flat, x > 1.0)
    swap = variance_swaps(np.zeros(len(x), np.int64), x, price, x > 1.0, np.array([tenor]))

    assert STATUSES[swap.status[0]] == word
    assert np.isnan([swap.total_variance[0], swap.truncation[0], swap.iv[0]]).all()


def test_strikes_too_far_apart_near_the_forward_are_too_few():
    dense = listed(np.exp(np.arange(-0.6, 0.61, 0.05)))
    sparse = listed([0.4, 0.6, 0.8, 1.0, 1.25, 1.6])
    split = listed([0.5, 0.6, 0.8, 0.82, 0.84, 1.16, 1.18, 1.2])

    assert dense.iv[0] == pytest.approx(0.6, rel=5e-3)
    words = [STATUSES[each.status[0]] for each in (dense, sparse, split)]
    assert words == ["ok", "few_strikes", "few_strikes"]
    assert np.isnan([sparse.iv[0], split.total_variance[0], split.truncation[0]]).all()


def test_thirty_days_lie_between_the_nearest_expiries_in_total_variance():
    tenor = np.array([60.0, 10.0, 23.0, 37.0]) / 365
    total = np.array([0.9, 0.1, 0.25, 0.35]) * MATURITY

    found = at_maturity(np.zeros(4, np.int64), tenor, total)

    assert found.iv[0] == pytest.approx(np.sqrt(0.30))
    assert (found.shorter[0], found.longer[0]) == (2, 3)


def test_an_expiry_at_the_maturity_needs_no_other():
    found = at_maturity(np.zeros(1, np.int64), np.array([MATURITY]), np.array([0.25 * MATURITY]))

    assert found.iv[0] == pytest.approx(0.5)


def test_an_instant_without_expiries_on_both_sides_says_why():
    days = np.array([20.0, 25.0, 40.0, 50.0, 20.0, 40.0, 20.0, 40.0])
    group = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    total = np.full(8, 0.03)
    total[[4, 5, 7]] = np.nan

    found = at_maturity(group, days / 365, total)

    words = [MATURITY_STATUSES[code] for code in found.status]
    assert words == ["no_longer_expiry", "no_shorter_expiry", "no_expiry", "no_longer_expiry"]
    assert np.isnan(found.iv).all()
    assert found.shorter.tolist() == [1, -1, -1, 6]
    assert found.longer.tolist() == [-1, 2, -1, -1]


def test_no_expiries_at_all_are_no_error():
    nothing = np.empty(0)
    swaps = variance_swaps(np.empty(0, np.int64), nothing, nothing, np.empty(0, np.bool_), nothing)

    assert swaps.iv.shape == (0,)
    assert at_maturity(np.empty(0, np.int64), nothing, nothing).iv.shape == (0,)


def test_an_option_of_an_unknown_expiry_is_refused():
    x = np.linspace(0.8, 1.2, 9)
    with pytest.raises(ValueError, match="of_slice"):
        variance_swaps(np.ones(9, np.int64), x, x, x > 1.0, np.array([TENOR]))
    with pytest.raises(ValueError, match="finite"):
        variance_swaps(np.zeros(9, np.int64), x, x * np.nan, x > 1.0, np.array([TENOR]))
