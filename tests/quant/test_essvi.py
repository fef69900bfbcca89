"""The eSSVI smile, its derivatives, and Mingone's parameters of whole surfaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.arbitrage import butterflies, calendars
from quant.essvi import (
    derivatives,
    from_global,
    iv_error,
    sensitivities,
    to_global,
    to_raw_svi,
    total_variance,
)
from tests.quant.surfaces import TENORS, drawn, typical

K = np.linspace(-1.5, 1.5, 31)
rhos = st.floats(-0.95, 0.95)
thetas = st.floats(1e-5, 2.0)
psis = st.floats(1e-4, 3.0)


@given(theta=thetas, rho=rhos, psi=psis)
def test_total_variance_is_the_published_formula(theta, rho, psi):
    phi = psi / theta
    published = theta / 2 * (1 + rho * phi * K + np.sqrt((phi * K + rho) ** 2 + 1 - rho**2))

    assert total_variance(K, theta, rho, psi) == pytest.approx(published, rel=1e-12)


@given(theta=thetas, rho=rhos, psi=psis)
def test_raw_svi_is_the_same_smile(theta, rho, psi):
    a, b, r, m, sigma = to_raw_svi(*(np.array([x]) for x in (theta, rho, psi)))[0]
    raw = a + b * (r * (K - m) + np.sqrt((K - m) ** 2 + sigma**2))

    assert raw == pytest.approx(total_variance(K, theta, rho, psi), rel=1e-9)


@given(theta=st.floats(1e-2, 2.0), rho=rhos, psi=psis)
def test_derivatives_are_those_of_differences(theta, rho, psi):
    h = 1e-4 * theta / psi
    low, high = total_variance(K - h, theta, rho, psi), total_variance(K + h, theta, rho, psi)
    (first_low, _), (first_high, _) = (derivatives(K + x, theta, rho, psi) for x in (-h, h))
    first, second = derivatives(K, theta, rho, psi)

    assert first == pytest.approx((high - low) / (2 * h), rel=1e-6, abs=1e-7 * psi)
    assert second == pytest.approx((first_high - first_low) / (2 * h), rel=1e-5, abs=1e-8 * psi / h)


@given(theta=st.floats(1e-2, 2.0), rho=st.floats(-0.9, 0.9), psi=st.floats(1e-2, 3.0))
def test_sensitivities_are_those_of_differences(theta, rho, psi):
    point, h = np.array([theta, rho, psi]), 1e-6
    found = sensitivities(K, *point)

    for i in range(3):
        step = np.where(np.arange(3) == i, h * point[i] + (h if i == 1 else 0), 0.0)
        moved = total_variance(K, *(point + step)) - total_variance(K, *(point - step))
        assert found[:, i] == pytest.approx(moved / (2 * step[i]), rel=1e-5, abs=1e-6)


def test_the_error_of_a_volatility_at_the_money_is_that_of_theta():
    theta, tenor = np.array([0.04]), np.array([0.25])
    covariance = np.diag([1e-6, 0.01, 0.01])[None]

    found = iv_error(
        np.array([0.0]), tenor, theta, np.array([-0.2]), np.array([0.3]), covariance=covariance
    )

    assert found == pytest.approx(1e-3 / (2 * 0.4 * 0.25))  # d(iv) = d(theta) / (2 iv tenor)


@pytest.mark.parametrize("seed", range(40))
def test_any_global_parameters_give_a_surface_without_arbitrage(seed):
    rng = np.random.default_rng(seed)
    surfaces = [drawn(rng, slices=rng.integers(2, 20)) for _ in range(25)]
    svi = np.concatenate([to_raw_svi(*surface) for surface in surfaces])
    number = np.repeat(np.arange(25), [len(surface[0]) for surface in surfaces])

    assert butterflies(svi).violations == 0
    assert calendars(svi, number).violations == 0


@given(st.integers(0, 10_000))
def test_global_parameters_lead_back_to_themselves(seed):
    rng = np.random.default_rng(seed)
    rho, a, c = rng.uniform(-0.9, 0.9, 8), rng.exponential(0.02, 7), rng.uniform(0.05, 0.95, 8)

    first, found_a, found_c = to_global(*from_global(rho, 0.01, a, c))

    assert first == 0.01
    assert found_a == pytest.approx(a, rel=1e-6, abs=1e-10)
    assert found_c == pytest.approx(c, abs=1e-6)


@given(st.integers(0, 10_000))
def test_global_parameters_and_the_cone_are_the_same_surfaces(seed):
    """u and v do not fall, phi does not rise, no butterfly: exactly where a >= 0 and 0 < c < 1."""
    rng = np.random.default_rng(seed)
    theta = np.cumsum(rng.exponential(0.02, 4))
    rho, psi = rng.uniform(-0.3, 0.3, 4), np.sqrt(theta) * rng.uniform(0.7, 1.1, 4)
    u, v, phi = psi * (1 + rho), psi * (1 - rho), psi / theta
    in_cone = (
        (np.diff(u) >= 0).all() & (np.diff(v) >= 0).all() & (np.diff(phi) <= 0).all()
        & (np.maximum(u, v) < 4).all() & (phi * np.maximum(u, v) <= 4).all()
    )  # fmt: skip

    _, a, c = to_global(theta, rho, psi)

    assert in_cone == ((a >= 0).all() & (c >= 0).all() & (c <= 1).all())


def test_a_surface_that_crosses_has_parameters_out_of_range():
    theta, rho, psi = typical()
    theta[5] = theta[7]

    _, a, _ = to_global(theta, rho, psi)

    assert len(TENORS) == 15
    assert (a < 0).any()
