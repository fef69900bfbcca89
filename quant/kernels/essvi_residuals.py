"""What a calibrated eSSVI surface leaves: residuals, their scale, and how well it is known."""

import numpy as np

from quant.kernels.compilation import kernel, scalar
from quant.kernels.essvi import SUMS, misfit, variance_and_slopes

PARAMETERS = 3
NORMAL_SCALE = 1.4826  # standard deviation over median absolute deviation, of a normal


@kernel
def residuals(k, iv, precision, weight, first, tenor, theta, rho, psi, summary, information):  # noqa: PLR0913, PLR0917
    """Residuals of each slice in sum, and what its quotes say about its parameters.

    Parameters
    ----------
    k, iv, precision, weight : float64 arrays, shape (n,)
        Quotes sorted by slice, as for `quant.kernels.essvi_solver.solve`.
    first : int64 array, shape (slices + 1,)
        Where each slice begins.
    tenor, theta, rho, psi : float64 arrays, shape (slices,)
        Time to expiry [yr], and the surface [1].
    summary : float64 array, shape (slices, 3)
        Where go: the root mean square of the residuals by weight [1/sqrt(yr)], the largest in
        errors [1], and their robust scale in errors [1].
    information : float64 array, shape (slices, 3, 3)
        Where goes: the inverse covariance of (theta, rho, psi) if errors are standard deviations.
    """
    sums = np.empty(SUMS)
    for i in range(tenor.shape[0]):
        own = slice(first[i], first[i + 1])
        _sum_up(
            k[own], iv[own], precision[own], weight[own], tenor[i],
            theta[i], rho[i] * psi[i], psi[i], summary[i],
        )  # fmt: skip
        misfit(
            k[own], iv[own], precision[own], weight[own], tenor[i],
            theta[i], rho[i] * psi[i], psi[i], np.bool_(False), sums,  # noqa: FBT003
        )  # fmt: skip
        _to_rho(sums, rho[i], psi[i], information[i])


@scalar
def _sum_up(k, iv, precision, weight, tenor, theta, tilt, psi, summary):  # noqa: PLR0913, PLR0917
    n = k.shape[0]
    square, total, largest = 0.0, 0.0, 0.0
    sizes = np.empty(n)
    for j in range(n):
        w, _, _, _ = variance_and_slopes(k[j], theta, tilt, psi)
        off = np.sqrt(w / tenor) - iv[j]
        square += weight[j] * off * off
        total += weight[j]
        sizes[j] = abs(off) * precision[j]
        largest = max(largest, sizes[j])
    summary[0] = np.sqrt(square / total)
    summary[1] = largest
    freedom = n / (n - PARAMETERS) if n > PARAMETERS else 1.0
    sizes.sort()  # np.median takes numba two seconds to compile
    median = 0.5 * (sizes[(n - 1) // 2] + sizes[n // 2])
    summary[2] = NORMAL_SCALE * median * np.sqrt(freedom)


@scalar
def _to_rho(sums, rho, psi, information):
    """Curvatures by (theta, rho psi, psi) as those by (theta, rho, psi)."""
    information[0, 0] = sums[4]
    information[0, 1] = psi * sums[5]
    information[0, 2] = sums[6] + rho * sums[5]
    information[1, 1] = psi * psi * sums[7]
    information[1, 2] = psi * (sums[8] + rho * sums[7])
    information[2, 2] = sums[9] + 2.0 * rho * sums[8] + rho * rho * sums[7]
    information[1, 0], information[2, 0] = information[0, 1], information[0, 2]
    information[2, 1] = information[1, 2]
