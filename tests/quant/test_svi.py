"""SVI: published slices, fits that recover them, and arbitrage found and kept out."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quant.kernels.svi import least_rise
from quant.svi import KINK, STATUSES, fitted, jump_wings, least_durrleman, raw, total_variance

# Gatheral and Jacquier (2014), examples 3.1 and 5.1: A. Vogt's slice, a year to expiry
VOGT = np.array([[-0.0410, 0.1331, 0.3060, 0.3586, 0.4153]])
VOGT_JUMP_WINGS = np.array([[0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249]])
ONE_YEAR = np.ones(1)
OK, CONSTRAINED, FEW_QUOTES, CROSSES, _ = range(len(STATUSES))


def variance(svi, k):
    """Raw SVI as it is printed."""
    a, b, rho, m, sigma = svi
    return a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))


def durrleman(svi, k):
    """g with derivatives by differences of the printed formula."""
    step = 1e-4
    w, up, down = (variance(svi, k + x) for x in (0.0, step, -step))
    first, second = (up - down) / (2 * step), (up - 2 * w + down) / step**2
    return (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2


def fit(*smiles, error=0.01, **options):
    """Fit smiles given as log-moneyness, volatilities and tenor."""
    ks, ivs, tenors = zip(*smiles, strict=True)
    of_slice = np.repeat(np.arange(len(ks)), [len(k) for k in ks])
    k, iv = np.concatenate(ks), np.concatenate(ivs)
    return fitted(of_slice, k, iv, np.full(k.shape[0], error), np.array(tenors), **options)


def smile(svi, k, tenor=1.0):
    return k, np.sqrt(variance(svi, k) / tenor), tenor


raw_slices = st.builds(
    lambda lowest, b, rho, m, sigma: np.array(
        [lowest - b * sigma * np.sqrt(1 - rho**2), b, rho, m, sigma]
    ),
    lowest=st.floats(1e-3, 0.1),
    b=st.floats(0.02, 0.8),
    rho=st.floats(-0.9, 0.9),
    m=st.floats(-0.3, 0.3),
    sigma=st.floats(0.05, 0.5),
)


def test_vogts_slice_has_the_negative_density_that_50_digits_find():
    least, where = least_durrleman(VOGT)

    assert least[0] == pytest.approx(-0.032863573453623, abs=1e-12)
    assert where[0] == pytest.approx(0.879262541622, abs=1e-6)


@settings(max_examples=200)
@given(raw_slices)
def test_no_point_has_a_smaller_g_than_the_smallest(svi):
    least, where = least_durrleman(svi[None])
    fine = np.concatenate([np.linspace(-4.0, 4.0, 4001), svi[3] + np.sinh(np.linspace(-9, 9, 500))])
    fine = fine[np.abs(fine) < 50.0]

    assert least[0] <= durrleman(svi, fine).min() + 1e-5
    if np.isfinite(where[0]) and abs(where[0]) < 20.0:
        assert least[0] == pytest.approx(durrleman(svi, where[0]), abs=1e-4)


def test_a_wing_steeper_than_two_has_a_negative_limit():
    least, where = least_durrleman(np.array([[0.04, 1.5, 0.5, 0.0, 0.1]]))

    assert least[0] <= 0.25 - 2.25**2 / 16
    assert where[0] > 0.0


@pytest.mark.parametrize("tenor", [1.0, 0.02])
def test_known_parameters_come_back_from_33_quotes(tenor):
    truth = np.array([0.01, 0.35, -0.70, 0.05, 0.15])
    k = -0.8 + 0.05 * np.arange(33)

    found = fit(smile(truth, k, tenor))

    assert found.svi[0] == pytest.approx(truth, abs=1e-12)
    assert found.status[0] == OK
    assert found.rmse[0] < 1e-12
    assert found.misfit[0] < 1e-10


@settings(max_examples=100)
@given(raw_slices)
def test_a_slice_without_arbitrage_comes_back_from_its_quotes(truth):
    k = np.linspace(-1.0, 1.0, 45)
    assume(least_durrleman(truth[None])[0][0] >= 0.0)
    assume(truth[1] * (1 + abs(truth[2])) < 1.9)

    found = fit(smile(truth, k))

    assert found.status[0] == OK
    assert found.rmse[0] < 1e-7


def test_vogts_slice_is_repaired_nearer_than_the_published_repair():
    k = np.linspace(-1.5, 1.5, 45)
    published = VOGT_JUMP_WINGS.copy()
    published[0, 3] = 0.8564763  # their optimal call wing

    found = fit(smile(VOGT[0], k))
    theirs = raw(published, ONE_YEAR)

    assert found.status[0] == CONSTRAINED
    assert 0.0 <= found.least_durrleman[0] < 1e-5
    assert durrleman(found.svi[0], np.linspace(-3.0, 5.0, 8001)).min() > -1e-6
    assert least_durrleman(theirs)[0][0] == pytest.approx(0.0081, abs=1e-4)
    off = np.sqrt(variance(theirs[0], k)) - np.sqrt(variance(VOGT[0], k))
    assert found.rmse[0] < 0.3 * np.sqrt(np.mean(off**2))


@settings(max_examples=40)
@given(raw_slices, st.integers(0, 1000), st.sampled_from([0.0, 0.01, 0.05]))
def test_no_fit_has_a_negative_density_whatever_the_quotes(truth, seed, noise):
    k = np.linspace(-1.2, 1.2, 25)
    _, iv, _ = smile(truth, k)
    iv *= np.exp(noise * np.random.default_rng(seed).normal(size=k.shape[0]))

    found = fit((k, iv, 1.0))

    assert found.status[0] in {OK, CONSTRAINED}
    assert found.least_durrleman[0] >= 0.0
    assert durrleman(found.svi[0], np.linspace(-5.0, 5.0, 2001)).min() > -1e-5


def test_one_wrong_quote_bends_a_slice_less_than_its_own_error():
    truth = np.array([0.01, 0.35, -0.70, 0.05, 0.15])
    k = np.linspace(-0.8, 0.8, 33)
    _, iv, _ = smile(truth, k)
    wrong = iv.copy()
    wrong[20] += 0.20  # twenty times the error

    robust, plain = fit((k, wrong, 1.0)), fit((k, wrong, 1.0), kink=1e6)
    away = [np.abs(np.sqrt(variance(x.svi[0], k)) - iv).max() for x in (robust, plain)]

    assert away[0] < 0.01
    assert away[0] < away[1] / 2
    assert KINK < 20


def test_slices_of_a_group_do_not_cross_from_the_last_expiry_to_the_first():
    k = np.linspace(-0.5, 0.5, 25)
    late = smile(np.array([0.01, 0.20, -0.3, 0.0, 0.2]), k, 0.25)
    early = smile(np.array([0.002, 0.25, -0.3, 0.0, 0.15]), k, 0.20)  # higher in the wings

    alone = fit(late, early)
    beside = fit(late, early, group=np.zeros(2, np.int64))
    k = np.linspace(-20.0, 20.0, 4001)
    rise = variance(beside.svi[0], k) - variance(beside.svi[1], k)

    assert np.isnan(alone.least_rise).all()
    assert (variance(alone.svi[0], k) - variance(alone.svi[1], k)).min() < -0.001
    assert beside.status.tolist() == [OK, CONSTRAINED]
    assert rise.min() >= -1e-9
    assert beside.least_rise[1] == pytest.approx(rise.min(), abs=1e-5)
    assert beside.least_durrleman.min() >= 0.0


def test_slices_of_a_group_do_not_cross_from_the_first_expiry_to_the_last():
    k = np.linspace(-0.5, 0.5, 25)
    early = smile(np.array([0.002, 0.25, -0.3, 0.0, 0.15]), k, 0.20)
    late = smile(np.array([0.01, 0.20, -0.3, 0.0, 0.2]), k, 0.25)

    beside = fit(early, late, group=np.zeros(2, np.int64))
    k = np.linspace(-20.0, 20.0, 4001)

    assert beside.status.tolist() == [OK, CONSTRAINED]
    assert (variance(beside.svi[1], k) - variance(beside.svi[0], k)).min() >= -1e-9


def test_slices_that_come_near_twice_are_told_apart_where_they_cross():
    """The smallest distance on a grid is at one place, the smallest of all at another."""
    earlier = (-0.06436204, 0.53072087, -0.61447394, -0.51682076, 0.70043457)
    later = (-0.82822448, 0.80720379, -0.25966364, -0.28428386, 1.35734571)
    fine = np.linspace(-3.0, 3.0, 60_001)
    rise = variance(later, fine) - variance(earlier, fine)

    least, where = least_rise(earlier, later)

    assert least == pytest.approx(rise.min(), abs=1e-9)
    assert where == pytest.approx(fine[rise.argmin()], abs=1e-3)
    assert rise.min() < -3e-4


def test_another_group_is_no_neighbour():
    k = np.linspace(-0.5, 0.5, 25)
    late = smile(np.array([0.01, 0.20, -0.3, 0.0, 0.2]), k, 0.25)
    early = smile(np.array([0.002, 0.25, -0.3, 0.0, 0.15]), k, 0.20)

    apart = fit(late, early, group=np.array([0, 1]))

    assert apart.svi == pytest.approx(fit(late, early).svi)
    assert np.isnan(apart.least_rise).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda k, iv, tenor: (k[:4], iv[:4], tenor),
        lambda k, iv, tenor: (np.repeat(k[:4], 9)[:33], iv, tenor),
        lambda k, iv, tenor: (k, iv * np.where(k == k[3], np.nan, 1.0), tenor),
        lambda k, iv, tenor: (k, iv * np.where(k == k[3], 0.0, 1.0), tenor),
        lambda k, iv, tenor: (k, iv, 0.0 * tenor),
        lambda k, iv, tenor: (np.full_like(k, np.inf), iv, tenor),
    ],
)
def test_a_slice_without_five_good_strikes_has_no_fit_and_its_neighbours_have_theirs(change):
    good = smile(np.array([0.01, 0.35, -0.70, 0.05, 0.15]), np.linspace(-0.8, 0.8, 33))

    found = fit(good, change(*good), good)

    assert found.status.tolist() == [OK, FEW_QUOTES, OK]
    assert np.isnan(found.svi[1]).all()
    assert np.isnan(found.rmse[1])
    assert found.svi[0].tolist() == found.svi[2].tolist()


def test_flat_volatilities_make_a_flat_slice():
    k = np.linspace(-0.5, 0.5, 21)

    found = fit((k, np.full(21, 0.8), 0.1))

    assert found.status[0] == OK
    assert found.rmse[0] < 1e-6
    assert total_variance(found.svi, np.zeros(21, np.int64), k) == pytest.approx(0.064, rel=1e-5)


def test_vogts_slice_in_jump_wings_is_as_published():
    assert jump_wings(VOGT, ONE_YEAR)[0] == pytest.approx(VOGT_JUMP_WINGS[0], rel=1e-6)
    assert raw(VOGT_JUMP_WINGS, ONE_YEAR)[0] == pytest.approx(VOGT[0], rel=1e-5)


@pytest.mark.parametrize(("call", "lowest"), [(0.3493158, 0.01548182), (0.8564763, 0.0116249)])
def test_the_published_repairs_of_vogts_slice_have_no_negative_density(call, lowest):
    repaired = raw(np.array([[*VOGT_JUMP_WINGS[0, :3], call, lowest]]), ONE_YEAR)

    assert least_durrleman(repaired)[0][0] > 0.0


@given(raw_slices, st.floats(0.01, 2.0))
def test_raw_and_jump_wings_are_inverse(svi, tenor):
    tenors = np.full(1, tenor)
    back = raw(jump_wings(svi[None], tenors), tenors)
    again = variance(back[0], np.linspace(-1.0, 1.0, 9))

    # as the smallest variance nears the one at the money, m and sigma are ever less determined
    lean = svi[2] - svi[3] / np.hypot(svi[3], svi[4])
    assume(abs(lean) > 0.01)
    assert again == pytest.approx(variance(svi, np.linspace(-1.0, 1.0, 9)), rel=1e-6)


def test_a_slice_flattest_at_the_money_has_no_single_raw_form():
    assert np.isnan(raw(np.array([[0.04, 0.0, 0.5, 0.5, 0.04]]), ONE_YEAR)).all()


def test_total_variance_is_the_printed_formula():
    k = np.array([-1.5, 0.4])

    found = total_variance(VOGT, np.zeros(2, np.int64), k)

    assert found == pytest.approx([0.1367819611, 0.01623656962], rel=1e-9)


def test_numbers_of_slices_that_do_not_ascend_are_refused():
    k = np.linspace(-1.0, 1.0, 4)
    with pytest.raises(ValueError, match="ascending"):
        fitted(np.array([0, 1, 0, 1]), k, np.ones(4), np.ones(4), np.ones(2))
    with pytest.raises(ValueError, match="of_slice"):
        total_variance(VOGT, np.ones(4, np.int64), k)
