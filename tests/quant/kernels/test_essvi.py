"""The kernels of the calibration: slopes by differences, and the cone by its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from quant.essvi import total_variance
from quant.kernels.essvi import misfit, slice_of, to_cone
from quant.kernels.essvi_cone import LN_4, SIDES, changes, into_cone, longest, move, slacks

TENOR = 0.1
POINT = np.array([1.2, -1.4, -1.1])  # ln phi, ln u, ln v
RNG = np.random.default_rng(8)
K = RNG.uniform(-0.5, 0.5, 40)
WEIGHT, PRECISION = RNG.uniform(0.2, 1.0, 40), RNG.uniform(20.0, 200.0, 40)
IV = 0.9 + 0.02 * RNG.standard_normal(40)


@njit
def objective(x, is_near, iv):
    theta, tilt, psi = slice_of(x[0], x[1], x[2])
    sums, gradient, curvature = np.empty(10), np.empty(3), np.empty((3, 3))
    misfit(K, iv, PRECISION, WEIGHT, TENOR, theta, tilt, psi, is_near, sums)
    to_cone(sums, theta, tilt, psi, gradient, curvature)
    return sums[0], gradient, curvature


@njit
def distances(x, floor):
    slack = np.empty((x.shape[0], SIDES))
    slacks(x, floor, slack)
    return slack


@njit
def moved(x, dx, floor):
    slack, new_slack = np.empty((x.shape[0], SIDES)), np.empty((x.shape[0], SIDES))
    change, new_x = np.empty((x.shape[0], SIDES)), np.empty(x.shape)
    slacks(x, floor, slack)
    changes(dx, change)
    length = longest(slack, change)
    move(x, dx, length, slack, floor, new_x, new_slack)
    return length, new_x, new_slack, slack + length * change


def inside(rng, n):
    """A point of the cone, and a step from it."""
    x = np.cumsum(rng.exponential([0.3, 0.2, 0.2], (n, 3)), axis=0) * [-1, 1, 1]
    x += [2.0, -5.0, -5.0]
    into_cone(x, -9.0, 1e-3)
    return x, rng.standard_normal((n, 3))


def test_the_misfit_is_soft_l1_of_residuals_in_errors():
    phi, u, v = np.exp(POINT)
    theta, rho, psi = (u + v) / (2 * phi), (u - v) / (u + v), (u + v) / 2
    r = (np.sqrt(total_variance(K, theta, rho, psi) / TENOR) - IV) * PRECISION

    value, _, _ = objective(POINT, False, IV)

    assert value == pytest.approx((WEIGHT * (np.sqrt(1 + r * r) - 1)).sum(), rel=1e-12)


def test_the_gradient_is_that_of_differences():
    _, gradient, _ = objective(POINT, False, IV)

    for i in range(3):
        step = np.where(np.arange(3) == i, 1e-6, 0.0)
        rise = objective(POINT + step, False, IV)[0] - objective(POINT - step, False, IV)[0]
        assert gradient[i] == pytest.approx(rise / 2e-6, rel=1e-6)


def test_the_curvature_near_the_optimum_is_that_of_differences():
    """Where the model is exact, what Gauss and Newton leave out is nothing."""
    phi, u, v = np.exp(POINT)
    exact = np.sqrt(total_variance(K, (u + v) / (2 * phi), (u - v) / (u + v), (u + v) / 2) / TENOR)
    steps = 1e-6 * np.eye(3)
    found = [
        (objective(POINT + step, True, exact)[1] - objective(POINT - step, True, exact)[1]) / 2e-6
        for step in steps
    ]

    _, _, curvature = objective(POINT, True, exact)

    assert curvature == pytest.approx(np.array(found), rel=1e-5)
    assert curvature == pytest.approx(curvature.T)


def test_the_parabola_from_afar_bends_more_than_the_loss():
    near, far = objective(POINT, True, IV)[2], objective(POINT, False, IV)[2]

    assert (np.linalg.eigvalsh(far - near) > 0).all()


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_any_point_is_moved_inside_the_cone(seed, n):
    x = np.random.default_rng(seed).normal([1.0, -2.0, -2.0], 3.0, (n, 3))

    into_cone(x, -9.0, 1e-3)

    assert distances(x, -9.0).min() > 0
    phi, u, v = np.exp(x.T)
    assert (np.diff(phi) <= 0).all()
    assert (np.diff(u) >= 0).all()
    assert (np.diff(v) >= 0).all()
    assert np.maximum(x[:, 1], x[:, 2]).max() < LN_4
    assert (phi * np.maximum(u, v) <= 4).all()


@given(st.integers(0, 10_000), st.integers(1, 20), st.floats(1e-3, 10.0))
def test_no_step_leaves_the_cone(seed, n, size):
    x, dx = inside(np.random.default_rng(seed), n)

    length, new_x, slack, _ = moved(x, size * dx, -9.0)

    assert 0 < length <= 1
    assert slack.min() > 0
    assert distances(new_x, -9.0) == pytest.approx(slack)


def test_the_changes_of_distances_are_those_of_the_logarithms():
    x, dx = inside(np.random.default_rng(3), 6)
    small = 1e-7 * dx

    length, _, slack, predicted = moved(x, small, -9.0)

    assert length == 1.0
    assert slack == pytest.approx(predicted, abs=1e-11)


def test_a_flat_smile_moves_along_its_valley():
    """Less of u and v at the same u - v: straight in them, bent in logarithms."""
    x = np.array([[0.0, np.log(2e-3), np.log(1e-3)]])
    dx = np.array([[-0.5, -0.25, -0.5]])

    _, new_x, _, _ = moved(x, dx, -12.0)

    _, u, v = np.exp(new_x[0])
    assert u - v == pytest.approx(1e-3, rel=1e-12)
