"""Accuracy, edges and bad rows of the solver."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from quant.kernels import black76
from quant.kernels.implied_vol import implied_vol
from quant.kernels.status import (
    ABOVE_MAXIMUM,
    BAD_INPUT,
    BELOW_INTRINSIC,
    EXPIRED,
    OK,
    ZERO_TIME_VALUE,
)
from tests.quant.markets import SETS, extreme
from tests.quant.reference import EPS, Option, implied_vol_error

MOST_CONDITION = 1e6
TIMES_ATTAINABLE = 10.0


def solve(*quote, is_call=True):
    iv, status = implied_vol(*(np.array([float(x)]) for x in quote), np.array([is_call]))
    return iv[0], status[0]


def times_attainable(market):
    """Error over attainable error of each row that is solved and not hopeless."""
    iv, status = implied_vol(*market.quotes)
    rows = zip(market.price, market.forward, market.strike, market.tenor, market.is_call, iv,
               strict=True)  # fmt: skip
    judged = []
    for solved, (price, forward, strike, tenor, is_call, vol) in zip(
        status == OK, rows, strict=True
    ):
        if solved:
            option = Option(forward, strike, tenor, vol, bool(is_call))
            error, condition = implied_vol_error(option, price)
            if condition < MOST_CONDITION:
                judged.append(error / (EPS * max(1.0, condition)))
    return np.array(judged)


@pytest.mark.parametrize("name", SETS)
def test_every_row_is_within_ten_times_what_rounding_the_price_makes(name):
    judged = times_attainable(SETS[name](1_500))

    assert judged.size > 1_000
    assert judged.max() <= TIMES_ATTAINABLE


def test_extreme_rows_are_as_exact():
    market = extreme(1_500)

    judged = times_attainable(market)

    assert judged.size > 1_000
    assert judged.max() <= TIMES_ATTAINABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_fifteen_thousand_rows_are_within_ten_times_what_rounding_the_price_makes(name):
    judged = times_attainable(SETS[name](18_000, seed=99))

    assert judged.size >= 15_000
    assert judged.max() <= TIMES_ATTAINABLE


@pytest.mark.parametrize(
    ("price", "forward", "strike", "tenor", "iv"),
    [
        pytest.param(1e-300, 100, 300, 0.01, 0.2969720146, id="1e-300"),
        pytest.param(5e-320, 100, 300, 0.01, 0.2877923682, id="denormal price"),
        pytest.param(np.nextafter(20.0, 30.0), 100, 80, 0.5, 0.0412971836, id="one ulp over"),
        pytest.param(1e-12, 100, 100, 1, 2.5066282746310e-14, id="tiny at the money"),
        pytest.param(1e-200, 100, 100, 1, 2.5066282746310e-202, id="tinier at the money"),
    ],
)
def test_an_edge_has_its_known_volatility(price, forward, strike, tenor, iv):
    found, status = solve(price, forward, strike, tenor)

    assert status == OK
    assert found == pytest.approx(iv, rel=2e-9)


@pytest.mark.parametrize(
    ("price", "forward", "strike", "tenor"),
    [
        (1e-300, 100, 300, 0.01),
        (5e-320, 100, 300, 0.01),
        (np.nextafter(20.0, 30.0), 100, 80, 0.5),
        (100 * (1 - 1e-12), 100, 100, 0.5),
        (100 * (1 - 1e-12), 100, 80, 0.5),
        (np.nextafter(100.0, 0.0), 100, 100, 0.5),
        (1e200, 3e201, 1e203, 1),
        (1e-290, 1e-281, 1e-280, 1),
        (1e-320, 1e-310, 2e-310, 0.5),
        (4, 100, 100, 1e-300),
        (1e-3, 1e-5, 1e9, 1e-9),
    ],
)
def test_an_edge_is_as_exact_as_its_price(price, forward, strike, tenor):
    iv, status = solve(price, forward, strike, tenor)
    if status == ABOVE_MAXIMUM:
        assert price >= forward
        return
    error, condition = implied_vol_error(Option(forward, strike, tenor, iv, is_call=True), price)

    assert status == OK
    assert error <= TIMES_ATTAINABLE * EPS * max(1.0, condition)


@pytest.mark.parametrize(
    ("price", "forward", "strike", "tenor", "expected"),
    [
        (np.nan, 100, 100, 1, BAD_INPUT),
        (np.inf, 100, 100, 1, BAD_INPUT),
        (-np.inf, 100, 100, 1, BAD_INPUT),
        (1, np.nan, 100, 1, BAD_INPUT),
        (1, np.inf, 100, 1, BAD_INPUT),
        (1, 0, 100, 1, BAD_INPUT),
        (1, -100, 100, 1, BAD_INPUT),
        (1, 100, np.nan, 1, BAD_INPUT),
        (1, 100, np.inf, 1, BAD_INPUT),
        (1, 100, 0, 1, BAD_INPUT),
        (1, 100, -100, 1, BAD_INPUT),
        (1, 100, 100, np.nan, BAD_INPUT),
        (1, 100, 100, np.inf, BAD_INPUT),
        (1, 100, 100, 0, EXPIRED),
        (1, 100, 100, -1, EXPIRED),
        (-1, 80, 100, 1, BELOW_INTRINSIC),
        (0, 100, 80, 1, BELOW_INTRINSIC),
        (np.nextafter(20.0, 0.0), 100, 80, 1, BELOW_INTRINSIC),
        (20, 100, 80, 1, ZERO_TIME_VALUE),
        (0, 80, 100, 1, ZERO_TIME_VALUE),
        (5e-324, 100, 100, 1, ZERO_TIME_VALUE),
        (100, 100, 80, 1, ABOVE_MAXIMUM),
        (np.nextafter(100.0, 200.0), 100, 80, 1, ABOVE_MAXIMUM),
    ],
)
def test_a_row_without_an_answer_says_why(price, forward, strike, tenor, expected):
    iv, status = solve(price, forward, strike, tenor)

    assert np.isnan(iv)
    assert status == expected


def test_a_put_is_bounded_by_its_strike():
    assert solve(100, 90, 100, 1, is_call=False)[1] == ABOVE_MAXIMUM
    assert solve(10, 90, 100, 1, is_call=False)[1] == ZERO_TIME_VALUE
    assert solve(9, 90, 100, 1, is_call=False)[1] == BELOW_INTRINSIC


def test_one_bad_row_harms_no_other():
    market = SETS["mkt"](5_000)
    alone, _ = implied_vol(*market.quotes)
    columns = [column.copy() for column in market.quotes]
    for column, bad in zip(columns[:4], (np.nan, 0.0, -1.0, np.inf), strict=True):
        column[::7] = bad

    mixed, status = implied_vol(*columns)

    untouched = np.arange(5_000) % 7 != 0
    assert np.array_equal(mixed[untouched], alone[untouched])
    assert (status[::7] == BAD_INPUT).all()


prices = st.floats(1e-6, 1e6)
stdevs = st.floats(1e-6, 12.0)
moneynesses = st.floats(-8.0, 8.0)
tenors = st.floats(1e-5, 3.0)


@given(strike=prices, moneyness=moneynesses, stdev=stdevs, tenor=tenors, is_call=st.booleans())
@example(strike=1.0, moneyness=0.0, stdev=1.36, tenor=1.0, is_call=True)
@example(strike=1.0, moneyness=3.0, stdev=2.44, tenor=1.0, is_call=False)
def test_a_price_leads_back_to_its_volatility(strike, moneyness, stdev, tenor, is_call):
    forward = strike * np.exp(moneyness)
    quote = [np.array([x]) for x in (forward, strike, tenor, stdev / np.sqrt(tenor))]
    price = black76.price(*quote, np.array([is_call]))[0]
    iv, status = solve(price, forward, strike, tenor, is_call=is_call)
    assume(status == OK)

    error, condition = implied_vol_error(Option(forward, strike, tenor, iv, is_call), price)

    assert error <= TIMES_ATTAINABLE * EPS * max(1.0, condition)


@given(strike=prices, moneyness=moneynesses, stdev=st.floats(1e-3, 5.0), is_call=st.booleans())
def test_only_prices_without_time_value_or_at_the_maximum_are_unsolvable(
    strike, moneyness, stdev, is_call
):
    forward = strike * np.exp(moneyness)
    quote = [np.array([x]) for x in (forward, strike, 1.0, stdev)]
    price = black76.price(*quote, np.array([is_call]))[0]
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    assume(intrinsic * (1 + 1e-12) < price < (forward if is_call else strike) * (1 - 1e-12))

    assert solve(price, forward, strike, 1.0, is_call=is_call)[1] == OK


doubles = st.floats(allow_nan=True, allow_infinity=True)


@given(doubles, doubles, doubles, doubles, st.booleans())
def test_any_doubles_give_a_volatility_or_a_reason(price, forward, strike, tenor, is_call):
    iv, status = solve(price, forward, strike, tenor, is_call=is_call)

    if status == OK:
        assert iv >= 0.0
    else:
        assert np.isnan(iv)


def test_threads_change_no_bit():
    market = SETS["mkt"](100_000)

    one, two = implied_vol(*market.quotes), implied_vol(*market.quotes, threads=2)

    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
