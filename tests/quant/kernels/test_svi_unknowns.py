"""The numbers SVI is searched in: there and back, and the derivatives by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.kernels.levenberg import damped_step
from quant.kernels.svi_unknowns import (
    UNKNOWNS,
    raw_of,
    unknowns_of,
    variance_and_gradient,
    wings_of,
    wings_of_raw,
)

numbers = st.tuples(
    st.floats(-6.0, 6.0),
    st.floats(-6.0, 6.0),
    st.floats(-8.0, 0.0),
    st.floats(-1.0, 1.0),
    st.floats(-4.0, 2.0),
)


@given(numbers)
def test_any_numbers_are_a_slice_that_is_positive_and_no_steeper_than_two(numbers):
    a, b, rho, _, sigma = raw_of(wings_of(np.array(numbers)))

    assert b * (1 + abs(rho)) < 2.0
    assert a + b * sigma * np.sqrt(1 - rho**2) > 0.0


@given(numbers)
def test_numbers_come_back_from_their_slice(numbers):
    x = np.empty(UNKNOWNS)
    unknowns_of(wings_of(np.array(numbers)), x)

    assert x == pytest.approx(numbers, abs=1e-9)


@given(numbers)
def test_wings_come_back_from_the_raw_numbers(numbers):
    wings = wings_of(np.array(numbers))

    # what cancels is as large as the height of the bend over the smallest variance
    slack = 1e-13 * (1 + wings[4] * np.sqrt(wings[0] * wings[1]) / wings[2])
    assert wings_of_raw(raw_of(wings)) == pytest.approx(wings, rel=1e-9 + slack, abs=1e-12)


@given(numbers, st.floats(-2.0, 2.0))
def test_the_gradient_is_the_change_with_each_number(numbers, k):
    x, step = np.array(numbers), 1e-5
    w, gradient = variance_and_gradient(wings_of(x), k)
    a, b, rho, m, sigma = raw_of(wings_of(x))

    assert w == pytest.approx(a + b * (rho * (k - m) + np.hypot(k - m, sigma)), rel=1e-9, abs=1e-12)
    for i in range(UNKNOWNS):
        up, down = (
            variance_and_gradient(wings_of(x + d), k)[0] for d in np.eye(5)[i] * [[step], [-step]]
        )
        assert gradient[i] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)


def test_a_damped_step_solves_its_equations():
    random = np.random.default_rng(0)
    jacobian = random.normal(size=(20, 5))
    normal, gradient = jacobian.T @ jacobian, random.normal(size=5)
    step = np.empty(5)

    assert damped_step(normal, gradient, 0.1, step)
    expected = np.linalg.solve(normal + 0.1 * np.diag(np.diag(normal)), -gradient)
    assert step == pytest.approx(expected, rel=1e-12)


def test_a_step_of_equations_that_contradict_each_other_is_refused():
    assert not damped_step(-np.eye(5), np.ones(5), 0.0, np.empty(5))
