"""The eSSVI smile and how far it is from quotes, in the coordinates the calibration walks in.

A slice is (theta, rho, psi): total variance at the money, correlation, and psi = theta phi,

    w(k) = (theta + rho psi k + R) / 2,  R = sqrt(theta**2 + 2 rho psi theta k + psi**2 k**2).

With u = psi (1 + rho) and v = psi (1 - rho), w rises with u, with v, and with 1/phi = theta/psi,
each for itself, at every k. So two slices do not cross where u and v do not fall and phi does not
rise; and Gatheral and Jacquier's conditions against butterflies are u, v < 4 and phi u, phi v <=
4. In x = (ln phi, ln u, ln v) all of these are linear, and the surfaces without arbitrage are a
convex cone with flat sides.

References
----------
S. Hendriks, C. Martini, "The extended SSVI volatility surface", J. Computational Finance 22
(2019), proposition 3.5; A. Mingone, "No arbitrage global parametrization for the eSSVI volatility
surface", arXiv 2204.00312 (2022), for the same set in other coordinates; J. Gatheral,
A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014), theorem 4.2.
"""

import numpy as np

from quant.kernels.compilation import inlined, scalar

SUMS = 10
"""Objective, three of its slopes, six of its curvatures (by row of the upper triangle)."""


@inlined
def slice_of(log_phi, log_u, log_v):
    """Return theta, rho psi and psi of a point of the cone."""
    u, v = np.exp(log_u), np.exp(log_v)
    psi = 0.5 * (u + v)
    return psi * np.exp(-log_phi), 0.5 * (u - v), psi


@inlined
def variance_and_slopes(k, theta, tilt, psi):
    """Total variance, and its derivatives by theta, tilt = rho psi, and psi, at one k."""
    root = np.sqrt(theta * theta + (2.0 * tilt * theta + psi * psi * k) * k)
    inverse = 1.0 / root
    return (
        0.5 * (theta + tilt * k + root),
        0.5 + 0.5 * (theta + tilt * k) * inverse,
        0.5 * k * (1.0 + theta * inverse),
        0.5 * psi * k * k * inverse,
    )


@scalar
def misfit(k, iv, precision, weight, tenor, theta, tilt, psi, is_near, sums):  # noqa: PLR0913, PLR0917
    """Soft-L1 misfit of a slice, its slopes and curvatures by theta, tilt and psi.

    Parameters
    ----------
    k, iv, precision, weight : float64 arrays, shape (n,)
        Log-moneyness [1], implied volatility [1/sqrt(yr)], one over its error [sqrt(yr)], and
        what the quote counts for [1].
    tenor, theta, tilt, psi : float64
        Time to expiry [yr]; total variance at the money [1]; rho psi [1]; psi [1].
    is_near : bool
        Whether curvatures are those of the loss, which is right near the optimum, or those of
        the parabola that lies above it, which leads there from anywhere.
    sums : float64 array, shape (10,)
        Where the results go: sum of weight (sqrt(1 + r**2) - 1) with r the residual in errors,
        three slopes, six curvatures without the smile's own (Gauss-Newton).
    """
    for c in range(SUMS):
        sums[c] = 0.0
    for j in range(k.shape[0]):
        w, by_theta, by_tilt, by_psi = variance_and_slopes(k[j], theta, tilt, psi)
        sigma = np.sqrt(w / tenor)
        r = (sigma - iv[j]) * precision[j]
        size = np.sqrt(1.0 + r * r)
        share = weight[j] / size
        slope = 0.5 * precision[j] / (tenor * sigma)
        force = share * r * slope
        curve = share * slope * slope
        if is_near:
            curve /= size * size
        # r * r / (size + 1) is size - 1 without its cancellation
        sums[0] += weight[j] * r * r / (size + 1.0)
        sums[1] += force * by_theta
        sums[2] += force * by_tilt
        sums[3] += force * by_psi
        sums[4] += curve * by_theta * by_theta
        sums[5] += curve * by_theta * by_tilt
        sums[6] += curve * by_theta * by_psi
        sums[7] += curve * by_tilt * by_tilt
        sums[8] += curve * by_tilt * by_psi
        sums[9] += curve * by_psi * by_psi


@scalar
def to_cone(sums, theta, tilt, psi, gradient, curvature):
    """Turn slopes and curvatures by (theta, tilt, psi) into those by (ln phi, ln u, ln v).

    Parameters
    ----------
    sums : float64 array, shape (10,)
        As `misfit` leaves them.
    theta, tilt, psi : float64
        The slice.
    gradient, curvature : float64 arrays, shapes (3,) and (3, 3)
        Where the results go.
    """
    half_u, half_v = 0.5 * (psi + tilt), 0.5 * (psi - tilt)
    scale = theta / psi
    by = np.empty((3, 3))
    by[0, 0], by[0, 1], by[0, 2] = -theta, 0.0, 0.0
    by[1, 0], by[1, 1], by[1, 2] = half_u * scale, half_u, half_u
    by[2, 0], by[2, 1], by[2, 2] = half_v * scale, -half_v, half_v
    h = np.empty((3, 3))
    h[0, 0], h[0, 1], h[0, 2] = sums[4], sums[5], sums[6]
    h[1, 1], h[1, 2], h[2, 2] = sums[7], sums[8], sums[9]
    h[1, 0], h[2, 0], h[2, 1] = sums[5], sums[6], sums[8]
    for i in range(3):
        gradient[i] = by[i, 0] * sums[1] + by[i, 1] * sums[2] + by[i, 2] * sums[3]
        for j in range(3):
            total = 0.0
            for m in range(3):
                for n in range(3):
                    total += by[i, m] * h[m, n] * by[j, n]
            curvature[i, j] = total
