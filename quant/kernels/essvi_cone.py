"""The cone of eSSVI surfaces without arbitrage: how far its sides are, and ways to stay inside.

Each slice x = (ln phi, ln u, ln v) has eleven linear inequalities: three with the slice before (phi
does not rise, u and v do not fall), two against butterflies, two for the slope of the wings, two
for abs(rho), and two for a smile that is not quite flat (`quant.kernels.essvi`).
"""

import numpy as np

from quant.kernels.compilation import kernel, scalar

LN_4 = 1.3862943611198906
LN_RHO = 7.600402334583996  # ln((1 + rho) / (1 - rho)) at the largest abs(rho), 0.999
SIDES, SHARED = 11, 3
"""Inequalities of a slice, and how many of them are with the slice before."""

_LEAST_SHARE = 0.1  # of theta, u or v that a straight step may leave
_KEPT = 0.005  # of a distance, by a step


@scalar
def slacks(x, floor, slack):
    """Distances from the sides of the cone: all positive inside.

    Parameters
    ----------
    x : float64 array, shape (slices, 3)
        ln phi, ln u, ln v.
    floor : float64
        Least ln u and ln v.
    slack : float64 array, shape (slices, 11)
        Where the results go; the first slice's first three are 1, as if far inside.
    """
    for i in range(x.shape[0]):
        phi, u, v = x[i, 0], x[i, 1], x[i, 2]
        slack[i, 0] = x[i - 1, 0] - phi if i else 1.0
        slack[i, 1] = u - x[i - 1, 1] if i else 1.0
        slack[i, 2] = v - x[i - 1, 2] if i else 1.0
        slack[i, 3], slack[i, 4] = LN_4 - phi - u, LN_4 - phi - v
        slack[i, 5], slack[i, 6] = LN_4 - u, LN_4 - v
        slack[i, 7], slack[i, 8] = LN_RHO - u + v, LN_RHO + u - v
        slack[i, 9], slack[i, 10] = u - floor, v - floor


@scalar
def changes(dx, change):
    """Change of all distances along a step."""
    for i in range(dx.shape[0]):
        phi, u, v = dx[i, 0], dx[i, 1], dx[i, 2]
        change[i, 0] = dx[i - 1, 0] - phi if i else 0.0
        change[i, 1] = u - dx[i - 1, 1] if i else 0.0
        change[i, 2] = v - dx[i - 1, 2] if i else 0.0
        change[i, 3], change[i, 4] = -phi - u, -phi - v
        change[i, 5], change[i, 6] = -u, -v
        change[i, 7], change[i, 8] = v - u, u - v
        change[i, 9], change[i, 10] = u, v


@scalar
def pull(force, gradient):
    """Add to the gradient what the sides pull with: the transposed sides times `force`."""
    n = force.shape[0]
    for i in range(n):
        f = force[i]
        gradient[i, 0] += f[3] + f[4]
        gradient[i, 1] += f[3] + f[5] + f[7] - f[8] - f[9]
        gradient[i, 2] += f[4] + f[6] - f[7] + f[8] - f[10]
        if i:
            gradient[i, 0] += f[0]
            gradient[i, 1] -= f[1]
            gradient[i, 2] -= f[2]
            gradient[i - 1, 0] -= f[0]
            gradient[i - 1, 1] += f[1]
            gradient[i - 1, 2] += f[2]


@scalar
def stiffen(stiff, blocks):
    """Add to the blocks on the diagonal what the sides weigh."""
    for i in range(stiff.shape[0]):
        s = stiff[i]
        blocks[i, 0, 0] += s[3] + s[4]
        blocks[i, 1, 1] += s[3] + s[5] + s[7] + s[8] + s[9]
        blocks[i, 2, 2] += s[4] + s[6] + s[7] + s[8] + s[10]
        blocks[i, 0, 1] += s[3]
        blocks[i, 1, 0] += s[3]
        blocks[i, 0, 2] += s[4]
        blocks[i, 2, 0] += s[4]
        blocks[i, 1, 2] -= s[7] + s[8]
        blocks[i, 2, 1] -= s[7] + s[8]
        if i:
            for c in range(3):
                blocks[i, c, c] += s[c]
                blocks[i - 1, c, c] += s[c]


@scalar
def longest(value, change):
    """Longest part of a step, 1 at most, that leaves every value a two-hundredth of itself."""
    part = 1.0
    for i in range(value.shape[0]):
        for c in range(SIDES):
            if part * change[i, c] < -(1.0 - _KEPT) * value[i, c]:
                part = -(1.0 - _KEPT) * value[i, c] / change[i, c]
    return part


@scalar
def move(x, dx, length, slack, floor, new_x, new_slack):  # noqa: C901, PLR0913, PLR0917
    """Go part of a step, straight in (theta, u, v) where that stays inside, else in logarithms.

    A flat smile says little of psi and much of rho psi: its valley is straight in the former and
    bends in the latter. The sides are flat in the latter, which `length` has been chosen for.
    """
    n = x.shape[0]
    is_straight = np.ones(n, dtype=np.bool_)
    for i in range(n):
        part, more_u, more_v = _shares(x[i], dx[i], length)
        is_straight[i] = min(part, more_u, more_v) > _LEAST_SHARE
    for _ in range(n + 1):
        for i in range(n):
            if is_straight[i]:
                _go_straight(x[i], dx[i], length, new_x[i])
            else:
                for c in range(3):
                    new_x[i, c] = x[i, c] + length * dx[i, c]
        slacks(new_x, floor, new_slack)
        has_changed = False
        for i in range(n):
            for c in range(SIDES):
                if new_slack[i, c] < 0.8 * _KEPT * slack[i, c]:
                    has_changed |= is_straight[i]
                    is_straight[i] = False
                    if c < SHARED and i:
                        has_changed |= is_straight[i - 1]
                        is_straight[i - 1] = False
        if not has_changed:
            break


@scalar
def _shares(x, dx, length):
    """Return what theta, u and v are multiplied with by a step that is straight in them."""
    u, v = np.exp(x[1]), np.exp(x[2])
    by_theta = (u * dx[1] + v * dx[2]) / (u + v) - dx[0]
    return 1.0 + length * by_theta, 1.0 + length * dx[1], 1.0 + length * dx[2]


@scalar
def _go_straight(x, dx, length, new_x):
    u, v = np.exp(x[1]), np.exp(x[2])
    by_theta, by_u, by_v = _shares(x, dx, length)
    new_x[0] = x[0] + np.log((u * by_u + v * by_v) / ((u + v) * by_theta))
    new_x[1], new_x[2] = x[1] + np.log(by_u), x[2] + np.log(by_v)


@kernel
def into_cone(x, floor, apart):
    """Move a point as little as is easy into the cone, in its place, `apart` from its sides."""
    n = x.shape[0]
    for i in range(n):
        for c in range(1, 3):
            x[i, c] = max(x[i, c], x[i - 1, c] + apart if i else floor + apart)
            x[i, c] = min(x[i, c], LN_4 - apart * (n - i))
        middle, half = 0.5 * (x[i, 1] + x[i, 2]), 0.5 * (LN_RHO - apart)
        for c in range(1, 3):
            x[i, c] = min(max(x[i, c], middle - half), middle + half)
        x[i, 0] = min(x[i, 0], LN_4 - max(x[i, 1], x[i, 2]) - apart)
        if i:
            x[i, 0] = min(x[i, 0], x[i - 1, 0] - apart)
