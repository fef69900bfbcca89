"""The eSSVI smile: total variance of slices (theta, rho, psi), and surfaces free of arbitrage.

    w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)**2 + 1 - rho**2)),  phi = psi/theta

How the slices of a surface are kept from crossing stands in `quant.kernels.essvi`.
"""

import numpy as np

from quant.kernels.rows import Floats


def total_variance(k: Floats, theta: Floats, rho: Floats, psi: Floats) -> Floats:
    """Total variance of slices at log-moneyness.

    Parameters
    ----------
    k : float64 array, any shape
        Log-moneyness ln(strike/forward) [1].
    theta, rho, psi : float64 arrays, shapes that broadcast with k
        Total variance at the money [1], correlation [1], theta phi [1].

    Returns
    -------
    float64 array, the broadcast shape
        iv**2 tenor [1].
    """
    return np.asarray(0.5 * (theta + rho * psi * k + _root(k, theta, rho, psi)))


def derivatives(k: Floats, theta: Floats, rho: Floats, psi: Floats) -> tuple[Floats, Floats]:
    """First and second derivative of total variance by log-moneyness [1].

    Parameters
    ----------
    k, theta, rho, psi : float64 arrays
        As for `total_variance`.
    """
    root = _root(k, theta, rho, psi)
    first = 0.5 * (rho * psi + psi * (rho * theta + psi * k) / root)
    second = 0.5 * psi * psi * (1.0 - rho * rho) * theta * theta / root**3
    return np.asarray(first), np.asarray(second)


def sensitivities(k: Floats, theta: Floats, rho: Floats, psi: Floats) -> Floats:
    """Return the derivatives of total variance by theta, rho and psi.

    Parameters
    ----------
    k, theta, rho, psi : float64 arrays
        As for `total_variance`.

    Returns
    -------
    float64 array, the broadcast shape with one more axis of length 3
        [1].
    """
    root = _root(k, theta, rho, psi)
    by_theta = 0.5 + 0.5 * (theta + rho * psi * k) / root
    by_tilt = 0.5 * k * (1.0 + theta / root)
    by_psi = 0.5 * psi * k * k / root + rho * by_tilt
    return np.stack(np.broadcast_arrays(by_theta, psi * by_tilt, by_psi), axis=-1)


def iv_error(
    k: Floats, tenor: Floats, theta: Floats, rho: Floats, psi: Floats, *, covariance: Floats
) -> Floats:
    """Return the standard error of volatility at log-moneyness, from that of the parameters.

    Parameters
    ----------
    k : float64 array, any shape
        Log-moneyness [1].
    tenor, theta, rho, psi : float64 arrays, shapes that broadcast with k
        Time to expiry [yr]; the slices.
    covariance : float64 array, the same shapes with two more axes of length 3
        Of (theta, rho, psi).

    Returns
    -------
    float64 array, the broadcast shape
        [1/sqrt(yr)], to first order (delta method).
    """
    slope = sensitivities(k, theta, rho, psi)
    variance = np.einsum("...i,...ij,...j->...", slope, covariance, slope)
    iv = np.sqrt(total_variance(k, theta, rho, psi) / tenor)
    return np.asarray(np.sqrt(variance) / (2.0 * iv * tenor))


def to_raw_svi(theta: Floats, rho: Floats, psi: Floats) -> Floats:
    """Return the same slices as raw SVI, w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)).

    Parameters
    ----------
    theta, rho, psi : float64 arrays, shape (n,)
        The slices.

    Returns
    -------
    float64 array, shape (n, 5)
        a, b, rho, m, sigma [1].
    """
    rest = 1.0 - rho * rho
    length = theta / psi
    return np.stack(
        [0.5 * theta * rest, 0.5 * psi, rho, -rho * length, np.sqrt(rest) * length], axis=1
    )


def from_global(
    rho: Floats, first_theta: float, a: Floats, c: Floats
) -> tuple[Floats, Floats, Floats]:
    """Slices of Mingone's global parameters: every choice of them is free of arbitrage.

    Parameters
    ----------
    rho : float64 array, shape (n,)
        Correlations, each in (-1, 1) [1].
    first_theta : float
        Total variance at the money of the first slice, positive [1].
    a : float64 array, shape (n - 1,)
        By how much theta exceeds its bound, not negative [1].
    c : float64 array, shape (n,)
        Where psi lies between its bounds, each in (0, 1) [1].

    Returns
    -------
    theta, rho, psi : float64 arrays, shape (n,)
        The slices.

    References
    ----------
    A. Mingone, "No arbitrage global parametrization for the eSSVI volatility surface",
    arXiv 2204.00312 (2022), proposition 3.5.
    """
    growth = _least_growth(rho)
    theta = np.empty(rho.shape)
    theta[0] = first_theta
    for i, step in enumerate(a):
        theta[i + 1] = theta[i] * growth[i] + step
    ahead = _most_psi(theta, rho, growth)
    psi = np.empty(rho.shape)
    psi[0] = c[0] * ahead[0]
    for i in range(1, len(rho)):
        least, most = (
            psi[i - 1] * growth[i - 1],
            min(psi[i - 1] * theta[i] / theta[i - 1], ahead[i]),
        )
        psi[i] = least + c[i] * (most - least)
    return theta, rho, psi


def to_global(theta: Floats, rho: Floats, psi: Floats) -> tuple[float, Floats, Floats]:
    """Mingone's global parameters of a surface: the inverse of `from_global`.

    Parameters
    ----------
    theta, rho, psi : float64 arrays, shape (n,)
        Slices in order of expiry.

    Returns
    -------
    first_theta, a, c : float, float64 arrays of shape (n - 1,) and (n,)
        Inside their ranges exactly where the surface is free of arbitrage by the conditions of
        `quant.kernels.essvi`; NaN in c where its bounds coincide.
    """
    growth = _least_growth(rho)
    least = np.concatenate([[0.0], psi[:-1] * growth])
    by_calendar = np.concatenate([[np.inf], psi[:-1] * theta[1:] / theta[:-1]])
    most = np.minimum(by_calendar, _most_psi(theta, rho, growth))
    with np.errstate(invalid="ignore", divide="ignore"):
        c = (psi - least) / (most - least)
    return float(theta[0]), theta[1:] - theta[:-1] * growth, c


def _least_growth(rho: Floats) -> Floats:
    """Return the least factor by which theta and psi grow from each slice to the next."""
    before, after = rho[:-1], rho[1:]
    return np.maximum((1.0 + before) / (1.0 + after), (1.0 - before) / (1.0 - after))


def _most_psi(theta: Floats, rho: Floats, growth: Floats) -> Floats:
    """Return the most that psi may be without a butterfly, now or in any later slice."""
    most = np.minimum(4.0 / (1.0 + np.abs(rho)), np.sqrt(4.0 * theta / (1.0 + np.abs(rho))))
    for i in range(len(rho) - 2, -1, -1):
        most[i] = min(most[i], most[i + 1] / growth[i])
    return most


def _root(k: Floats, theta: Floats, rho: Floats, psi: Floats) -> Floats:
    # the sum of squares does not cancel where (phi k + rho)**2 + 1 - rho**2 would
    return np.asarray(np.sqrt((theta * rho + psi * k) ** 2 + theta * theta * (1.0 - rho * rho)))
