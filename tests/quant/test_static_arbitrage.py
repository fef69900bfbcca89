"""Static arbitrage among calls: every violation is found and has its kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.kernels.minorant import ORIGIN, minorants
from quant.static_arbitrage import violations, worst_excess
from tests.quant.calls import BROKEN, STRIKES, every_bound, smile


def test_prices_of_one_volatility_skew_violate_nothing():
    chain = smile(4, 9)

    assert violations(*chain).total == 0
    assert worst_excess(*chain) == 0.0


@pytest.mark.parametrize(
    ("name", "kind", "worst"),
    [
        ("butterfly", "vertical_butterfly", 0.01),
        ("spread", "vertical_spread", 0.01),
        ("dear", "vertical_spread", 0.05),  # 0.9 in the money by 0.1 costs 0.05
    ],
)
def test_a_violation_is_counted_under_its_kind(name, kind, worst):
    found = violations(np.zeros(3, np.int64), STRIKES, np.array(BROKEN[name]))

    assert found.count[kind] > 0
    assert found.worst[kind] == pytest.approx(worst)
    assert found.total == sum(found.count.values())


@pytest.mark.parametrize(
    ("strike", "price", "kind"),
    [
        (1.0, 0.09, "calendar_spread"),
        (0.98, 0.10, "calendar_vertical_spread"),
        (1.02, 0.04, "calendar_butterfly"),
    ],
)
def test_a_later_option_that_is_too_cheap_is_counted_under_its_kind(strike, price, kind):
    chain = np.array([0, 1]), np.array([1.0, strike]), np.array([0.11, price])

    found = violations(*chain)

    assert found.count[kind] == 1
    assert found.worst[kind] == pytest.approx(every_bound(*chain), abs=1e-12)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), expiries=st.integers(1, 4), strikes=st.integers(1, 6))
def test_the_largest_failure_is_that_of_every_pair(seed, expiries, strikes):
    chain = smile(expiries, strikes, noise=0.3, seed=seed)

    assert worst_excess(*chain) == pytest.approx(every_bound(*chain), abs=1e-12)
    most, left, right = minorants(*chain)
    assert (most <= chain[2]).all()
    assert (left <= len(most)).all()
    assert (right <= len(most)).all()


def test_a_curve_is_straight_between_its_corners_and_flat_after_the_last():
    moneyness = np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    price = np.array([0.25, 0.18, 0.10, 0.07, 0.08])

    most, left, right = minorants(np.zeros(5, np.int64), moneyness, price)

    assert most == pytest.approx([0.25, 0.175, 0.10, 0.07, 0.07])
    assert left.tolist() == [0, 0, 2, 3, 3]
    assert right.tolist() == [2, 2, 3, 3, 3]


def test_the_call_of_strike_zero_is_worth_the_forward():
    most, left, right = minorants(np.zeros(2, np.int64), np.array([0.5, 1.0]), np.array([0.8, 0.1]))

    assert most == pytest.approx([0.55, 0.1])
    assert (left[0], right[0]) == (ORIGIN, 1)
