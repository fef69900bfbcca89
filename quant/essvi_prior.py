"""What the surface of an earlier moment says of now: less, the older it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quant.essvi_fit import Fit
    from quant.kernels.rows import Bools, Floats

MONTH = 30 / 365
LEVEL_DRIFT = 0.03
"""Standard deviation of ln theta and ln psi after an hour at a tenor of 30 days [1]."""
RHO_DRIFT = 0.02
"""Standard deviation of rho after an hour [1]."""
_LEAST_TENOR = MONTH / 16  # what is nearer to expiry drifts as if it were not


@dataclass(frozen=True, slots=True)
class Prior:
    """Normal distributions of (theta, rho, psi), one per slice; NaN and zero where none is known.

    Attributes
    ----------
    theta, rho, psi : float64 arrays, shape (slices,)
        Means [1].
    information : float64 array, shape (slices, 3, 3)
        Inverse covariances.
    """

    theta: Floats
    rho: Floats
    psi: Floats
    information: Floats

    @property
    def is_known(self) -> Bools:
        """Which slices anything is known of, shape (slices,)."""
        return np.isfinite(self.theta)

    @classmethod
    def nothing(cls, slices: int) -> Prior:
        """Return the prior that knows of no slice."""
        unknown = np.full(slices, np.nan)
        return cls(unknown, unknown, unknown, np.zeros((slices, 3, 3)))

    def of(self, slices: NDArray[np.intp]) -> Prior:
        """Return the prior of some slices."""
        return Prior(
            self.theta[slices], self.rho[slices], self.psi[slices], self.information[slices]
        )


def carried(fit: Fit, rows: NDArray[np.int64], tenor: Floats, *, hours: float | Floats) -> Prior:
    """Return what an earlier surface says of the slices of now.

    Parameters
    ----------
    fit : Fit
        The earlier surface.
    rows : int64 array, shape (slices,)
        Which of its slices has the expiry of each slice of now; -1 for none.
    tenor : float64 array, shape (slices,)
        Time to expiry now [yr].
    hours : float, or float64 array, shape (slices,)
        How old the surface is, or each of its slices [h].

    Returns
    -------
    Prior
        The same smile in standard deviations at the shorter tenor (theta falls with the tenor,
        psi with its root), with the variance of a random walk added for its age.
    """
    known = (rows >= 0) & (tenor > 0)
    at = np.where(known, rows, 0)
    if not len(fit.tenor):
        return Prior.nothing(len(rows))
    known &= np.isfinite(fit.theta[at]) & np.isfinite(fit.covariance[at]).all(axis=(1, 2))
    shrunk = np.where(known, tenor / fit.tenor[at], np.nan)
    theta, rho, psi = fit.theta[at] * shrunk, fit.rho[at], fit.psi[at] * np.sqrt(shrunk)
    rho = np.where(known, rho, np.nan)
    by = np.stack([shrunk, np.ones_like(shrunk), np.sqrt(shrunk)], axis=1)
    covariance = fit.covariance[at] * by[:, :, None] * by[:, None, :]
    level = LEVEL_DRIFT * np.sqrt(hours * MONTH / np.maximum(tenor, _LEAST_TENOR))
    drift = np.stack([level * theta, np.full(len(rows), RHO_DRIFT * np.sqrt(hours)), level * psi])
    covariance[:, range(3), range(3)] += (drift**2).T
    covariance[~known] = np.eye(3)
    information = np.where(known[:, None, None], np.linalg.inv(covariance), 0.0)
    return Prior(theta, rho, psi, information)


def pull(prior: Prior) -> tuple[Floats, Floats]:
    """Return the prior in the coordinates of the cone, x = (ln phi, ln u, ln v).

    Returns
    -------
    centre : float64 array, shape (slices, 3)
        Where x is drawn to [1]; zero for none.
    stiffness : float64 array, shape (slices, 3, 3)
        Inverse covariance of x; zero for none.
    """
    theta, rho, psi = prior.theta, prior.rho, prior.psi
    x = np.log(np.stack([psi / theta, psi * (1.0 + rho), psi * (1.0 - rho)], axis=1))
    # theta = (u + v) / (2 phi), rho = (u - v) / (u + v), psi = (u + v) / 2
    up, down = 0.5 * (1.0 + rho), 0.5 * (1.0 - rho)
    zero = np.zeros_like(theta)
    by = np.stack(
        [
            np.stack([-theta, theta * up, theta * down], axis=1),
            np.stack([zero, 2.0 * up * down, -2.0 * up * down], axis=1),
            np.stack([zero, psi * up, psi * down], axis=1),
        ],
        axis=1,
    )
    known = prior.is_known
    by[~known] = 0.0
    stiffness = by.transpose(0, 2, 1) @ prior.information @ by
    return np.where(known[:, None], x, 0.0), stiffness
