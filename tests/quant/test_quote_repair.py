"""Static arbitrage among quotes: found, counted, and moved away at the least cost."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from quant.kernels.minorant import ORIGIN
from quant.quote_repair import repaired
from quant.static_arbitrage import TOLERANCE
from tests.quant.calls import BROKEN, STRIKES, every_bound, smile


def mended(expiry, moneyness, price, half_spread):
    calls = np.ones(price.shape[0], np.bool_)
    return repaired(expiry, moneyness, price - half_spread, price + half_spread, calls)


def test_prices_of_one_volatility_skew_are_left_alone():
    chain = smile(4, 9)

    repair = mended(*chain, 1e-3)

    assert repair.before.total == 0
    assert not repair.is_moved.any()
    assert (repair.status, repair.rounds) == ("ok", 1)


def test_the_quote_with_the_wide_spread_gives_way():
    spreads = np.array([0.001, 0.02, 0.001])

    repair = mended(np.zeros(3, np.int64), STRIKES, np.array(BROKEN["butterfly"]), spreads)

    assert repair.price == pytest.approx([0.15, 0.10, 0.05])
    assert repair.is_moved.tolist() == [False, True, False]
    assert not repair.is_outside.any()
    assert repair.worst_before == pytest.approx(0.01)
    assert repair.worst_after <= TOLERANCE


def test_a_move_beyond_the_spread_is_reported():
    repair = mended(np.zeros(3, np.int64), STRIKES, np.array(BROKEN["butterfly"]), np.full(3, 1e-3))

    assert repair.is_outside.any()
    assert repair.worst_after <= TOLERANCE


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    expiries=st.integers(1, 4),
    strikes=st.integers(1, 8),
    noise=st.sampled_from([0.01, 0.1, 0.5]),
    half_spread=st.sampled_from([0.0, 1e-4, 1e-2]),
)
def test_no_arbitrage_is_left_whatever_the_noise(seed, expiries, strikes, noise, half_spread):
    expiry, moneyness, price = smile(expiries, strikes, noise=noise, seed=seed)

    repair = mended(expiry, moneyness, price, half_spread)

    assert repair.status == "ok"
    assert repair.after.total == 0
    assert every_bound(expiry, moneyness, repair.price) <= 2 * TOLERANCE


@pytest.mark.parametrize("seed", range(5))
def test_bounds_added_as_they_break_cost_what_all_bounds_at_once_cost(seed):
    expiry, moneyness, price = smile(3, 4, noise=0.3, seed=seed)
    half = 0.02

    repair = mended(expiry, moneyness, price, half)
    moves = np.abs(repair.moved) / half
    paid = (np.minimum(moves, 1.0) / 12 + np.maximum(moves - 1.0, 0.0)).sum()

    assert repair.before.total > 0
    assert paid == pytest.approx(cost_with_every_bound(expiry, moneyness, price, half), rel=1e-6)


def cost_with_every_bound(expiry, moneyness, price, half):
    """The same programme with the price and the cost of each call for unknowns."""
    n = price.shape[0]
    rows, limits = [], []

    def at_most(coefficients, limit):
        rows.append(np.zeros(2 * n))
        for i, value in coefficients:
            rows[-1][i] += value
        limits.append(limit)

    for i in range(n):
        near, far = 1 / (n * half), 1 / half
        for slope, shift in ((near, 0.0), (-near, 0.0), (far, 1 - 1 / n), (-far, 1 - 1 / n)):
            at_most([(i, slope), (n + i, -1.0)], slope * price[i] + shift)
        later = [j for j in range(n) if expiry[j] >= expiry[i] and j != i]
        for j in later:
            if moneyness[j] <= moneyness[i]:
                at_most([(i, 1.0), (j, -1.0)], 0.0)
        for j, k in itertools.product([*later, ORIGIN], later):
            x = 0.0 if j == ORIGIN else moneyness[j]
            if x < moneyness[i] < moneyness[k]:
                share = (moneyness[i] - x) / (moneyness[k] - x)
                left = [] if j == ORIGIN else [(j, share - 1.0)]
                at_most([(i, 1.0), *left, (k, -share)], (1.0 - share) * (j == ORIGIN))
    prices = [(max(1.0 - x, 0.0), 1.0) for x in moneyness]
    cost = np.concatenate([np.zeros(n), np.ones(n)])
    return linprog(cost, rows, limits, bounds=[*prices, *[(0.0, None)] * n]).fun


def test_put_and_call_of_a_strike_become_one_price():
    expiry, moneyness = np.zeros(2, np.int64), np.array([0.95, 0.95])
    bid, ask = np.array([0.100, 0.052]), np.array([0.104, 0.053])  # the put says 0.102 to 0.103

    repair = repaired(expiry, moneyness, bid, ask, np.array([True, False]))

    assert repair.price == pytest.approx([0.1025, 0.0525])
    assert repair.moved == pytest.approx([0.0005, 0.0])
    assert repair.parity == 0


def test_put_and_call_whose_spreads_do_not_overlap_are_counted_and_meet_between_them():
    expiry, moneyness = np.zeros(2, np.int64), np.array([0.95, 0.95])
    bid, ask = np.array([0.100, 0.056]), np.array([0.104, 0.058])

    repair = repaired(expiry, moneyness, bid, ask, np.array([True, False]))

    assert repair.parity == 1
    assert repair.price[0] - repair.price[1] == pytest.approx(0.05)
    assert 0.104 <= repair.price[0] <= 0.106


def test_quotes_far_out_of_the_money_are_mended_to_a_hundredth_of_the_smallest_step():
    moneyness = np.array([0.9, 1.0, 1.5, 2.0, 2.5])
    price = np.array([0.12, 0.06, 3e-5, 4e-5, 1e-5])

    repair = mended(np.zeros(5, np.int64), moneyness, price, np.full(5, 2e-5))

    assert repair.before.total > 0
    assert repair.worst_after <= TOLERANCE
    assert np.abs(repair.moved).max() <= 2e-5 + 1e-12


def test_the_order_of_quotes_does_not_matter():
    expiry, moneyness, price = smile(3, 6, noise=0.2, seed=3)
    order = np.random.default_rng(1).permutation(price.shape[0])

    repair = mended(expiry, moneyness, price, 0.01)
    shuffled = mended(expiry[order], moneyness[order], price[order], 0.01)

    assert shuffled.price == pytest.approx(repair.price[order], abs=1e-12)


def test_no_quotes_are_no_error():
    nothing = np.empty(0)
    repair = repaired(np.empty(0, np.int64), nothing, nothing, nothing, np.empty(0, np.bool_))

    assert repair.status == "no_quotes"
    assert repair.before.total == 0
    assert repair.price.shape == (0,)


def test_a_price_that_is_no_number_is_refused():
    bad = np.array([np.nan, 0.1, 0.05])
    with pytest.raises(ValueError, match="finite"):
        mended(np.zeros(3, np.int64), STRIKES, bad, 0.01)
