"""Price steps of options, measured on prices: coarse, fine, with a border, of blocks."""

import numpy as np
import pytest

from etl.compute.price_grid import PriceGrid, measure, step_of


def ticks(step, count=400, start=1):
    return np.round(step * np.arange(start, start + count), 6)


QUOTED = np.zeros(400, bool)


@pytest.mark.parametrize("step", [5.0, 0.5, 0.2, 0.05, 0.0005, 0.0001])
def test_the_step_is_the_coarsest_all_prices_are_multiples_of(step):
    assert step_of(ticks(step)) == step


def test_one_price_sent_wrong_in_a_thousand_changes_nothing():
    assert step_of(np.append(ticks(0.0005, 1_500), 0.00031)) == 0.0005


def test_coin_premiums_may_have_a_finer_step_up_to_a_border():
    price = np.concatenate([ticks(0.0001, 50), ticks(0.0005, 350, start=11)])

    grid = measure(price, QUOTED, is_coin=True)

    assert (grid.low, grid.high, grid.border) == (0.0001, 0.0005, 0.005)


def test_in_2021_the_step_of_coin_premiums_was_one_throughout():
    grid = measure(ticks(0.0005), QUOTED, is_coin=True)

    assert (grid.low, grid.high) == (0.0005, 0.0005)


def test_agreed_prices_have_a_step_of_their_own_and_tell_nothing_of_the_book():
    price = np.concatenate([ticks(0.0005, 200), ticks(0.0001, 200)])
    is_agreed = np.arange(400) >= 200

    grid = measure(price, is_agreed, is_coin=True)

    assert (grid.high, grid.agreed) == (0.0005, 0.0001)


def test_without_a_price_the_step_is_the_finest():
    grid = measure(np.zeros(0), np.zeros(0, bool), is_coin=True)

    assert grid.low == grid.high == grid.agreed == step_of(np.zeros(0))


def test_half_a_step_down_and_up_differ_at_the_border_and_at_the_least_price():
    grid = PriceGrid(low=0.0001, high=0.0005, border=0.005, agreed=0.0001)
    price = np.array([0.0001, 0.003, 0.005, 0.0055, 0.0055])

    down, up = grid.half_steps(price, np.array([False, False, False, False, True]))

    assert down.tolist() == [0.0001, 0.00005, 0.00005, 0.00025, 0.00005]
    assert up.tolist() == [0.00005, 0.00005, 0.00025, 0.00025, 0.00005]


@pytest.mark.parametrize(
    ("price", "level", "expected"),
    [(0.05, 1.0, 0.0005), (0.0001, 1.0, 0.0001), (1_500.0, 100_000.0, 5.0), (10.0, 150.0, 0.05),
     (0.02, 0.6, 0.0002)],
)  # fmt: skip
def test_few_prices_are_round_by_chance_and_make_no_step_of_the_size_of_a_premium(
    price, level, expected
):
    grid = measure(np.array([price]), np.zeros(1, bool), is_coin=level == 1, level=level)

    assert (grid.high if price > grid.border else grid.low) == expected


def test_a_step_that_no_underlying_suggests_is_believed_of_many_prices():
    assert measure(ticks(0.5), QUOTED, is_coin=False, level=0.6).high == 0.5
