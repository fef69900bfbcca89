import mpmath
import numpy as np
import pytest
from numba import vectorize

from quant.kernels.elementary import exp, log_ratio, mills, mills_pair
from tests.quant.reference import EPS, normal

ROWS = 3_000


@vectorize
def each_exp(x):
    return exp(x)


@vectorize
def each_log_ratio(x, y):
    return log_ratio(x, y)


@vectorize
def each_mills(z):
    return mills(z)


@vectorize
def first_of_pair(x, y):
    return mills_pair(x, y)[0]


def units(results, exact):
    return max(
        float(abs(mpmath.mpf(result) / truth - 1)) / EPS
        for result, truth in zip(results, exact, strict=True)
    )


@pytest.fixture
def random():
    return np.random.default_rng(4)


def test_exp_is_within_1_1_units(random):
    x = np.concatenate([random.uniform(-708.0, 709.0, ROWS), random.uniform(-1.0, 1.0, ROWS)])

    assert units(each_exp(x), [mpmath.exp(mpmath.mpf(v)) for v in x]) <= 1.1


def test_exp_is_zero_where_doubles_lose_digits():
    assert list(each_exp(np.array([-708.5, -1e3, -1e6]))) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("spread", [1e-15, 1e-8, 0.1, 1.0, 600.0])
def test_the_log_of_a_ratio_is_within_1_6_units_however_near_1(random, spread):
    y = np.exp(random.uniform(-5.0, 5.0, ROWS))
    x = y * np.exp(random.uniform(-spread, spread, ROWS))
    x = np.where(x == y, np.nextafter(x, np.inf), x)
    exact = [mpmath.log(mpmath.mpf(a) / mpmath.mpf(b)) for a, b in zip(x, y, strict=True)]

    assert units(each_log_ratio(x, y), exact) <= 1.6


def test_the_log_of_a_ratio_may_be_that_of_the_largest_and_the_smallest_number():
    x, y = np.array([1e300, 1e-300]), np.array([1e-300, 1e300])

    assert each_log_ratio(x, y) == pytest.approx([600 * np.log(10), -600 * np.log(10)], rel=1e-15)


def test_the_log_of_1_is_exactly_0():
    assert each_log_ratio(np.array([0.1, 65_000.0]), np.array([0.1, 65_000.0])).tolist() == [0, 0]


def mills_ratios(z):
    return [normal(-mpmath.mpf(v)) / mpmath.npdf(mpmath.mpf(v)) for v in z]


def test_the_mills_ratio_is_within_4_units(random):
    z = np.concatenate([random.uniform(-1.0, 6.0, ROWS), 10.0 ** random.uniform(-8.0, 2.5, ROWS)])

    assert units(each_mills(z), mills_ratios(z)) <= 4.0


def test_two_mills_ratios_at_once_are_within_7_units(random):
    z = random.uniform(-1.0, 40.0, ROWS)

    assert units(first_of_pair(z, z[::-1].copy()), mills_ratios(z)) <= 7.0


def test_the_mills_ratio_far_out_is_one_over_its_argument():
    assert each_mills(np.array([1e9]))[0] == pytest.approx(1e-9, rel=1e-15)
