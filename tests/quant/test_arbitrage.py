"""Checks of butterflies and calendars, on slices whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.arbitrage import butterflies, calendars
from quant.essvi import to_raw_svi
from tests.quant.surfaces import typical

VOGT = [-0.0410, 0.1331, 0.3060, 0.3586, 0.4153]  # Gatheral and Jacquier (2014), example 3.1
FLAT = [0.04, 0.0, 0.0, 0.0, 0.1]
ONE = np.zeros(2, dtype=np.int64)


def plain_g(slice_, k):
    """Durrleman's condition written down once more."""
    a, b, rho, m, sigma = slice_
    root = np.sqrt((k - m) ** 2 + sigma**2)
    w, first = a + b * (rho * (k - m) + root), b * (rho + (k - m) / root)
    second = b * sigma**2 / root**3
    return (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2


def test_the_vogt_slice_is_reported_with_its_worst_density():
    found = butterflies(np.array([VOGT]))

    assert found.is_violated.tolist() == [True]
    assert found.worst[0] == pytest.approx(-0.032863573453623, abs=1e-14)
    assert found.log_moneyness[0] == pytest.approx(0.879262541622, abs=1e-7)
    assert found.worst_row == 0


@given(
    b=st.floats(1e-4, 1.0), rho=st.floats(-0.99, 0.99), m=st.floats(-0.5, 0.5),
    sigma=st.floats(1e-3, 1.0), lift=st.floats(1e-4, 1.0),
)  # fmt: skip
def test_no_point_of_a_fine_grid_lies_below_the_least_density(b, rho, m, sigma, lift):
    slice_ = [lift * b * sigma - b * sigma * np.sqrt(1 - rho**2), b, rho, m, sigma]
    k = m + sigma * np.sinh(np.linspace(-8, 8, 20_001))

    found = butterflies(np.array([slice_])).worst[0]

    assert found <= plain_g(slice_, k).min() + 1e-9


def test_a_slice_with_negative_variance_admits_arbitrage():
    assert butterflies(np.array([[-0.1, 0.1, 0.0, 0.0, 0.5]])).worst[0] == -np.inf


def test_wings_steeper_than_two_violate_lees_bound():
    found = butterflies(np.array([[0.04, 1.2, 0.7, 0.0, 0.3]]))

    assert found.slope[0] == pytest.approx(2 - 1.2 * 1.7)
    assert found.is_violated[0]


def test_a_flat_slice_has_the_density_of_a_lognormal():
    found = butterflies(np.array([FLAT]))

    assert found.violations == 0
    assert found.slope[0] == 2.0


def test_a_market_like_surface_passes_both_checks():
    svi = to_raw_svi(*typical())
    surface = np.zeros(len(svi), dtype=np.int64)

    assert butterflies(svi).violations == 0
    assert calendars(svi, surface).violations == 0


def test_a_crossing_is_found_where_it_is_worst():
    low, high = [0.04, 0.1, 0.0, 0.0, 0.1], [0.05, 0.1, 0.0, 0.0, 0.05]

    found = calendars(np.array([low, high]), ONE)
    lower = calendars(np.array([high, low]), ONE)

    assert found.worst[1] == pytest.approx(0.005)  # at k = 0: 0.055 against 0.05
    assert found.log_moneyness[1] == pytest.approx(0.0, abs=1e-6)
    assert lower.worst[1] == pytest.approx(-0.01, abs=1e-4)  # far out, where both have one slope
    assert lower.is_violated.tolist() == [False, True]


def test_slices_that_cross_only_far_out_are_told_by_their_slopes():
    near, far = [0.01, 0.1001, 0.0, 0.0, 0.1], [5.0, 0.1, 0.0, 0.0, 0.1]

    found = calendars(np.array([near, far]), ONE)

    assert found.slope[1] == pytest.approx(-1e-4)
    assert found.is_violated[1]


def test_slices_without_a_fit_are_passed_over():
    svi = to_raw_svi(*typical())
    svi[[3, 4]] = np.nan
    surface = np.zeros(len(svi), dtype=np.int64)

    found = calendars(svi, surface)

    assert np.flatnonzero(np.isnan(found.worst)).tolist() == [0, 3, 4]
    assert np.flatnonzero(np.isnan(butterflies(svi).worst)).tolist() == [3, 4]


def test_surfaces_are_not_held_against_each_other():
    svi = to_raw_svi(*typical())
    both, surface = np.concatenate([svi, svi]), np.repeat([0, 1], len(svi))

    assert calendars(both, surface).violations == 0
    assert calendars(both, np.zeros(len(both), dtype=np.int64)).violations == 1


def test_no_slice_has_no_worst_one():
    nothing = butterflies(np.empty((0, 5)))

    assert (nothing.violations, nothing.worst_row) == (0, None)


@pytest.mark.parametrize(
    ("svi", "surface", "message"),
    [
        (
            np.zeros((2, 4)),
            ONE,
            r"svi: expected float64 of shape \(n, 5\), got float64 of \(2, 4\)",
        ),
        (np.zeros((3, 5)), ONE, r"surface: expected int64 of shape \(3,\), got int64 of \(2,\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(svi, surface, message):
    with pytest.raises(ValueError, match=message):
        calendars(svi, surface)
