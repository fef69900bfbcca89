"""Whether slices of total variance admit arbitrage: butterflies within one, calendars between two.

Both families of slices are checked by the same code, as raw SVI: `quant.essvi.to_raw_svi`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quant.kernels.rows import Bools, Floats

TOLERANCE = 1e-12
"""What rounding may take from a density or a difference of total variances [1]."""


@dataclass(frozen=True, slots=True)
class Margins:
    """How far slices are from an arbitrage; all arrays have shape (n,), NaN where not checked.

    Attributes
    ----------
    worst : float64 array
        Least of Durrleman's g, or of total variance less that of the slice before [1]; negative
        where there is arbitrage.
    log_moneyness : float64 array
        Where that is [1]; infinite for a limit.
    slope : float64 array
        What the wings have left: 2 less the steeper one's slope (Lee's bound), or the lesser
        difference to the slopes of the slice before [1]. Negative where there is arbitrage far
        out.
    """

    worst: Floats
    log_moneyness: Floats
    slope: Floats

    @property
    def is_violated(self) -> Bools:
        """Which slices admit arbitrage, shape (n,)."""
        return (self.worst < -TOLERANCE) | (self.slope < -TOLERANCE)

    @property
    def violations(self) -> int:
        """How many slices admit arbitrage."""
        return int(self.is_violated.sum())

    @property
    def worst_row(self) -> int | None:
        """The slice nearest to arbitrage, or furthest in it; None where none was checked."""
        return None if np.isnan(self.worst).all() else int(np.nanargmin(self.worst))


def butterflies(svi: Floats) -> Margins:
    """Least density of slices: Durrleman's condition, and Lee's bound on the wings.

    Parameters
    ----------
    svi : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1]; rows with NaN are not checked.

    Returns
    -------
    Margins
        Of each slice by itself.

    Raises
    ------
    ValueError
        If the array has another shape or dtype.

    References
    ----------
    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), lemma 2.2;
    R. Lee, "The moment formula for implied volatility at extreme strikes" (2004).
    """
    from quant.kernels import arbitrage as kernels  # noqa: PLC0415  # numba takes its time

    out = np.empty((len(_checked(svi)), 3))
    kernels.butterflies(np.ascontiguousarray(svi), out)
    return Margins(*out.T.copy())


def calendars(svi: Floats, surface: NDArray[np.int64]) -> Margins:
    """Least distance of slices above the slice before, in total variance at the same k.

    Parameters
    ----------
    svi : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1], each surface in order of expiry; rows with NaN are passed
        over.
    surface : int64 array, shape (n,)
        Which surface each slice is of, ascending.

    Returns
    -------
    Margins
        NaN for the first slice of each surface.

    Raises
    ------
    ValueError
        If an array has another shape or dtype.
    """
    from quant.kernels import arbitrage as kernels  # noqa: PLC0415  # numba takes its time

    n = len(_checked(svi))
    if surface.shape != (n,) or surface.dtype != np.int64:
        message = f"surface: expected int64 of shape ({n},), got {surface.dtype} of {surface.shape}"
        raise ValueError(message)
    out = np.empty((n, 3))
    kernels.calendars(np.ascontiguousarray(svi), np.ascontiguousarray(surface), out)
    return Margins(*out.T.copy())


def _checked(svi: Floats) -> Floats:
    if svi.ndim != 2 or svi.shape[1] != 5 or svi.dtype != np.float64:  # noqa: PLR2004  # raw SVI
        message = f"svi: expected float64 of shape (n, 5), got {svi.dtype} of {svi.shape}"
        raise ValueError(message)
    return svi
