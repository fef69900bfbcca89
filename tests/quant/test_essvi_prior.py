"""What the surface of an hour ago says of now, and how it fades."""

import numpy as np
import pytest

from quant.essvi_fit import FEW_QUOTES, fit
from quant.essvi_prior import Prior, carried, pull
from tests.quant.surfaces import TENORS, noisy, quotes_of, some, typical

ALL = np.arange(15)


@pytest.fixture(scope="module")
def earlier():
    return fit(noisy(quotes_of(typical()), np.random.default_rng(4)), TENORS)


def test_a_carried_smile_is_the_same_in_standard_deviations(earlier):
    now = TENORS - 1 / 8760
    prior = carried(earlier, ALL, now, hours=1.0)

    assert prior.theta / now == pytest.approx(earlier.theta / TENORS)
    assert prior.psi / np.sqrt(prior.theta) == pytest.approx(earlier.psi / np.sqrt(earlier.theta))
    assert prior.rho.tolist() == earlier.rho.tolist()


def test_the_older_it_is_the_less_a_prior_says(earlier):
    ages = [carried(earlier, ALL, TENORS, hours=hours) for hours in (0.0, 1.0, 24.0)]
    said = [np.linalg.det(prior.information) for prior in ages]

    assert (said[0] > said[1]).all()
    assert (said[1] > said[2]).all()
    fresh = np.linalg.inv(ages[0].information)
    assert fresh == pytest.approx(earlier.covariance, rel=1e-6)


def test_expiries_are_matched_by_row(earlier):
    rows = np.array([-1, 5, 2])
    prior = carried(earlier, rows, TENORS[[0, 5, 9]], hours=1.0)

    assert prior.is_known.tolist() == [False, True, True]
    assert prior.theta[1] == earlier.theta[5]
    assert prior.theta[2] == pytest.approx(earlier.theta[2] * TENORS[9] / TENORS[2])
    assert (prior.information[0] == 0).all()


def test_a_slice_without_a_fit_is_no_prior():
    quotes = quotes_of(typical())
    sparse = fit(some(quotes, quotes.slice_number != 8), TENORS)

    prior = carried(sparse, ALL, TENORS, hours=1.0)

    assert sparse.status[8] == FEW_QUOTES
    assert np.flatnonzero(~prior.is_known).tolist() == [8]


def test_slices_may_be_of_different_ages(earlier):
    hours = np.where(ALL == 8, 24.0, 1.0)

    mixed, young, old = (carried(earlier, ALL, TENORS, hours=age) for age in (hours, 1.0, 24.0))

    assert np.array_equal(mixed.information[8], old.information[8])
    assert np.array_equal(mixed.information[:8], young.information[:8])


def test_nothing_is_carried_beyond_an_expiry(earlier):
    prior = carried(earlier, np.array([0, 1]), np.array([0.0, 0.001]), hours=24.0)

    assert prior.is_known.tolist() == [False, True]


def test_an_empty_surface_is_no_prior():
    nothing = fit(some(quotes_of(typical()), np.zeros(705, dtype=bool)), TENORS)

    assert not carried(nothing, ALL, TENORS, hours=1.0).is_known.any()


def test_a_sparse_hour_stays_near_the_surface_before(earlier):
    """Five quotes a slice, three of them wrong by the same 20 points."""
    few = quotes_of(typical(), each=5, rng=np.random.default_rng(9), error=0.05)
    few.iv[np.arange(75) % 5 < 3] += 0.2
    truth = np.sqrt(typical()[0] / TENORS)

    alone = fit(few, TENORS)
    held = fit(few, TENORS, prior=carried(earlier, ALL, TENORS, hours=1.0))

    off = [np.abs(np.sqrt(found.theta / TENORS) - truth).max() for found in (alone, held)]
    assert off[1] < 0.3 * off[0]
    assert (held.covariance[:, 0, 0] < alone.covariance[:, 0, 0]).all()


def test_many_quotes_outweigh_a_prior(earlier):
    moved = typical()[0] * 1.21, typical()[1], typical()[2] * 1.1  # all volatilities up by a tenth
    prior = carried(earlier, ALL, TENORS, hours=1.0)

    found = fit(quotes_of(moved, each=400, error=0.002), TENORS, prior=prior)

    assert np.sqrt(found.theta / moved[0]) == pytest.approx(1.0, abs=0.01)


def test_a_prior_only_draws_where_it_is_known(earlier):
    prior = carried(earlier, np.where(ALL < 5, ALL, -1), TENORS, hours=1.0)
    quotes = quotes_of(typical())

    found, alone = fit(quotes, TENORS, prior=prior), fit(quotes, TENORS)

    assert found.theta[5:] == pytest.approx(alone.theta[5:], rel=1e-7)
    assert np.abs(found.theta[:5] / alone.theta[:5] - 1).min() > 1e-7


def test_the_pull_of_a_prior_is_its_information_in_other_coordinates(earlier):
    """Of a small step in (ln phi, ln u, ln v), by differences."""
    prior = carried(earlier, ALL, TENORS, hours=2.0)
    centre, stiffness = pull(prior)
    step = 1e-5 * np.array([1.0, -2.0, 0.5])
    phi, u, v = np.exp(centre + step).T
    psi = (u + v) / 2
    moved = np.stack([psi / phi - prior.theta, (u - v) / (u + v) - prior.rho, psi - prior.psi], 1)

    by_parameters = np.einsum("ni,nij,nj->n", moved, prior.information, moved)

    assert np.einsum("i,nij,j->n", step, stiffness, step) == pytest.approx(by_parameters, rel=1e-3)


def test_nothing_is_known_of_no_slice():
    nothing = Prior.nothing(3)
    centre, stiffness = pull(nothing)

    assert not nothing.is_known.any()
    assert (centre == 0).all()
    assert (stiffness == 0).all()
