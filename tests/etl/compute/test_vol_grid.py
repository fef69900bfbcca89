"""Grids of surfaces: between expiries, at their edges, with errors and reasons."""

import numpy as np
import polars as pl
import pytest

from etl.compute.surface_quotes import of_tickers
from etl.compute.vol_grid import COLUMNS, grid_of, pillars_of
from etl.compute.vol_slices import slices_of
from tests.etl.compute.test_vol_slices import EXPIRIES, quotes
from validators.contract import check
from validators.schemas.vol_grid import ConstantMaturityVol, VolGrid
from validators.schemas.vol_slices import SVI

FIRST, SECOND, _ = EXPIRIES.values()
SHARE = (30 - FIRST) / (SECOND - FIRST)  # of the way from the first expiry to the second


@pytest.fixture(scope="module")
def slices():
    made = slices_of(of_tickers(quotes()))
    return made.filter(pl.col("source") == "marks").select(COLUMNS)


def at(slices, days, point):
    grid = grid_of(slices)
    check(grid, VolGrid)
    return grid.filter(pl.col("days") == days, pl.col("point") == point).row(0, named=True)


def test_between_two_expiries_total_variance_is_linear_in_time(slices):
    first, second = (slices["theta"][row] for row in (0, 1))

    found = at(slices, 30, "K100")

    variance = (1 - SHARE) * first + SHARE * second
    assert found["iv"] == pytest.approx(np.sqrt(variance * 365 / 30), rel=1e-4)
    assert found["strike"] == pytest.approx(100_000)
    assert found["status"] == "ok"


def test_its_error_is_that_of_the_two_smiles_by_their_shares(slices):
    only_theta = slices.with_columns(
        pl.lit(1e-8 if name == "cov_theta_theta" else 0.0).alias(name)
        for name in COLUMNS
        if name.startswith("cov_")
    )

    found = at(only_theta, 30, "K100")

    variance = 1e-8 * ((1 - SHARE) ** 2 + SHARE**2)
    assert found["iv_error"] == pytest.approx(
        np.sqrt(variance) / (2 * found["iv"] * 30 / 365), rel=1e-3
    )


@pytest.mark.parametrize(
    ("point", "status"),
    [("K50", "beyond_quotes"), ("K70", "ok"), ("K130", "ok"), ("K200", "beyond_quotes")],
)
def test_a_point_no_quote_is_near_says_so_on_either_side(slices, point, status):
    assert at(slices, 30, point)["status"] == status


def test_before_the_first_expiry_variance_is_in_proportion_to_time(slices):
    assert at(slices, 7, "K100")["iv"] == pytest.approx(
        np.sqrt(slices["theta"][0] * 365 / FIRST), rel=1e-4
    )


def test_beyond_the_last_expiry_there_is_a_reason_and_no_number(slices):
    found = at(slices, 90, "ATM")

    assert (found["iv"], found["status"]) == (None, "no_longer_expiry")


def test_pillars_are_differences_of_the_grid_and_name_the_expiries_around(slices):
    grid = {point: at(slices, 30, point)["iv"] for point in ("10P", "25P", "ATM", "25C", "10C")}
    made = pillars_of(slices)
    check(made, ConstantMaturityVol)
    found = made.filter(pl.col("days") == 30).row(0, named=True)

    assert found["atm"] == pytest.approx(grid["ATM"])
    assert found["rr25"] == pytest.approx(grid["25C"] - grid["25P"])
    assert found["bf10"] == pytest.approx((grid["10C"] + grid["10P"]) / 2 - grid["ATM"])
    assert [found["shorter"], found["longer"]] == slices["expiry"].to_list()[:2]


def test_a_surface_without_smiles_has_no_number(slices):
    none = (pl.lit(None, pl.Float64).alias(name) for name in ("theta", *SVI))
    bare = slices.with_columns(none)

    assert set(grid_of(bare)["status"]) == set(pillars_of(bare)["status"]) == {"no_surface"}
