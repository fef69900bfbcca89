"""Fit surfaces one after the other, and describe each: parameters, errors, no arbitrage."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from etl.compute.option_terms import Bools, Floats, Ints
from etl.compute.surface_quotes import HOUR_US, NO_FIT, OK, Chain
from quant import arbitrage, svi
from quant.essvi import iv_error, to_raw_svi
from quant.essvi_fit import STATUSES as FITTED
from quant.essvi_fit import Fit, Quotes, fit
from quant.essvi_prior import Prior, carried
from validators.schemas.vol_slices import COVARIANCE, STATUSES, SVI

FORGOTTEN_US = 7 * 24 * HOUR_US
"""How long a smile is remembered of which no trade has come since."""
ARBITRAGE = STATUSES.index("arbitrage")
CONSTRAINED = svi.STATUSES.index("constrained")
WORDS = {"few_quotes": "few_quotes", "flat_quotes": "flat_marks", "expired": "near_expiry"}
"""What the fit calls a slice it leaves out, and what we do."""


@dataclass(slots=True)
class _Memory:
    """The last smile of each expiry of one underlying, by expiry [us since 1970]."""

    at: dict[int, int] = field(default_factory=dict)
    smile: dict[int, tuple[float, float, float, float, Floats]] = field(default_factory=dict)

    def of(self, chain: Chain) -> Prior | None:
        """Return what is remembered of the expiries of a chain; None for nothing."""
        known = [
            number
            for number, expiry in enumerate(chain.expiry.tolist())
            if expiry in self.at and chain.at - self.at[expiry] <= FORGOTTEN_US
        ]
        if not known:
            return None
        told = [self.smile[int(chain.expiry[number])] for number in known]
        tenor, theta, rho, psi, covariance = (
            np.array(column) for column in zip(*told, strict=True)
        )
        rows = np.full(len(chain.expiry), -1, np.int64)
        rows[known] = np.arange(len(known))
        hours = np.ones(len(chain.expiry))
        hours[known] = [(chain.at - self.at[int(chain.expiry[n])]) / HOUR_US for n in known]
        nothing, none = np.full(len(known), np.nan), np.zeros(len(known), np.int64)
        last = Fit(tenor, theta, rho, psi, covariance, nothing, nothing, nothing, none,
                   none.astype(np.uint8), 0, converged=True)  # fmt: skip
        return carried(last, rows, chain.tenor, hours=hours)

    def keep(self, chain: Chain, made: Fit, rows: Ints) -> None:
        """Remember the smiles of a chain, and forget expiries that are over."""
        for row, number in enumerate(rows.tolist()):
            if np.isfinite(made.theta[row]) and np.isfinite(made.covariance[row]).all():
                expiry = int(chain.expiry[number])
                self.at[expiry] = chain.at
                self.smile[expiry] = (
                    float(made.tenor[row]), float(made.theta[row]), float(made.rho[row]),
                    float(made.psi[row]), made.covariance[row],
                )  # fmt: skip
        for expiry in [one for one in self.at if one <= chain.at]:
            del self.at[expiry], self.smile[expiry]


@dataclass(frozen=True, slots=True)
class _Smiles:
    """The smiles that are published, a row a living expiry; NaN where there is none.

    `svi` are the slices as raw SVI, `is_svi` says which were fitted so; `rmse` [1/sqrt(yr)] and
    `largest` [errors] are of the quotes.
    """

    svi: Floats
    is_svi: Bools
    rmse: Floats
    largest: Floats


@dataclass(slots=True)
class Fits:
    """Surfaces as they are fitted: those of trades remember the hours before."""

    memory: dict[str, _Memory] = field(default_factory=dict)

    def described(self, chain: Chain) -> pl.DataFrame:
        """Return the smiles of a chain, a row an expiry, with the columns of `VolSlices`."""
        alive = np.flatnonzero(chain.tenor > 0)
        number = np.searchsorted(alive, chain.number).astype(np.int64)
        weight = np.ones(len(chain.iv))
        quotes = Quotes(number, chain.log_moneyness, chain.iv, chain.error, weight)
        tenor = chain.tenor[alive]
        if chain.source != "trades":
            made = fit(quotes, tenor)
            return _frame(chain, made, alive, _bettered(quotes, tenor, made))
        memory = self.memory.setdefault(chain.underlying, _Memory())
        known = memory.of(chain)
        made = fit(quotes, tenor, prior=None if known is None else known.of(alive))
        memory.keep(chain, made, alive)
        return _frame(chain, made, alive, _as_fitted(made))


def _as_fitted(made: Fit) -> _Smiles:
    svi = to_raw_svi(made.theta, made.rho, made.psi)
    return _Smiles(svi, np.zeros(len(svi), bool), made.rmse, made.largest)


def _bettered(quotes: Quotes, tenor: Floats, made: Fit) -> _Smiles:
    """Return smiles of raw SVI where they say more than those of eSSVI and do not cross another.

    Two parameters more have to pay for themselves, by Akaike's criterion. Later expiries are
    fitted first: they are quoted far out, and pin the wings of those before.
    """
    plain = _as_fitted(made)
    wanted = np.flatnonzero(np.isfinite(made.theta))[::-1]
    if not len(wanted):
        return plain
    place = np.full(len(tenor), -1)
    place[wanted] = np.arange(len(wanted))
    rows = np.flatnonzero(place[quotes.slice_number] >= 0)
    rows = rows[np.argsort(place[quotes.slice_number[rows]], kind="stable")]
    k, iv, error = (each[rows] for each in (quotes.log_moneyness, quotes.iv, quotes.error))
    of_slice = place[quotes.slice_number[rows]].astype(np.int64)
    found = svi.fitted(of_slice, k, iv, error, tenor[wanted], group=np.zeros(len(wanted), np.int64))
    own = np.full((len(tenor), 5), np.nan)
    own[wanted] = np.where((found.status <= CONSTRAINED)[:, None], found.svi, np.nan)
    number = quotes.slice_number
    misfits = [_misfit(number, quotes, tenor, each) for each in (plain.svi, own)]
    count = np.bincount(number, minlength=len(tenor))
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = count * np.log(misfits[0][0] / misfits[1][0])
        price = _penalty(count, 5) - _penalty(count, 3)
    is_svi = np.isfinite(own).all(axis=1) & (gain > price)
    is_svi = _uncrossed(plain.svi, own, is_svi)
    return _Smiles(
        np.where(is_svi[:, None], own, plain.svi),
        is_svi,
        np.where(is_svi, misfits[1][1], plain.rmse),
        np.where(is_svi, misfits[1][2], plain.largest),
    )


def _misfit(number: Ints, quotes: Quotes, tenor: Floats, smiles: Floats) -> tuple[Floats, ...]:
    """Return of each smile the robust mean square of residuals [errors], RMSE and worst."""
    model = np.sqrt(svi.total_variance(smiles, number, quotes.log_moneyness) / tenor[number])
    off = model - quotes.iv
    r = np.abs(off / quotes.error)
    robust = np.where(r < svi.KINK, r * r, svi.KINK * (2 * r - svi.KINK))
    count = np.maximum(np.bincount(number, minlength=len(tenor)), 1)
    worst = np.zeros(len(tenor))
    with np.errstate(invalid="ignore"):  # numpy's .at reports what others left
        np.maximum.at(worst, number, r)
    mean = np.bincount(number, robust, len(tenor)) / count
    return mean, np.sqrt(np.bincount(number, off * off, len(tenor)) / count), worst


def _penalty(count: Ints, parameters: int) -> Floats:
    """Return Akaike's price of parameters, for few quotes."""
    left = np.maximum(count - parameters - 1, 1e-9)
    return np.asarray(2 * parameters + 2 * parameters * (parameters + 1) / left)


