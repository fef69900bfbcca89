"""The contract of the bill curve: what is carried, what is no rate, what is no fraction."""

from datetime import UTC, datetime

import polars as pl
import pytest

from validators import contract
from validators.schemas.treasury_bills import TENORS, TreasuryBills

MONDAY, TUESDAY = (datetime(2024, 1, day, tzinfo=UTC) for day in (8, 9))
SCHEMA = {name: one.dtype.type for name, one in TreasuryBills.to_schema().columns.items()}


def row(**members):
    return {
        "timestamp": TUESDAY,
        "currency": "USD",
        "published_on": TUESDAY,
        "source": "treasury",
        "is_carried": False,
        **dict.fromkeys(TENORS, 0.05),
        **members,
    }


def failed(**members):
    split = contract.split(pl.DataFrame([row(**members)], schema=SCHEMA), TreasuryBills)
    return split.rejected["failed_check"].to_list()


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"published_on": MONDAY, "is_carried": True},
        {"rate_1m": -0.001, "rate_1_5m": None, "rate_4m": None},
        {"rate_1m": 0.0, "source": "fred"},
    ],
)
def test_curves_carried_ones_and_negative_yields_are_kept(members):
    assert failed(**members) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"rate_3m": 5.25}, "rate_3m:within_100_percent"),
        ({"rate_3m": float("nan")}, "rate_3m:finite"),
        ({"rate_1y": float("inf")}, "rate_1y:finite"),
        ({"timestamp": TUESDAY.replace(hour=8)}, "timestamp:on_grid"),
        ({"source": "bank"}, "source:isin"),
        ({"published_on": MONDAY}, "carried_from_the_past"),
        ({"is_carried": True}, "carried_from_the_past"),
        ({"timestamp": MONDAY, "is_carried": True}, "carried_from_the_past"),
        (dict.fromkeys(TENORS), "empty_curve"),
        (dict.fromkeys(TENORS, 0.0), "all_zero"),
        ({**dict.fromkeys(TENORS), "rate_3m": 0.0, "rate_1y": 0.0}, "all_zero"),
    ],
)
def test_what_is_no_curve_is_told_why(members, reason):
    assert any(reason in words for words in failed(**members)), failed(**members)


def test_tenors_are_columns_the_shortest_first():
    columns = list(TreasuryBills.to_schema().columns)

    assert columns[-len(TENORS) :] == list(TENORS)
    assert list(TENORS.values()) == sorted(TENORS.values())
