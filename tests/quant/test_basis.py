"""Basis and term structure: rows by hand, what must hold for all, and what must not matter."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.basis import constant_maturity, with_basis

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EXPIRY = datetime(2024, 3, 29, 8, tzinfo=UTC)
STAMP = pl.Datetime("us", "UTC")


def candles(closes, volumes=None, start=START):
    stamps = [start + i * MINUTE for i in range(len(closes))]
    return pl.DataFrame(
        {"timestamp": stamps, "close": closes, "volume": volumes or [1.0] * len(closes)},
        schema={"timestamp": STAMP, "close": pl.Float64, "volume": pl.Float64},
    )


def futures(rows, name="BTC-29MAR24", expiry=EXPIRY):
    return rows.with_columns(
        instrument=pl.lit(name), expiry=pl.lit(expiry, dtype=pl.Datetime("us", "UTC"))
    )


def index(points=()):
    return pl.DataFrame(
        list(points), schema={"timestamp": STAMP, "price": pl.Float64}, orient="row"
    )


def test_a_row_by_hand():
    future = futures(candles([61_000.0]))
    (row,) = with_basis(future, candles([60_000.0]), index([(START + MINUTE, 59_990.0)])).to_dicts()

    days = 28 + 8 / 24 - 1 / 1_440  # the close is at the end of the minute
    assert row["basis"] == 1_000
    assert row["index_basis"] == 1_010
    assert row["days_to_expiry"] == pytest.approx(days, rel=1e-15)
    assert row["basis_annualised"] == pytest.approx(1 / 60 * 365 / days, rel=1e-14)
    assert row["carry"] == pytest.approx(math.log(61 / 60) * 365 / days, rel=1e-14)
    assert row["status"] == "ok"
    assert not row["future_is_filler"]
    assert not row["perpetual_is_filler"]


def test_a_future_that_begins_with_fillers_is_as_old_as_its_first_row():
    future = futures(candles([61.0] * 4, [0.0, 0.0, 0.0, 0.0]))

    rows = with_basis(future, candles([60.0] * 4), index(), tolerance=2 * MINUTE)

    assert rows["status"].to_list() == ["ok", "ok", "ok", "stale_future"]


def test_a_filler_is_as_old_as_its_trade_and_says_so():
    future = futures(candles([61.0] * 5, [1.0, 0.0, 0.0, 0.0, 2.0]))

    rows = with_basis(future, candles([60.0] * 5), index(), tolerance=2 * MINUTE)

    assert rows["status"].to_list() == ["ok", "ok", "ok", "stale_future", "ok"]
    assert rows["future_is_filler"].to_list() == [False, True, True, True, False]
    assert rows["basis"].to_list() == [1, 1, 1, None, 1]
    assert rows["carry"].is_null().to_list() == [False, False, False, True, False]


def test_a_stale_perpetual_and_one_that_is_not_there_have_their_own_reasons():
    future = futures(candles([61.0] * 6))
    perpetual = candles([60.0] * 2, [1.0, 0.0], start=START + MINUTE)

    rows = with_basis(future, perpetual, index(), tolerance=2 * MINUTE)

    assert rows["status"].to_list() == [
        "no_perpetual", "ok", "ok", "ok", "stale_perpetual", "stale_perpetual",
    ]  # fmt: skip
    assert rows["perpetual_price"].to_list() == [None, 60, 60, 60, 60, 60]
    assert rows["perpetual_is_filler"].to_list() == [True, False, True, True, True, True]


def test_the_last_minute_has_a_basis_and_nothing_to_annualise_it_by():
    expiry = START + 3 * MINUTE
    rows = with_basis(futures(candles([61.0] * 4), expiry=expiry), candles([60.0] * 4), index())

    assert rows["status"].to_list() == ["ok", "ok", "ok", "expired"]
    assert rows["basis"].to_list() == [1, 1, 1, None]
    assert rows["carry"].is_null().to_list() == [False, False, True, True]


def test_one_future_says_nothing_of_the_age_of_the_next():
    first, second = futures(candles([61.0] * 2)), futures(candles([62.0] * 2, [0.0, 0.0]), "Z")

    rows = with_basis(pl.concat([first, second]), candles([60.0] * 2), index())

    assert rows["status"].to_list() == ["ok"] * 4  # a filler before any trade is as young as it is
    assert rows["basis"].to_list() == [1, 1, 2, 2]


def test_nothing_gives_nothing_with_the_same_columns():
    some = futures(candles([61.0]))

    empty = with_basis(some.clear(), candles([60.0]), index())

    assert empty.schema == with_basis(some, candles([60.0]), index()).schema
    assert constant_maturity(empty).is_empty()


prices = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=12)


@given(prices, st.floats(1.0, 1e6))
def test_all_figures_of_a_row_have_one_sign(closes, perpetual):
    rows = with_basis(futures(candles(closes)), candles([perpetual] * len(closes)), index())

    for row in rows.to_dicts():
        sign = (row["future_price"] > row["perpetual_price"]) - (
            row["future_price"] < row["perpetual_price"]
        )
        assert {math.copysign(1, row[name]) if row[name] else 0 for name in ("basis", "carry")} <= {
            sign, 0,
        }  # fmt: skip
        assert row["carry"] <= row["basis_annualised"]  # ln(1 + x) <= x


@given(prices, st.integers(0, 2**32))
def test_the_order_of_rows_does_not_matter(closes, seed):
    both = pl.concat([futures(candles(closes)), futures(candles(closes[::-1]), "BTC-28JUN24")])
    perpetual = candles([60.0] * len(closes))
    mixed = both.sample(fraction=1.0, shuffle=True, seed=seed)

    expected = with_basis(both.sort("instrument", "timestamp"), perpetual, index())
    result = with_basis(mixed, perpetual.reverse(), index())

    assert result.equals(expected)


@given(st.floats(0.001, 0.5), st.sampled_from([7, 30, 91, 365]))
def test_a_constant_rate_annualises_to_itself(rate, days):
    expiry = START + MINUTE + timedelta(days=days)
    future = futures(candles([60_000 * math.exp(rate * days / 365)]), expiry=expiry)

    (row,) = with_basis(future, candles([60_000.0]), index()).to_dicts()

    assert row["carry"] == pytest.approx(rate, rel=1e-9)
    assert row["basis_annualised"] == pytest.approx(
        (math.exp(rate * days / 365) - 1) * 365 / days, rel=1e-9
    )


def curve(*lives):
    """A basis frame of futures that expire so many days on, at a carry."""
    found = []
    for number, (days, rate) in enumerate(lives):
        expiry = START + MINUTE + timedelta(days=days)
        close = 60_000 * math.exp(rate * days / 365)
        found.append(futures(candles([close]), f"F{number}", expiry))
    return with_basis(pl.concat(found), candles([60_000.0]), index())


def test_between_two_expiries_total_carry_runs_straight():
    (row,) = constant_maturity(curve((10, 0.05), (40, 0.08)), [30]).to_dicts()

    total = 0.05 * 10 + (0.08 * 40 - 0.05 * 10) * 20 / 30
    assert row["carry"] == pytest.approx(total / 30, rel=1e-9)
    assert (row["shorter"], row["longer"]) == ("F0", "F1")
    assert row["status"] == "ok"


def test_outside_the_expiries_there_is_a_reason():
    rows = constant_maturity(curve((10, 0.05), (40, 0.08)), [7, 90])

    assert rows["carry"].to_list() == [None, None]
    assert rows["status"].to_list() == ["no_shorter_future", "no_longer_future"]


def test_a_maturity_on_an_expiry_is_that_future():
    rows = constant_maturity(curve((7, 0.05), (30, 0.06), (60, 0.09)), [7, 30, 60])

    assert rows["carry"].to_list() == pytest.approx([0.05, 0.06, 0.09], rel=1e-9)
    assert rows["longer"].to_list() == ["F0", "F1", "F2"]


@given(st.floats(-0.3, 0.5), st.floats(8, 29), st.floats(31, 300))
def test_a_flat_curve_stays_flat(rate, near, far):
    rows = constant_maturity(curve((near, rate), (far, rate)), [30])

    assert rows["carry"][0] == pytest.approx(rate, rel=1e-6, abs=1e-9)