def _uncrossed(plain: Floats, own: Floats, is_svi: Bools) -> Bools:
    """Return which smiles may be their own without crossing a neighbour."""
    is_svi = is_svi.copy()
    one = np.zeros(len(plain), np.int64)
    while is_svi.any():
        mixed = np.where(is_svi[:, None], own, plain)
        crossed = np.flatnonzero(arbitrage.calendars(mixed, one).is_violated)
        broken = arbitrage.butterflies(mixed).is_violated & is_svi
        if not len(crossed) and not broken.any():
            break
        known = np.flatnonzero(np.isfinite(mixed).all(axis=1))
        before = known[np.searchsorted(known, crossed) - 1]
        blamed = np.concatenate([crossed, before])
        blamed = blamed[is_svi[blamed]]
        is_svi[blamed] = False
        is_svi &= ~broken
        if not len(blamed) and not broken.any():
            break
    return is_svi


def _frame(chain: Chain, made: Fit, alive: Ints, smiles: _Smiles) -> pl.DataFrame:
    """Return the rows of one surface."""
    size = len(chain.expiry)
    density = arbitrage.butterflies(smiles.svi)
    margin = arbitrage.calendars(smiles.svi, np.zeros(len(smiles.svi), np.int64))
    is_broken = density.is_violated | margin.is_violated
    status = _statuses(chain, made, alive, is_broken)
    is_ok = status == OK
    found = _numbers(made, smiles) | {
        "min_density": density.worst, "calendar_margin": margin.worst,
    }  # fmt: skip
    told = {name: _spread(values, alive, size, is_ok) for name, values in found.items()}
    is_checked = is_ok | (status == ARBITRAGE)
    is_svi = np.zeros(size, bool)
    is_svi[alive] = smiles.is_svi
    said = ("left_out", "repaired", "violations_before")
    return (
        pl.DataFrame(_of_chain(chain) | told)
        .with_columns(
            pl.Series("status", [STATUSES[code] for code in status.tolist()]),
            pl.when(pl.Series(is_ok)).then(
                pl.when(pl.Series(is_svi)).then(pl.lit("svi")).otherwise(pl.lit("essvi"))
            ).alias("model"),
            pl.Series(
                "violations_after", _spread(is_broken.astype(float), alive, size, is_checked)
            ).fill_nan(None).cast(pl.Int64),
            *(pl.when(pl.col(name) >= 0).then(pl.col(name)).alias(name) for name in said),
        )
        .filter(pl.col("tenor") > 0)
    )  # fmt: skip


