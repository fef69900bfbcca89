"""Volatility at deltas, pillars and constant maturities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.arbitrage import butterflies
from quant.essvi import to_raw_svi, total_variance
from quant.kernels import black76
from quant.surface_grid import (
    DELTAS,
    MATURITIES,
    STATUSES,
    at_deltas,
    at_maturities,
    at_slices,
    iv_at,
    pillars,
)
from tests.quant.surfaces import TENORS, drawn, typical

SVI = to_raw_svi(*typical())
ONE = np.zeros(15, dtype=np.int64)


def deltas_of(k, iv, tenor):
    """Call deltas, by the kernel that prices options."""
    ones = np.ones(len(k))
    call = np.ones(len(k), dtype=bool)
    return black76.price_and_greeks(ones, np.exp(k), tenor * ones, iv, call)[1]


def test_options_at_a_delta_have_that_delta():
    k, iv = at_deltas(at_slices(TENORS, SVI), SVI)

    for row in range(15):
        found = deltas_of(k[row], iv[row], TENORS[row])
        assert found == pytest.approx([0.9, 0.75, 0.5, 0.25, 0.1], abs=1e-12)


def test_at_the_money_a_straddle_has_no_delta():
    k, iv = at_deltas(at_slices(TENORS, SVI), SVI, (DELTAS["ATM"],))

    assert k[:, 0] == pytest.approx(0.5 * iv[:, 0] ** 2 * TENORS, rel=1e-12)


@given(st.integers(0, 5_000), st.floats(0.01, 0.99))
def test_any_delta_is_found_on_any_surface_without_arbitrage(seed, delta):
    theta, rho, psi = drawn(np.random.default_rng(seed), slices=5)
    tenor = np.linspace(0.1, 0.5, 5)
    svi = to_raw_svi(theta, np.clip(rho, -0.9, 0.9), np.minimum(psi, 1.9))

    k, iv = at_deltas(at_slices(tenor, svi), svi, (delta,))

    assert k.shape == (5, 1)
    d1 = -k[:, 0] / (iv[:, 0] * np.sqrt(tenor)) + 0.5 * iv[:, 0] * np.sqrt(tenor)
    assert [0.5 * math.erfc(-x / math.sqrt(2)) for x in d1] == pytest.approx([delta] * 5, abs=1e-9)


def test_pillars_are_those_of_the_market():
    iv = np.array([[0.62, 0.56, 0.50, 0.52, 0.55]])
    found = pillars(iv)

    assert found.atm.tolist() == [0.50]
    assert found.rr25 == pytest.approx([-0.04])
    assert found.bf25 == pytest.approx([0.04])
    assert found.rr10 == pytest.approx([-0.07])
    assert found.bf10 == pytest.approx([0.085])


def test_a_maturity_between_two_slices_has_total_variance_between_theirs():
    points = at_maturities(TENORS, SVI, ONE, surfaces=1, days=(10,))
    k = np.linspace(-0.3, 0.3, 7)
    before, after = (total_variance(k, *(column[i] for column in typical())) for i in (4, 5))

    found = iv_at(points, SVI, k)

    assert found[0] ** 2 * 10 / 365 == pytest.approx(before + 3 / 7 * (after - before), rel=1e-12)
    assert STATUSES[points.status[0]] == "ok"


def test_a_maturity_that_is_an_expiry_is_that_slice():
    points = at_maturities(TENORS, SVI, ONE, surfaces=1, days=(1, 7, 360))
    k = np.linspace(-0.3, 0.3, 7)

    expected = iv_at(at_slices(TENORS, SVI), SVI, k)[[0, 4, 14]]

    assert iv_at(points, SVI, k) == pytest.approx(expected, rel=1e-12)
    assert (points.status == 0).all()


def test_before_the_first_slice_volatility_stays_as_it_is():
    points = at_maturities(TENORS, SVI, ONE, surfaces=1, days=(0.25,))
    k = np.array([-0.1, 0.0, 0.1])

    assert STATUSES[points.status[0]] == "before_first"
    assert iv_at(points, SVI, k)[0] == pytest.approx(iv_at(at_slices(TENORS, SVI), SVI, k)[0])


def test_beyond_the_last_slice_there_is_nothing():
    points = at_maturities(TENORS[:10], SVI[:10], ONE[:10], surfaces=1)
    k, iv = at_deltas(points, SVI[:10])

    assert [STATUSES[code] for code in points.status] == ["ok"] * 4 + ["beyond_last"] * 3
    assert np.isnan(iv).all(axis=1).tolist() == [False] * 4 + [True] * 3
    assert np.isnan(k[4:]).all()


def test_many_surfaces_are_answered_one_after_the_other():
    svi = np.concatenate([SVI[:5], SVI])
    surface = np.repeat([0, 2], [5, 15])  # the second and the fourth have no slice
    points = at_maturities(np.concatenate([TENORS[:5], TENORS]), svi, surface, surfaces=4)

    status = np.array(STATUSES)[points.status].reshape(4, len(MATURITIES))

    assert status[0].tolist() == ["ok"] + ["beyond_last"] * 6
    assert (status[[1, 3]] == "no_slices").all()
    assert (status[2] == "ok").all()
    alone = at_maturities(TENORS, SVI, ONE, surfaces=1)
    assert np.array_equal(at_deltas(points, svi)[1][14:21], at_deltas(alone, SVI)[1])


def test_slices_without_a_fit_are_passed_over():
    svi = SVI.copy()
    svi[5] = np.nan
    points = at_maturities(TENORS, svi, ONE, surfaces=1, days=(14,))

    assert points.rows.tolist() == [[4, 6]]
    assert at_slices(TENORS, svi).rows[5].tolist() == [-1, -1]
    assert np.isnan(at_deltas(at_slices(TENORS, svi), svi)[1][5]).all()


def test_maturities_of_one_strike_never_lose_total_variance():
    points = at_maturities(TENORS, SVI, ONE, surfaces=1, days=tuple(range(1, 361)))
    k = np.linspace(-1.0, 1.0, 41)

    w = iv_at(points, SVI, k) ** 2 * points.tenor[:, None]

    assert (np.diff(w, axis=0) > 0).all()


def test_one_slice_lasts_until_its_own_expiry():
    points = at_maturities(TENORS[9:10], SVI[9:10], ONE[:1], surfaces=1)

    assert [STATUSES[code] for code in points.status] == (
        ["before_first"] * 3 + ["ok"] + ["beyond_last"] * 3
    )
    assert butterflies(SVI[9:10]).violations == 0


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, 1.5, float("nan")])
def test_what_is_no_delta_is_refused(delta):
    with pytest.raises(ValueError, match=f"delta is {delta}: expected one in"):
        at_deltas(at_slices(TENORS, SVI), SVI, (delta,))
