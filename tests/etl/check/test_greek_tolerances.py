"""Tolerances: as wide as the printed digits make them, and not much wider."""

from dataclasses import replace

import numpy as np
import pytest

from etl.check.greek_conventions import EXCHANGE, evaluated
from etl.check.greek_tolerances import against, from_price
from tests.etl.check.test_greek_conventions import ROWS, quotes
from validators.greeks.quotes import QUANTITIES

PLACES = 5


def printed(true, *, mark_places=8):
    """What a ticker prints of quotes: forward, volatility and mark rounded."""
    return replace(
        true,
        forward=np.round(true.forward, 2),
        iv=np.round(true.iv, 4),
        mark=np.round(true.mark, mark_places),
        mark_half=np.full(ROWS, 0.5 * 10.0**-mark_places),
    )


def unrounded(seed):
    """Quotes whose forward and volatility have more digits than are printed."""
    dice = np.random.default_rng(seed)
    made = quotes(seed=seed)
    moved = replace(
        made,
        forward=made.forward + dice.uniform(-0.005, 0.005, ROWS),
        iv=made.iv + dice.uniform(-5e-5, 5e-5, ROWS),
        mark_half=np.zeros(ROWS),
    )
    return replace(moved, mark=evaluated(moved)[0])


@pytest.mark.parametrize("mark_places", [4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_greeks_of_unrounded_numbers_lie_within_the_tolerance_of_the_rounded(seed, mark_places):
    true = unrounded(seed)
    theirs = np.round(evaluated(true), PLACES)
    theirs[0] = np.round(true.mark, mark_places)
    ours, tolerance = against(printed(true, mark_places=mark_places), theirs)

    excess = np.abs(ours - theirs) / tolerance

    assert excess.max() <= 1 + 1e-6
    assert (excess.max(axis=1)[1:] > 0.8).all()  # and no tolerance is much wider than it must be


@pytest.mark.parametrize(("age", "inside"), [(0, True), (1, True), (120, False), (-60, False)])
def test_either_minute_is_taken_within_a_second_of_its_end_and_no_third(age, inside):
    made = quotes()
    edge = replace(made, seconds=np.rint(made.seconds / 60) * 60 + 29.5)
    theirs = np.round(evaluated(edge, EXCHANGE.older(age)), PLACES)
    theirs[0] = edge.mark

    ours, tolerance = against(edge, theirs)
    excess = (np.abs(ours - theirs) / tolerance)[1:].max(axis=0)

    assert (excess <= 1).all() == inside


def test_half_a_minute_before_expiry_the_last_minute_counts():
    made = quotes()
    last = replace(made, seconds=np.full(ROWS, 30.0))
    theirs = np.round(evaluated(last, EXCHANGE.older(1)), PLACES)

    ours, _ = against(last, theirs)

    assert np.isfinite(ours).all()


def test_two_seconds_before_the_end_of_a_minute_there_is_one_minute():
    made = quotes()
    before = replace(made, seconds=np.rint(made.seconds / 60) * 60 + 28.0)
    theirs = np.round(evaluated(before, EXCHANGE.older(60)), PLACES)

    ours, _ = against(before, theirs)

    np.testing.assert_allclose(ours[1:], evaluated(before)[1:], rtol=1e-12)


def test_the_volatility_of_an_exact_price_gives_the_same_greeks_within_its_tolerance():
    made = quotes()
    solved, tolerance, is_clear = from_price(made)
    expected = evaluated(made)[:, is_clear]

    assert is_clear.sum() > ROWS / 3
    assert (np.abs(solved - expected) <= tolerance).all()
    np.testing.assert_allclose(solved[3], expected[3], rtol=1e-4)


def test_a_price_that_may_be_nothing_says_nothing():
    made = quotes()
    zero, least = replace(made, mark=np.zeros(ROWS)), replace(made, mark=np.full(ROWS, 5e-9))

    assert not from_price(zero)[2].any()
    assert not from_price(least)[2].any()
    assert from_price(zero)[0].shape == (len(QUANTITIES), 0)
