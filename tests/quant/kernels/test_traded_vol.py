"""What a traded price and its tick say of the volatility."""

import numpy as np
import pytest
from hypothesis import given
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
from quant.kernels.traded_vol import half_steps, traded_vol
from tests.quant.markets import SETS

ROWS = 5_000
TICK, TICK_ABOVE, THRESHOLD = 0.0001, 0.0005, 0.005


@pytest.fixture(scope="module")
def trades():
    """Options of a made-up market at multiples of the tick [coin], most with time value."""
    market = SETS["mkt"](ROWS)
    price = market.price / market.forward
    tick = np.where(price > THRESHOLD, TICK_ABOVE, TICK)
    return np.maximum(np.round(price / tick), 1.0) * tick, market


def solve(price, market, ends=None, **options):
    ends = half_steps(price, TICK, TICK_ABOVE, THRESHOLD) if ends is None else ends
    columns = market.forward, market.strike, market.tenor
    is_coin = np.ones(price.shape, dtype=bool)
    return traded_vol(price, ends, *columns, is_call=market.is_call, is_coin=is_coin, **options)


OPTION = {"forward": 100.0, "strike": 80.0, "tenor": 0.5}


def of_one(price, below, above, *, is_call=True, **terms):
    """A call 20 in the money, unless said otherwise; premiums in USD."""
    numbers = (price, below, above, *(OPTION | terms).values())
    price, below, above, *columns = (np.array([float(x)]) for x in numbers)
    iv, iv_low, iv_high, status = traded_vol(
        price, (below, above), *columns, is_call=np.array([is_call]), is_coin=np.array([False])
    )
    return iv[0], iv_low[0], iv_high[0], status[0]


def test_the_three_volatilities_are_those_of_three_prices(trades):
    price, market = trades
    below, above = half_steps(price, TICK, TICK_ABOVE, THRESHOLD)
    mid, low, high = (
        implied_vol(usd * market.forward, *market.quotes[1:])
        for usd in (price, price - below, price + above)
    )

    iv, iv_low, iv_high, status = solve(price, market)

    assert np.array_equal(iv, mid[0], equal_nan=True)
    assert np.array_equal(status, mid[1])
    solved = (low[1] == OK) & (high[1] == OK)
    assert solved.sum() > ROWS / 2
    assert np.array_equal(iv_low[solved], low[0][solved])
    assert np.array_equal(iv_high[solved], high[0][solved])


def test_the_interval_holds_the_volatility_whose_price_was_rounded_to_the_tick(trades):
    price, market = trades

    _, iv_low, iv_high, _ = solve(price, market)

    unclear = market.price / market.forward < TICK / 2  # and rounded up to the smallest price
    assert unclear.sum() < ROWS / 2
    held = (iv_low <= market.iv * (1 + 1e-9)) & (market.iv * (1 - 1e-9) <= iv_high)
    assert held[~unclear].all()


def test_prices_at_the_ends_are_half_a_tick_away(trades):
    price, market = trades
    below, above = half_steps(price, TICK, TICK_ABOVE, THRESHOLD)
    _, iv_low, iv_high, _ = solve(price, market)
    terms = market.forward, market.strike, market.tenor

    down = black76.price(*terms, iv_low, market.is_call) / market.forward
    up = black76.price(*terms, iv_high, market.is_call) / market.forward

    assert (iv_low > 0.0).sum() > ROWS / 2
    assert down[iv_low > 0.0] == pytest.approx((price - below)[iv_low > 0.0], rel=1e-11)
    assert up == pytest.approx(price + above, rel=1e-11)


def test_the_step_below_the_threshold_is_the_fine_one():
    price = np.array([0.0049, 0.005, 0.0055])

    below, above = half_steps(price, TICK, TICK_ABOVE, THRESHOLD)

    assert below.tolist() == [0.00005, 0.00005, 0.00025]
    assert above.tolist() == [0.00005, 0.00025, 0.00025]


def test_a_single_tick_has_no_threshold():
    below, above = half_steps(np.array([1.0, 1e6]), np.array([0.5, 5.0]), np.nan, np.inf)

    assert below.tolist() == above.tolist() == [0.25, 2.5]


def test_ticks_are_one_for_all_or_one_for_each():
    with pytest.raises(ValueError, match="tick_above has 1 rows, price has 2"):
        half_steps(np.array([1.0, 2.0]), 0.5, np.array([1.0]), np.inf)


