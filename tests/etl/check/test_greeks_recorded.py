"""Every recorded ticker against our Greeks: to the last printed digit."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from etl.check.greek_age import age_of
from etl.check.greek_conventions import EXCHANGE, OTHERS, Convention, evaluated, quotes_of
from etl.check.greek_tally import SOURCES, tally
from etl.check.greek_tolerances import against
from tests.recorded_tickers import FILES, RECORDED, recorded, recorded_chain
from validators.greeks.errors import judged
from validators.greeks.quotes import GREEKS, IV_HALF, QUANTITIES, with_halves

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
ROWS = {
    "BTC 2021-02": 976,
    "ETH 2021-02": 996,
    "session 2021-07": 89,
    "tickers 2026-09": 12,
    "Tardis 2020-06": 2,
}
BEFORE = {
    "BTC 2021-02": {
        "mark_price": (6.8e-6, 7.5e-5, 5.8e-4),
        "delta": (3.3e-6, 2.1e-5, 9.4e-5),
        "vega": (2.3e-4, 1.9e-3, 0.010),
        "theta": (1.2e-3, 0.035, 1.78),
        "rho": (9.7e-5, 6.9e-4, 3.6e-3),
    },
    "ETH 2021-02": {
        "mark_price": (4.1e-6, 5.4e-5, 2.7e-4),
        "delta": (2.9e-6, 1.5e-5, 9.1e-5),
        "vega": (3.9e-6, 3.5e-5, 1.1e-4),
        "theta": (3.3e-6, 7.1e-4, 0.020),
        "rho": (4.0e-6, 1.6e-5, 4.3e-5),
    },
}
"""Median, 95 % and largest absolute error, measured on the same quotes before.

That was with time to expiry to the millisecond, and theta capped by the model's price.
"""
ROUNDED = 1.05  # those have two digits, and our quantiles are known to a per cent
RHO = QUANTITIES.index("rho")


def compared(name, convention=EXCHANGE):
    """Ours, theirs, and the error over the tolerance, all of shape (6, n)."""
    rows = with_halves(recorded(name))
    theirs = rows.select(QUANTITIES).to_numpy().T.copy()
    ours, tolerance = against(quotes_of(rows), theirs, convention)
    return ours, theirs, abs(ours - theirs) / tolerance


def told(*names):
    return tally((recorded(name) for name in names), EXCHANGE, stale_s=1e9)


@pytest.mark.parametrize("name", FILES)
def test_every_greek_of_every_quote_is_deribit_s_to_its_last_digit(name):
    _, theirs, excess = compared(name)

    assert theirs.shape == (len(QUANTITIES), ROWS[name])
    assert excess[1:].max() <= 1.0


@pytest.mark.parametrize("name", FILES)
def test_a_mark_price_is_the_model_s_but_for_how_far_its_forward_lags(name):
    _, _, excess = compared(name)

    assert (excess[0] > 1).mean() < 0.005


@pytest.mark.parametrize("name", BEFORE)
def test_errors_are_at_least_as_small_as_those_measured_before(name):
    found = judged(*told(name).counts["mark_iv"], by=("underlying",)).rows_by_key(
        "quantity", named=True, unique=True
    )
    for quantity, before in BEFORE[name].items():
        line = found[quantity]
        for statistic, most in zip(("median", "p95", "max"), before, strict=True):
            assert line[statistic] <= ROUNDED * most, (quantity, statistic, line[statistic])


@pytest.mark.parametrize("source", SOURCES)
def test_no_bucket_fails(source):
    found = told(*FILES)
    table = judged(*found.counts[source])

    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=180, tbl_hide_dataframe_shape=True):
        print(table)  # noqa: T201  shown with -s
    assert found.rows == sum(ROWS.values())
    assert table.filter(verdict="fail").is_empty()
    assert table.filter(verdict="pass").height > 100


@pytest.mark.parametrize("name", ["BTC 2021-02", "tickers 2026-09"])
def test_time_to_expiry_is_in_whole_minutes_and_not_in_milliseconds(name):
    to_the_ms = next(one for one in OTHERS if not one.to_minute)
    _, _, excess = compared(name, to_the_ms)

    assert (excess[RHO] > 1).mean() > 0.2
    assert excess[RHO].max() > 50


@pytest.mark.parametrize("seconds", [-30.0, 30.0])
def test_the_minute_is_the_nearest_neither_the_one_before_nor_the_one_after(seconds):
    _, _, excess = compared("BTC 2021-02", Convention("another minute", later_s=seconds))

    assert (excess[RHO] > 1).mean() > 0.2


@pytest.mark.parametrize(("to_minute", "most"), [(True, 0.02), (False, 1.0)])
def test_marks_of_a_chain_count_whole_minutes_too(to_minute, most):
    quotes = quotes_of(with_halves(recorded_chain()))
    soon = quotes.take(quotes.seconds < 3 * 86_400)
    convention = replace(EXCHANGE, to_minute=to_minute)
    middle, low, high = (
        evaluated(replace(soon, iv=soon.iv + side * IV_HALF), convention)[0] for side in (0, -1, 1)
    )
    reach = np.maximum(high - middle, middle - low) + soon.mark_half
    share = (np.abs(middle - soon.mark) > reach).mean()

    assert len(middle) == 142
    assert most / 4 < share < most


def test_theta_is_capped_by_the_mark_and_not_by_the_model():
    by_the_model = next(one for one in OTHERS if not one.caps_by_mark)
    _, _, excess = compared("BTC 2021-02", by_the_model)
    theta = 1 + GREEKS.index("theta")

    assert 50 < (excess[theta] > 1).sum() < 100
    assert excess[theta].max() > 50


def test_greeks_of_2021_are_a_second_old():
    found = age_of("BTC", told("BTC 2021-02").pairs)

    assert found.pairs > 300
    assert 0 <= found.seconds <= 1.5
    assert not found.is_old
