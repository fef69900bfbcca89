"""Chains: which expiries and strikes there are, and from when on."""

import numpy as np
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.option_market.calendar import expiries_of
from tests.exchange.option_market.chain import chain
from tests.exchange.option_market.families import BY_NAME, FAMILIES
from tests.exchange.option_market.underlying import DAY_MS
from tests.exchange.path import EPOCH_MS


@pytest.fixture(params=[family.name for family in FAMILIES])
def one(request):
    return chain(7, request.param)


def test_names_are_unique_and_rows_stand_by_expiry_strike_and_side(one):
    assert len(set(one.names)) == len(one.names) == len(one.strike)
    assert (np.diff(one.expiry) >= 0).all()
    for number in range(0, len(one.expiries), 97):
        rows = one.of_expiry(number)
        assert (np.diff(one.strike[rows][::2]) > 0).all()
        assert (one.strike[rows][::2] == one.strike[rows][1::2]).all()
        assert one.sign[rows][:2].tolist() == [1.0, -1.0]


def test_everything_expires_at_eight_but_the_first_at_fifteen(one):
    hours = {(each.name, each.expiration_ms % DAY_MS // 3_600_000) for each in one.expiries}

    assert {name for name, hour in hours if hour != 8} <= {"BTC-15JUL16"}
    if one.family.name == "BTC":
        assert ("BTC-15JUL16", 15) in hours


def test_strikes_are_added_just_after_eight_as_the_index_moves(one):
    listed = np.array([each.listed_ms for each in one.expiries])[one.expiry]
    later = one.creation_ms > listed
    past_eight = (one.creation_ms - EPOCH_MS) % DAY_MS

    assert 0.05 < later.mean() < 0.6
    assert (one.creation_ms >= listed).all()
    assert (one.creation_ms < one.expiration_ms).all()
    assert (past_eight >= 5_000).all()
    assert (past_eight < 25_000).all()


def test_the_index_always_lies_within_the_strikes_that_are_listed(one, quiet):
    family = one.family
    for number in range(0, len(one.expiries), 41):
        rows, expiry = one.of_expiry(number), one.expiries[number]
        days = np.arange(expiry.first_day, expiry.end_day)
        levels = np.exp(
            quiet.world.options.underlyings.log_levels(family.base, family.perpetual, days)
        )
        for day, level in zip(days.tolist(), levels.tolist(), strict=True):
            there = one.creation_ms[rows] <= EPOCH_MS + day * DAY_MS + 25_000
            strikes = one.strike[rows][there]
            assert strikes.min() < level < strikes.max()
            assert np.abs(strikes / level - 1).min() < 0.04


def test_a_grid_is_dense_near_the_money():
    one = chain(7, "BTC")
    number = next(n for n, each in enumerate(one.expiries) if each.name == "BTC-27DEC24")
    rows = one.of_expiry(number)
    first = one.creation_ms[rows] == one.expiries[number].listed_ms
    strikes = np.unique(one.strike[rows][first])
    steps = np.diff(strikes)

    assert 30 < len(strikes) < 120
    assert steps[0] > steps[len(steps) // 3]
    assert steps[-1] >= 4 * steps.min()


@pytest.mark.parametrize(
    ("family", "first", "last", "period"),
    [
        ("BTC", "2020-02-04", "2020-02-06", "day"),
        ("BTC", "2016-07-22", "2016-07-22", "week"),
        ("ETH", "2024-01-26", "2024-01-26", "month"),
        ("SOL_USDC", "2025-09-26", "2025-09-26", "month"),
    ],
)
def test_the_calendar_has_days_since_2020_and_weeks_since_2016(family, first, last, period):
    found = {
        one.expiration_ms: one.period
        for one in expiries_of(BY_NAME[family])
        if milliseconds(first) <= one.expiration_ms < milliseconds(last) + DAY_MS
    }

    assert period in found.values()


def test_no_daily_option_is_older_than_they_are():
    days = [one for one in expiries_of(BY_NAME["BTC"]) if one.period == "day"]

    assert min(one.expiration_ms for one in days) >= milliseconds("2020-02-03T08:00")
    assert not any(one.has_future for one in days if one.expiration_ms < milliseconds("2026-08-01"))
    assert all(one.has_future for one in days if one.listed_ms > milliseconds("2026-08-05"))


def test_linear_strikes_have_a_d_for_the_decimal_point():
    names = [name for name in chain(7, "XRP_USDC").names if "d" in name]

    assert len(names) > 10_000
    for name in names[::1_000]:
        row = chain(7, "XRP_USDC").rows[name]
        strike = float(name.split("-")[2].replace("d", "."))
        assert strike == chain(7, "XRP_USDC").strike[row]