@pytest.mark.parametrize(
    ("price", "below", "above", "low", "high", "status"),
    [
        pytest.param(20.1, 0.5, 0.5, 0.0, "solved", OK, id="lower end below the intrinsic value"),
        pytest.param(20.5, 0.5, 0.5, 0.0, "solved", OK, id="lower end at the intrinsic value"),
        pytest.param(99.9, 0.5, 0.5, "solved", np.inf, OK, id="upper end above the maximum"),
        pytest.param(20.0, 0.5, 0.5, 0.0, "solved", ZERO_TIME_VALUE, id="at the intrinsic value"),
        pytest.param(19.8, 0.5, 0.5, 0.0, "solved", BELOW_INTRINSIC, id="just below it"),
        pytest.param(19.5, 0.5, 0.5, 0.0, 0.0, BELOW_INTRINSIC, id="reaches just to it"),
        pytest.param(19.0, 0.5, 0.5, np.nan, np.nan, BELOW_INTRINSIC, id="far below it"),
        pytest.param(100.2, 0.5, 0.5, "solved", np.inf, ABOVE_MAXIMUM, id="just above the maximum"),
        pytest.param(101.0, 0.5, 0.5, np.nan, np.nan, ABOVE_MAXIMUM, id="far above it"),
        pytest.param(50.0, 40.0, 60.0, 0.0, np.inf, OK, id="a tick that says nothing"),
        pytest.param(25.0, 0.5, -0.5, np.nan, np.nan, OK, id="an end that is less than nothing"),
        pytest.param(25.0, np.nan, 0.5, np.nan, np.nan, OK, id="an end that is not known"),
        pytest.param(25.0, 0.5, np.inf, np.nan, np.nan, OK, id="an end without end"),
        pytest.param(np.nan, 0.5, 0.5, np.nan, np.nan, BAD_INPUT, id="no price"),
    ],
)
def test_an_end_without_volatility_says_what_is_known(price, below, above, low, high, status):
    iv, iv_low, iv_high, found = of_one(price, below, above)

    assert found == status
    assert np.isnan(iv) == (status != OK)
    for end, expected in ((iv_low, low), (iv_high, high)):
        if expected == "solved":
            assert 0.0 < end < np.inf
        else:
            assert end == pytest.approx(expected, nan_ok=True, abs=0.0)


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({"tenor": 0.0}, EXPIRED),
        ({"tenor": -1.0}, EXPIRED),
        ({"forward": np.nan}, BAD_INPUT),
        ({"strike": 0.0}, BAD_INPUT),
    ],
)
def test_a_row_that_is_no_option_has_no_interval(terms, status):
    iv, iv_low, iv_high, found = of_one(25.0, 0.5, 0.5, **terms)

    assert found == status
    assert np.isnan([iv, iv_low, iv_high]).all()


def test_a_put_is_bounded_by_its_strike():
    assert of_one(79.9, 0.5, 0.5, is_call=False)[2] == np.inf


def test_a_premium_in_coin_is_worth_its_forward():
    coin = np.array([0.25, 25.0])
    ends = (np.array([0.005, 0.5]),) * 2
    terms = (np.full(2, 100.0), np.full(2, 80.0), np.full(2, 0.5))

    volatilities = traded_vol(
        coin, ends, *terms, is_call=np.array([True, True]), is_coin=np.array([True, False])
    )[:3]

    assert all(iv[0] == pytest.approx(iv[1], rel=1e-13) for iv in volatilities)


def test_one_bad_row_harms_no_other(trades):
    price, market = trades
    alone = solve(price, market)
    ends = [end.copy() for end in half_steps(price, TICK, TICK_ABOVE, THRESHOLD)]
    mixed_price = price.copy()
    for column, bad in ((mixed_price, np.nan), (ends[0], -1.0), (ends[1], np.inf)):
        column[::7] = bad

    mixed = solve(mixed_price, market, ends)

    untouched = np.arange(ROWS) % 7 != 0
    for now, before in zip(mixed, alone, strict=True):
        assert np.array_equal(now[untouched], before[untouched], equal_nan=True)
    assert (mixed[3][::7] == BAD_INPUT).all()


def test_threads_and_a_place_for_the_results_change_nothing(trades):
    price, market = (np.tile(trades[0], 8), SETS["mkt"](8 * ROWS))
    out = np.zeros((3, 8 * ROWS))
    alone = solve(price, market)

    shared = solve(price, market, threads=2, out=out)

    assert np.shares_memory(shared[1], out[1])
    assert np.allclose(out, alone[:3], rtol=1e-12, atol=0.0, equal_nan=True)
    assert np.array_equal(shared[3], alone[3])


def test_a_column_of_another_kind_is_named(trades):
    price, market = trades

    with pytest.raises(ValueError, match="below has 1 rows, price has 5000"):
        solve(price, market, ends=(price[:1], price))


@given(
    strike=st.floats(1e-3, 1e6),
    moneyness=st.floats(-3.0, 3.0),
    stdev=st.floats(1e-3, 5.0),
    reach=st.floats(0.0, 1.0),
    is_call=st.booleans(),
)
def test_a_higher_price_has_no_lower_volatility(strike, moneyness, stdev, reach, is_call):
    forward = strike * np.exp(moneyness)
    terms = [np.array([x]) for x in (forward, strike, 1.0)]
    price = black76.price(*terms, np.array([stdev]), np.array([is_call]))[0]

    iv, iv_low, iv_high, status = of_one(
        price, reach * price, reach * price, forward=forward, strike=strike, tenor=1.0,
        is_call=is_call,
    )  # fmt: skip

    if status == OK:
        assert 0.0 <= iv_low <= iv <= iv_high
        assert reach > 0.0 or iv_low == iv == iv_high


doubles = st.floats(allow_nan=True, allow_infinity=True)


@given(prices=st.tuples(doubles, doubles, doubles), terms=st.tuples(doubles, doubles, doubles),
       is_call=st.booleans())  # fmt: skip
def test_any_doubles_give_an_interval_or_none(prices, terms, is_call):
    terms = dict(zip(OPTION, terms, strict=True))

    iv, iv_low, iv_high, _ = of_one(*prices, **terms, is_call=is_call)

    assert np.isnan(iv_low) == np.isnan(iv_high)
    assert np.isnan(iv_low) or 0.0 <= iv_low <= iv_high
    assert np.isnan(iv_low) or np.isnan(iv) or iv_low <= iv <= iv_high
