import numpy as np
import pytest

from quant.kernels.black76 import price_and_greeks, vanna_and_volga
from quant.kernels.implied_vol import implied_vol

NUMBERS = [np.full(3, x) for x in (5.0, 100.0, 100.0, 0.5)]
CALLS = np.array([True, False, True])


def columns(index, replacement):
    return [replacement if i == index else column for i, column in enumerate([*NUMBERS, CALLS])]


@pytest.mark.parametrize(
    ("index", "column", "message"),
    [
        (0, np.full(4, 5.0), r"forward has 3 rows, price has 4"),
        (3, np.full(2, 0.5), r"tenor has 2 rows, price has 3"),
        (4, np.array([True]), r"is_call has 1 rows, price has 3"),
        (1, np.full(3, 100), r"forward: expected .* float64, got int64 of shape \(3,\)"),
        (2, np.full(3, 1, np.float32), r"strike: expected .* float64, got float32"),
        (0, np.full((3, 1), 5.0), r"price: expected a one-dim.*, got float64 of shape \(3, 1\)"),
        (0, [5.0, 5.0, 5.0], r"price: expected .*, got list"),
        (4, np.array([1, 0, 1]), r"is_call: expected .* bool, got int64"),
    ],
)
def test_a_column_of_another_kind_is_named(index, column, message):
    with pytest.raises(ValueError, match=message):
        implied_vol(*columns(index, column))


def test_no_rows_give_no_rows():
    none = np.empty(0)

    iv, status = implied_vol(none, none, none, none, none.astype(bool))

    assert iv.shape == status.shape == (0,)
    assert price_and_greeks(none, none, none, none, none.astype(bool))[0].shape == (0,)


def test_every_other_row_of_an_array_is_as_good_as_a_copy():
    price = np.array([5.0, np.nan, 6.0, np.nan, 7.0])[::2]
    copies = implied_vol(price.copy(), *NUMBERS[1:], CALLS)

    strided = implied_vol(price, *NUMBERS[1:], CALLS)

    assert np.array_equal(strided[0], copies[0])


def test_threads_must_be_positive():
    with pytest.raises(ValueError, match="threads is 0: expected 1 or more"):
        implied_vol(*NUMBERS, CALLS, threads=0)


def test_results_go_where_they_are_wanted():
    out = np.zeros((6, 3))

    price, *_, rho = price_and_greeks(*NUMBERS, CALLS, out=out)

    assert np.shares_memory(price, out[0])
    assert np.shares_memory(rho, out[5])
    assert (out != 0.0).all()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((6, 2)), r"out: expected float64 of shape \(6, 3\), got float64 of shape"),
        (np.zeros((6, 3), np.float32), "got float32"),
        (np.zeros((3, 6)).T, "out: expected a contiguous array"),
    ],
)
def test_a_place_of_another_shape_is_refused(out, message):
    with pytest.raises(ValueError, match=message):
        price_and_greeks(*NUMBERS, CALLS, out=out)


def test_second_derivatives_need_no_option_type():
    vanna, volga = vanna_and_volga(*NUMBERS)

    assert vanna.shape == volga.shape == (3,)
