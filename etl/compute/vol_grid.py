"""Surfaces on grids that stay: constant maturities by delta, by moneyness, and as pillars.

Between two expiries total variance is linear in time at fixed log-moneyness, so that no arbitrage
comes in; before the first expiry it is in proportion to time; beyond the last nothing is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from etl.compute.option_terms import Floats, Ints
from etl.compute.vol_slices import NAME as SLICES
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of_family
from etl.instruments.record import Listing
from lake.partition import Partition
from quant import surface_grid
from quant.essvi import sensitivities, to_raw_svi
from quant.surface_grid import Points
from validators.schemas.vol_grid import (
    DAYS_OUT,
    DELTAS,
    POINTS,
    RATIOS,
    ConstantMaturityVol,
    VolGrid,
)
from validators.schemas.vol_slices import COVARIANCE, PARAMETERS, SVI

KEY = ("timestamp", "underlying", "source")
COLUMNS = (
    *KEY, "expiry", "tenor", "forward", "model", *PARAMETERS, *SVI, *COVARIANCE.values(),
    "low_moneyness", "high_moneyness",
)  # fmt: skip
WORDS = ("ok", "ok", "no_longer_expiry", "no_surface")
"""What `quant.surface_grid.STATUSES` are called here."""


def grid_tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield a month of the grid for every month of smiles."""
    del listing, options
    yield from _tasks("vol_grid", held)


def maturity_tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield a month of pillars for every month of smiles."""
    del listing, options
    yield from _tasks("constant_maturity_vol", held)


def _tasks(name: str, held: Held) -> Iterator[Task]:
    for one in sorted(held):
        if one.dataset == SLICES and held[one].rows:
            mine = Partition(name, one.part, one.period)
            yield Task(mine, (one,), group=f"{one.part} {one.period}")


def grid_step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the grid of each month."""
    del held
    for task in todo:
        yield task, Made(grid_of(pl.DataFrame(read(task.inputs[0], COLUMNS))))


