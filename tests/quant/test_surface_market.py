"""Surfaces of the simulated market, beside its truths.

The truth ``ssvi`` is in the family that is fitted. ``mixture`` is not: of it eSSVI is what three
numbers a slice can say, and the bounds here are what was measured.
"""

import numpy as np
import pytest

from quant.arbitrage import butterflies, calendars
from quant.essvi import derivatives, to_raw_svi, total_variance
from quant.essvi_fit import OK, fit
from tests.quant.chains import snapshot

MONTH = range(31 * 24)
CASES = {
    ("ssvi", True): 1e-6,
    ("ssvi", False): 0.0005,
    ("mixture", True): 0.0022,
    ("mixture", False): 0.0029,
}
every_case = pytest.mark.parametrize(
    ("form", "marks"), CASES, ids=lambda value: {True: "marks", False: "mids"}.get(value, value)
)


def misses(form, marks, hours):
    """Root mean square of model less truth over the quotes of each hour, by 1/error**2."""
    found = []
    for hour in hours:
        shot = snapshot(form, hour, marks=marks)
        surface = fit(shot.quotes, shot.tenor)
        assert surface.converged
        assert_free_of_arbitrage(surface)
        at, precise = shot.quotes.slice_number, shot.quotes.error**-2
        w = total_variance(
            shot.quotes.log_moneyness, surface.theta[at], surface.rho[at], surface.psi[at]
        )
        off = np.sqrt(w / shot.tenor[at]) - shot.true_iv
        known = np.isfinite(off)
        assert known.mean() > 0.95
        found.append(np.sqrt((precise * off**2)[known].sum() / precise[known].sum()))
    return np.array(found)


def assert_free_of_arbitrage(surface):
    """By both checks, and by the formulas on a grid of 2,001 strikes."""
    fitted = np.flatnonzero(np.isfinite(surface.theta))
    svi = to_raw_svi(surface.theta, surface.rho, surface.psi)
    assert len(fitted) > 8
    assert butterflies(svi).violations == 0
    assert calendars(svi, np.zeros(len(svi), dtype=np.int64)).violations == 0
    theta, rho, psi = (column[fitted, None] for column in (surface.theta, surface.rho, surface.psi))
    k = 6 * np.sqrt(theta[-1, 0]) * np.linspace(-1, 1, 2_001)
    w = total_variance(k, theta, rho, psi)
    first, second = derivatives(k, theta, rho, psi)
    g = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2
    assert (g >= 0).all()
    assert (np.diff(w, axis=0) >= 0).all()


@every_case
def test_a_few_hours_come_as_near_to_the_truth_as_was_measured(form, marks):
    assert misses(form, marks, (0, 25, 50)).max() <= CASES[form, marks]


@pytest.mark.slow
@every_case
def test_every_other_hour_of_a_month_comes_as_near_to_the_truth(form, marks):
    found = misses(form, marks, MONTH[::2])

    assert len(found) == 372
    assert np.quantile(found, 0.99) <= CASES[form, marks]


def test_a_slice_is_missing_only_where_its_quotes_are_few():
    shot = snapshot("ssvi", 23, marks=False)  # half an hour before an expiry
    surface = fit(shot.quotes, shot.tenor)

    assert shot.tenor[0] * 365 * 24 == pytest.approx(0.5, abs=1e-6)
    assert (surface.quotes[surface.status != OK] < 3).all()
    assert (surface.status[1:] == OK).all()
