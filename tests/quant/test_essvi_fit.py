"""Calibration: exact where quotes are, free of arbitrage whatever they are, honest about errors."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.arbitrage import butterflies, calendars
from quant.essvi import iv_error, to_raw_svi, total_variance
from quant.essvi_fit import EXPIRED, FEW_QUOTES, FLAT_QUOTES, FROM_PRIOR, OK, Quotes, fit
from quant.essvi_prior import carried
from tests.quant.surfaces import TENORS, drawn, noisy, quotes_of, some, typical

NOBODY = np.full(15, -1)


def violations(found):
    """Butterflies and calendars of a fit."""
    svi = to_raw_svi(found.theta, found.rho, found.psi)
    return butterflies(svi).violations, calendars(
        svi, np.zeros(len(svi), dtype=np.int64)
    ).violations


def iv_of(found, quotes):
    """Volatilities of a fit at quotes."""
    at = quotes.slice_number
    w = total_variance(quotes.log_moneyness, found.theta[at], found.rho[at], found.psi[at])
    return np.sqrt(w / found.tenor[at])


def assert_same(one, other):
    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name), equal_nan=True)


def test_exact_volatilities_give_back_the_surface():
    found = fit(quotes_of(typical()), TENORS)

    assert found.converged
    for column, truth in zip((found.theta, found.rho, found.psi), typical(), strict=True):
        assert column == pytest.approx(truth, rel=1e-8)
    assert found.rmse.max() < 1e-10


@pytest.mark.parametrize("seed", range(8))
def test_exact_volatilities_of_a_drawn_surface_give_it_back(seed):
    """Its parameters may lie anywhere between their bounds, but where the smile is all but flat."""
    truth = drawn(np.random.default_rng(seed), slices=6, least_share=0.3)
    tenor = np.array([1, 7, 30, 60, 180, 360]) / 365
    found = fit(quotes_of(truth, tenor, error=0.001), tenor)

    for column, exact in zip((found.theta, found.rho, found.psi), truth, strict=True):
        assert column == pytest.approx(exact, rel=1e-6, abs=1e-6)
    assert violations(found) == (0, 0)


@given(st.integers(0, 100_000), st.sampled_from([0.2, 1.0, 5.0]), st.integers(3, 40))
def test_whatever_the_quotes_are_there_is_no_arbitrage(seed, times, each):
    rng = np.random.default_rng(seed)
    theta, _, psi = typical()
    wild = (theta * np.exp(rng.normal(0, 0.4, 15)), rng.uniform(-0.9, 0.9, 15), psi)
    quotes = noisy(quotes_of(wild, each=each, error=0.02, rng=rng), rng, times=times)

    found = fit(quotes, TENORS)

    assert violations(found) == (0, 0)
    assert (found.status == OK).all()


def test_error_bars_cover_the_truth():
    """Noise of one error: 97 of 100 slices within three error bars at every quote."""
    covered = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        exact = quotes_of(typical(), rng=rng)
        found = fit(noisy(exact, rng), TENORS)
        at = exact.slice_number
        bar = iv_error(
            exact.log_moneyness, TENORS[at], found.theta[at], found.rho[at], found.psi[at],
            covariance=found.covariance[at],
        )  # fmt: skip
        off = np.abs(iv_of(found, exact) - exact.iv) / bar
        covered.extend((np.maximum.reduceat(off, np.arange(0, len(off), 47)) < 3).tolist())

    assert len(covered) == 300
    assert np.mean(covered) >= 0.97


def test_error_bars_are_no_wider_than_they_must_be():
    """Over many draws theta scatters by what its covariance says, within a third."""
    draws = [fit(noisy(quotes_of(typical()), np.random.default_rng(n)), TENORS) for n in range(100)]
    scatter = np.std([found.theta for found in draws], axis=0)
    said = np.sqrt(np.median([found.covariance[:, 0, 0] for found in draws], axis=0))

    assert (said / scatter).min() > 0.75
    assert (said / scatter).max() < 1.5


def test_one_quote_in_twenty_that_is_grossly_wrong_moves_little():
    rng = np.random.default_rng(5)
    quotes = noisy(quotes_of(typical()), rng)
    is_wrong = rng.uniform(size=len(quotes.iv)) < 0.05
    spoilt = replace(
        quotes, iv=np.where(is_wrong, rng.uniform(0.05, 4.0, len(quotes.iv)), quotes.iv)
    )

    clean, found = fit(quotes, TENORS), fit(spoilt, TENORS)

    assert np.abs(np.sqrt(found.theta / TENORS) - np.sqrt(clean.theta / TENORS)).max() < 0.002
    assert found.largest.max() > 50  # and they are told


def test_slices_with_one_or_two_quotes_have_no_fit_and_touch_no_other():
    quotes = quotes_of(typical())
    rank = np.arange(len(quotes.iv)) % 47
    kept = np.select(
        [quotes.slice_number == 3, quotes.slice_number == 7], [rank < 1, rank < 2], rank >= 0
    )
    wrong = replace(quotes, iv=np.where(np.isin(quotes.slice_number, (3, 7)), 3.0, quotes.iv))

    found = fit(some(wrong, kept), TENORS)

    assert np.flatnonzero(found.status == FEW_QUOTES).tolist() == [3, 7]
    assert np.flatnonzero(np.isnan(found.theta)).tolist() == [3, 7]
    assert found.quotes[[3, 7]].tolist() == [1, 2]
    others = np.flatnonzero(found.status == OK)
    assert found.theta[others] == pytest.approx(typical()[0][others], rel=1e-8)


def test_three_quotes_at_two_strikes_are_few():
    quotes = Quotes(
        np.zeros(3, dtype=np.int64), np.array([0.0, 0.1, 0.1]), np.array([0.5, 0.6, 0.61]),
        np.full(3, 0.01), np.ones(3),
    )  # fmt: skip

    assert fit(quotes, TENORS[:1]).status.tolist() == [FEW_QUOTES]


def test_a_slice_quoted_at_one_volatility_is_a_placeholder():
    quotes = quotes_of(typical())
    flat = replace(quotes, iv=np.where(quotes.slice_number == 2, 0.8, quotes.iv))

    found = fit(flat, TENORS)

    assert np.flatnonzero(found.status == FLAT_QUOTES).tolist() == [2]
    assert np.delete(found.theta, 2) == pytest.approx(np.delete(typical()[0], 2), rel=1e-8)


def test_nearly_flat_quotes_give_a_nearly_flat_surface():
    quotes = quotes_of(typical())
    wiggle = 1e-4 * np.random.default_rng(1).standard_normal(len(quotes.iv))

    found = fit(replace(quotes, iv=0.8 + wiggle), TENORS)

    assert iv_of(found, quotes) == pytest.approx(0.8, abs=1e-3)
    assert violations(found) == (0, 0)


def test_crossed_calendars_are_repaired():
    theta, rho, psi = typical()
    theta[4] = 0.7 * theta[3]  # a week that is worth less than four days

    found = fit(quotes_of((theta, rho, psi)), TENORS)

    assert violations(found) == (0, 0)
    assert found.theta[4] >= found.theta[3]
    assert found.largest[[3, 4]].max() > 5
    assert np.delete(found.largest, range(2, 7)).max() < 1  # the rest is as it was


def test_a_slice_within_minutes_of_expiry_is_fitted():
    tenor = np.concatenate([[5 / 525_600], TENORS])
    theta = 0.5 * tenor
    surface = theta, np.full(16, -0.1), np.sqrt(theta)

    found = fit(quotes_of(surface, tenor), tenor)

    assert found.status[0] == OK
    assert found.theta == pytest.approx(theta, rel=1e-7)


def test_an_expired_slice_has_no_fit():
    tenor = np.concatenate([[0.0], TENORS])
    quotes = quotes_of(typical())

    found = fit(replace(quotes, slice_number=quotes.slice_number + 1), tenor)

    assert found.status.tolist() == [EXPIRED] + [OK] * 15


def test_rows_without_meaning_do_not_count():
    quotes = quotes_of(typical())
    bad = {
        name: getattr(quotes, name).copy() for name in ("log_moneyness", "iv", "error", "weight")
    }
    for n, (column, value) in enumerate(
        zip(bad.values(), (np.nan, -0.5, 0.0, np.inf), strict=True)
    ):
        column[n::47] = value

    found = fit(replace(quotes, **bad), TENORS)

    assert (found.quotes == 43).all()
    assert found.theta == pytest.approx(typical()[0], rel=1e-8)


def test_one_slice_alone_is_fitted():
    truth = tuple(column[:1] for column in typical())

    assert fit(quotes_of(truth, TENORS[:1]), TENORS[:1]).theta == pytest.approx(truth[0], rel=1e-8)


def test_no_quotes_give_no_surface():
    nothing = Quotes(np.empty(0, dtype=np.int64), *(np.empty(0) for _ in range(4)))

    found = fit(nothing, TENORS)

    assert (found.status == FEW_QUOTES).all()
    assert np.isnan(found.theta).all()
    assert len(fit(nothing, np.empty(0)).theta) == 0


def test_the_same_arguments_give_the_same_bits():
    quotes = noisy(quotes_of(typical()), np.random.default_rng(2))

    assert_same(fit(quotes, TENORS), fit(quotes, TENORS))


def test_a_quote_counts_by_its_weight():
    """Twice the same quotes is once with a weight of two."""
    quotes = noisy(quotes_of(typical()), np.random.default_rng(3))
    twice = Quotes(*(np.repeat(getattr(quotes, name), 2) for name in Quotes.__dataclass_fields__))

    heavy, doubled = fit(replace(quotes, weight=2 * quotes.weight), TENORS), fit(twice, TENORS)

    assert heavy.theta == pytest.approx(doubled.theta, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "tenor", "message"),
    [
        ({"iv": np.ones(3)}, TENORS, "iv has 3 rows, log_moneyness has 705"),
        (
            {"slice_number": np.zeros(705)},
            TENORS,
            "slice_number: expected int64 of .705,., got float64",
        ),
        ({}, TENORS[:14], "slice_number: expected ascending from 0 to below 14"),
        ({}, TENORS[::-1].copy(), "tenor: expected ascending, got"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change, tenor, message):
    with pytest.raises(ValueError, match=message):
        fit(replace(quotes_of(typical()), **change), tenor)


def test_a_prior_of_another_length_is_refused():
    prior = carried(fit(quotes_of(typical()), TENORS), NOBODY[:3], TENORS[:3], hours=1.0)

    with pytest.raises(ValueError, match="prior has 3 slices, tenor has 15"):
        fit(quotes_of(typical()), TENORS, prior=prior)


def test_a_prior_speaks_for_a_slice_with_one_quote():
    quotes = quotes_of(typical())
    prior = carried(fit(quotes, TENORS), np.arange(15), TENORS, hours=1.0)
    alone = (quotes.slice_number != 6) | (np.cumsum(quotes.slice_number == 6) == 1)

    found = fit(some(quotes, alone), TENORS, prior=prior)

    assert np.flatnonzero(found.status == FROM_PRIOR).tolist() == [6]
    assert found.theta[6] == pytest.approx(typical()[0][6], rel=1e-3)