def maturity_step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the pillars of each month."""
    del held
    for task in todo:
        yield task, Made(pillars_of(pl.DataFrame(read(task.inputs[0], COLUMNS))))


def grid_of(slices: pl.DataFrame) -> pl.DataFrame:
    """Return the grid of surfaces: the columns of `VolGrid`, sorted by its key.

    Parameters
    ----------
    slices
        The columns of `COLUMNS`, sorted by the key of `VolSlices`.
    """
    if slices.is_empty():
        return pl.DataFrame(schema=_schema(VolGrid))
    surfaces, points, svi = _points(slices)
    k_delta, _ = surface_grid.at_deltas(points, svi)
    k_strike = np.tile(np.log(RATIOS), (len(points.tenor), 1))
    k = np.column_stack([k_delta, k_strike])
    iv = surface_grid.iv_at(points, svi, k)
    error = _errors(slices, points, k, iv)
    forward = _forwards(slices, points)
    is_far = _is_far(slices, points, k)
    status = np.array(WORDS, object)[points.status]
    status = np.where((status[:, None] == "ok") & is_far, "beyond_quotes", status[:, None])
    each, m = len(POINTS), len(points.tenor)
    known = np.isfinite(iv)
    rows = surfaces[np.repeat(np.arange(len(surfaces)), len(DAYS_OUT) * each)].with_columns(
        days=pl.Series(np.tile(np.repeat(np.array(DAYS_OUT, float), each), len(surfaces))),
        point=pl.Series(list(POINTS) * m),
        log_moneyness=pl.Series(np.where(known, k, np.nan).ravel()),
        strike=pl.Series(np.where(known, forward[:, None] * np.exp(k), np.nan).ravel()),
        iv=pl.Series(iv.ravel()),
        iv_error=pl.Series(error.ravel()),
        status=pl.Series(status.ravel(), dtype=pl.String),
    )
    made = rows.with_columns(pl.col(pl.Float64).fill_nan(None))
    return made.select(*_schema(VolGrid)).sort(*KEY, "days", "point")


def pillars_of(slices: pl.DataFrame) -> pl.DataFrame:
    """Return the pillars of surfaces: the columns of `ConstantMaturityVol`, sorted by its key.

    Parameters
    ----------
    slices
        The columns of `COLUMNS`, sorted by the key of `VolSlices`.
    """
    if slices.is_empty():
        return pl.DataFrame(schema=_schema(ConstantMaturityVol))
    surfaces, points, svi = _points(slices)
    k, iv = surface_grid.at_deltas(points, svi)
    found = surface_grid.pillars(iv)
    middle = DELTAS.index("ATM")
    error = _errors(slices, points, k, iv)[:, middle]
    status = np.array(WORDS, object)[points.status]
    numbers = {"atm": found.atm, "rr25": found.rr25, "bf25": found.bf25, "rr10": found.rr10,
               "bf10": found.bf10, "atm_error": error}  # fmt: skip
    expiry = slices["expiry"].to_physical().to_numpy()
    around = [_where(points.rows[:, side], expiry) for side in (0, 1)]
    around[1] = around[1].fill_null(around[0])
    is_before = pl.Series(points.status == surface_grid.STATUSES.index("before_first"))
    rows = surfaces[np.repeat(np.arange(len(surfaces)), len(DAYS_OUT))].with_columns(
        days=pl.Series(np.tile(np.array(DAYS_OUT, float), len(surfaces))),
        tenor=pl.Series(points.tenor),
        **{name: pl.Series(values) for name, values in numbers.items()},
        shorter=pl.when(~is_before).then(around[0]),
        longer=around[1],
        status=pl.Series(status, dtype=pl.String),
    )
    made = rows.with_columns(pl.col(pl.Float64).fill_nan(None))
    return made.select(*_schema(ConstantMaturityVol)).sort(*KEY, "days")


def svi_of(slices: pl.DataFrame) -> Floats:
    """Return smiles as raw SVI, whichever formula they have; NaN where there is none."""
    theta, rho, psi = (_floats(slices[name]) for name in PARAMETERS)
    own = np.column_stack([_floats(slices[name]) for name in SVI])
    is_svi = (slices["model"] == "svi").fill_null(value=False).to_numpy()
    return np.where(is_svi[:, None], own, to_raw_svi(theta, rho, psi))


def _points(slices: pl.DataFrame) -> tuple[pl.DataFrame, Points, Floats]:
    """Return the surfaces, their constant maturities, and all smiles."""
    surfaces = slices.select(KEY).unique(maintain_order=True)
    number = slices.select(pl.struct(KEY).rle_id().cast(pl.Int64).alias("surface"))[
        "surface"
    ].to_numpy()
    svi, tenor = svi_of(slices), _floats(slices["tenor"])
    points = surface_grid.at_maturities(tenor, svi, number, surfaces=len(surfaces), days=DAYS_OUT)
    return surfaces, points, svi


def _errors(slices: pl.DataFrame, points: Points, k: Floats, iv: Floats) -> Floats:
    """Return standard errors of iv at points: of two smiles that are known apart."""
    theta, rho, psi = (_floats(slices[name]) for name in PARAMETERS)
    covariance = np.empty((len(slices), 3, 3))
    for (i, j), name in COVARIANCE.items():
        covariance[:, i, j] = covariance[:, j, i] = _floats(slices[name])
    variance = np.zeros(k.shape)
    for side in (0, 1):
        row, weight = points.rows[:, side], points.weights[:, side]
        at = np.maximum(row, 0)
        slope = sensitivities(k, *(each[at][:, None] for each in (theta, rho, psi)))
        part = np.einsum("mji,mil,mjl->mj", slope, covariance[at], slope)
        variance += np.where((row >= 0)[:, None], weight[:, None] ** 2 * part, 0.0)
    error = np.sqrt(variance) / (2.0 * iv * points.tenor[:, None])
    return np.where(np.isfinite(iv), error, np.nan)


def _forwards(slices: pl.DataFrame, points: Points) -> Floats:
    """Return forwards at points: linear in their logarithm between two expiries."""
    level = np.log(_floats(slices["forward"]))
    at = np.maximum(points.rows, 0)
    weight = np.where(points.rows >= 0, points.weights, 0.0)
    with np.errstate(invalid="ignore"):
        share = weight / weight.sum(axis=1, keepdims=True)
    return np.asarray(np.exp(np.where(share > 0, share * level[at], 0.0).sum(axis=1)))


def _is_far(slices: pl.DataFrame, points: Points, k: Floats) -> Any:
    """Return whether points lie beyond all quotes of the expiries around."""
    low, high = (_floats(slices[f"{side}_moneyness"]) for side in ("low", "high"))
    at, there = np.maximum(points.rows, 0), points.rows >= 0
    least = np.where(there, low[at], np.inf).min(axis=1)
    most = np.where(there, high[at], -np.inf).max(axis=1)
    return (k < least[:, None]) | (k > most[:, None])


def _where(rows: Ints, expiry: Ints) -> pl.Series:
    """Return the expiries of rows, null where there is none."""
    found = pl.Series(expiry[np.maximum(rows, 0)]).cast(pl.Datetime("us", "UTC"))
    return found.set(pl.Series(rows < 0), None)


def _floats(numbers: pl.Series) -> Floats:
    found: Floats = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


def _schema(model: Any) -> dict[str, Any]:
    return {name: column.dtype.type for name, column in model.to_schema().columns.items()}


VOL_GRID = Computed(
    name="vol_grid",
    aliases=("grid",),
    model=VolGrid,
    inputs=(SLICES,),
    version=1,
    tasks=grid_tasks,
    step=grid_step,
    period="month",
    subject_part=settlement_of_family,
    follows=True,
)
CONSTANT_MATURITY_VOL = Computed(
    name="constant_maturity_vol",
    aliases=("pillars",),
    model=ConstantMaturityVol,
    inputs=(SLICES,),
    version=1,
    tasks=maturity_tasks,
    step=maturity_step,
    period="month",
    subject_part=settlement_of_family,
    follows=True,
)