def _numbers(made: Fit, smiles: _Smiles) -> dict[str, Floats]:
    """Return what was fitted, a value a living expiry."""
    rows = np.arange(len(made.tenor))
    at_money = np.zeros(len(rows))
    error = iv_error(
        at_money, made.tenor, made.theta, made.rho, made.psi, covariance=made.covariance
    )
    variance = svi.total_variance(smiles.svi, rows, at_money)
    own = np.where(smiles.is_svi[:, None], smiles.svi, np.nan)
    return {
        "theta": made.theta, "rho": made.rho, "psi": made.psi,
        "atm_iv": np.sqrt(variance / made.tenor), "atm_error": error,
        "rmse": smiles.rmse, "largest_residual": smiles.largest,
        **{name: made.covariance[:, i, j] for (i, j), name in COVARIANCE.items()},
        **dict(zip(SVI, own.T, strict=True)),
    }  # fmt: skip


def _of_chain(chain: Chain) -> dict[str, Any]:
    """Return what is known of a surface before it is fitted, a value an expiry."""
    size = len(chain.expiry)
    low, high = _reach(chain)
    moments = {"timestamp": np.full(size, chain.at), "expiry": chain.expiry}
    return {
        **{name: pl.Series(each).cast(pl.Datetime("us", "UTC")) for name, each in moments.items()},
        "underlying": [chain.underlying] * size, "source": [chain.source] * size,
        "tenor": chain.tenor, "forward": chain.forward,
        "quotes": np.bincount(chain.number, minlength=size),
        "low_moneyness": low, "high_moneyness": high,
        "left_out": chain.left_out, "repaired": chain.repaired,
        "violations_before": np.full(size, chain.violations),
        "worst_before": np.full(size, chain.worst),
    }  # fmt: skip


def _statuses(chain: Chain, made: Fit, alive: Ints, is_broken: Bools) -> Ints:
    """Return why each expiry has no smile, by `STATUSES`; the first reason that was found stays."""
    reason = np.full(len(alive), OK)
    for word, ours in WORDS.items():
        reason[made.status == FITTED.index(word)] = STATUSES.index(ours)
    is_told = np.isfinite(made.theta) & np.isfinite(made.covariance).all(axis=(1, 2))
    reason[(reason == OK) & ~is_told] = NO_FIT
    reason[(reason == OK) & is_broken] = ARBITRAGE
    status = chain.status.copy()
    status[alive] = np.where(status[alive] == OK, reason, status[alive])
    return status


def _spread(values: Floats, rows: Ints, size: int, is_ok: Bools) -> Floats:
    """Return values of some rows among all, NaN where there is no smile."""
    out = np.full(size, np.nan)
    out[rows] = values
    return np.where(is_ok, out, np.nan)


def _reach(chain: Chain) -> tuple[Floats, Floats]:
    """Return the least and the greatest log-moneyness of each expiry's quotes."""
    low, high = np.full(len(chain.expiry), np.inf), np.full(len(chain.expiry), -np.inf)
    with np.errstate(invalid="ignore"):  # as above
        np.minimum.at(low, chain.number, chain.log_moneyness)
        np.maximum.at(high, chain.number, chain.log_moneyness)
    none = np.isinf(low)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)
