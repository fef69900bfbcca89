"""Rates: yields compounded continuously, and a curve between, below and above its tenors."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quant.rates import continuous_rate, rate_at

TENORS = np.array([1 / 12, 0.25, 0.5, 1.0])
NAN = np.nan
curves = hnp.arrays(np.float64, (3, 4), elements=st.floats(-0.02, 0.2) | st.just(NAN))
tenors = st.lists(st.floats(0.0, 3.0), min_size=3, max_size=3).map(np.array)


def one(tenor, curve):
    return rate_at(np.array([tenor]), TENORS, np.array(curve)).item()


def test_a_published_yield_compounds_twice_a_year():
    yields = pl.DataFrame({"y": [0.05, 0.0, -0.001, None]})
    rates = yields.select(continuous_rate(pl.col("y")))["y"].to_list()

    assert rates[:2] == [pytest.approx(2 * math.log(1.025), rel=1e-15), 0.0]
    assert math.exp(rates[0]) == pytest.approx(1.025**2, rel=1e-15)
    assert rates[2] == pytest.approx(-0.00100025, abs=1e-8)
    assert rates[3] is None


def test_between_two_tenors_a_rate_is_on_the_line():
    assert one(0.375, [0.01, 0.02, 0.04, 0.05]) == pytest.approx(0.03, rel=1e-14)


@given(curves, st.lists(st.floats(0.0, 1.5), min_size=3, max_size=3).map(np.array), st.data())
def test_a_rate_is_numpys_straight_line_between_the_tenors_that_are_there(many, asked, data):
    near = data.draw(st.sampled_from(TENORS)) + data.draw(st.floats(-0.02, 0.02))
    asked[0] = max(near, 0.0)

    found = rate_at(asked, TENORS, many)

    for tenor, curve, rate in zip(asked, many, found, strict=True):
        known = ~np.isnan(curve)
        line = np.interp(tenor, TENORS[known], curve[known]) if known.any() else NAN
        assert rate == pytest.approx(line, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize(("tenor", "rate"), [(0.0, 0.01), (1 / 12, 0.01), (1.0, 0.05), (2.5, 0.05)])
def test_a_curve_is_flat_outside_its_tenors_and_exact_at_them(tenor, rate):
    assert one(tenor, [0.01, 0.02, 0.04, 0.05]) == rate


def test_a_rate_that_is_missing_is_passed_over():
    assert one(0.5, [NAN, 0.02, NAN, 0.05]) == pytest.approx(0.03, rel=1e-14)
    assert one(0.1, [NAN, 0.02, NAN, 0.05]) == 0.02
    assert one(0.9, [NAN, 0.02, NAN, NAN]) == 0.02


def test_without_any_rate_or_tenor_there_is_none():
    assert math.isnan(one(0.5, [NAN] * 4))
    assert math.isnan(one(NAN, [0.01] * 4))


def test_rows_say_whose_curve_it_is_and_minus_one_says_nobodys():
    curves = np.array([[0.01] * 4, [0.02] * 4])
    found = rate_at(np.array([0.5, 0.5, 0.5]), TENORS, curves, np.array([1, -1, 0]))

    assert found[[0, 2]].tolist() == [0.02, 0.01]
    assert np.isnan(found[1])


def test_a_curve_of_one_tenor_is_flat():
    found = rate_at(np.array([0.1, NAN, 2.0]), np.array([0.25]), np.array([0.03]))

    assert found[[0, 2]].tolist() == [0.03, 0.03]
    assert np.isnan(found[1])


@given(tenor=tenors, curves=curves)
def test_it_is_what_numpy_interpolates_of_each_curve_alone(tenor, curves):
    expected = []
    for each, curve in zip(tenor, curves, strict=True):
        there = ~np.isnan(curve)
        expected.append(np.interp(each, TENORS[there], curve[there]) if there.any() else NAN)

    np.testing.assert_allclose(rate_at(tenor, TENORS, curves), expected, rtol=1e-12, atol=1e-15)


@given(tenor=tenors, curves=curves)
def test_no_rate_leaves_the_range_of_its_curve(tenor, curves):
    found = rate_at(tenor, TENORS, curves)
    there = ~np.isnan(found)

    assert (there == ~np.isnan(curves).all(axis=1)).all()
    assert (found[there] <= np.nanmax(curves[there], axis=1) + 1e-15).all()
    assert (found[there] >= np.nanmin(curves[there], axis=1) - 1e-15).all()


@pytest.mark.parametrize(
    ("tenors", "curves", "rows", "words"),
    [
        (TENORS[::-1], np.zeros(4), None, "tenors must ascend"),
        (TENORS, np.zeros(3), None, "have not the 4 columns"),
        (TENORS, np.zeros((3, 4)), None, "3 curves for 2 tenors"),
        (TENORS, np.zeros((3, 4)), np.array([0]), "rows of shape"),
        (TENORS, np.zeros((3, 4)), np.array([0, 3]), "rows must be from -1 to 2, got 0 to 3"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(tenors, curves, rows, words):
    with pytest.raises(ValueError, match=words):
        rate_at(np.array([0.1, 0.2]), tenors, curves, rows)
