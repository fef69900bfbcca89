"""Calibration of all slices at once: a primal-dual interior-point method on the cone of eSSVI.

The barrier's Newton equations are a chain of 3 x 3 blocks, so that a step costs what evaluating
the quotes costs; and each point on the way is a surface without arbitrage.

References
----------
J. Nocedal, S. Wright, "Numerical Optimization" (2006), algorithm 19.1, for the method.
"""

import numpy as np

from quant.kernels.block_chain import solve_chain
from quant.kernels.compilation import kernel, scalar
from quant.kernels.essvi import SUMS, misfit, slice_of, to_cone
from quant.kernels.essvi_cone import (
    SHARED,
    SIDES,
    changes,
    longest,
    move,
    pull,
    slacks,
    stiffen,
)

_LAST_BARRIER = 1e-10
_MOST_STEPS = 200
_LEAST_STEP = 1e-9  # of any unknown, all of them logarithms
_LEAST_GAIN, _LEAST_GAIN_PER_QUOTE = 1e-7, 1e-14  # of the objective
_LEAST_DAMPING = 1e-3
_HALF = 0.5
_NEAR = 0.2  # a step so short takes its curvature from the loss itself


@kernel
def solve(k, iv, precision, weight, first, tenor, centre, stiffness, floor, barrier, x):  # noqa: PLR0913, PLR0917
    """Walk from a point inside the cone to the surface nearest to the quotes.

    Parameters
    ----------
    k, iv, precision, weight : float64 arrays, shape (n,)
        Quotes sorted by slice: log-moneyness [1], implied volatility [1/sqrt(yr)], one over its
        error [sqrt(yr)], what it counts for [1].
    first : int64 array, shape (slices + 1,)
        Where each slice begins.
    tenor : float64 array, shape (slices,)
        Time to expiry, ascending [yr].
    centre, stiffness : float64 arrays, shapes (slices, 3) and (slices, 3, 3)
        Where a prior draws x to, and how stiffly; zero for none.
    floor : float64
        Least ln u and ln v, where the smile of a flat market ends.
    barrier : float64
        How strong the sides push back at first [unit of the objective].
    x : float64 array, shape (slices, 3)
        ln phi, ln u, ln v, inside the cone; moved to the optimum.

    Returns
    -------
    steps : int64
        Steps tried; minus that where the optimum was not reached.
    """
    n = x.shape[0]
    quotes, prior = (k, iv, precision, weight), (centre, stiffness)
    gradient, curvature, dx = np.empty((n, 3)), np.empty((n, 3, 3)), np.empty((n, 3))
    new_gradient, new_curvature, new_x = np.empty((n, 3)), np.empty((n, 3, 3)), np.empty((n, 3))
    slack, new_slack, change = np.empty((n, SIDES)), np.empty((n, SIDES)), np.empty((n, SIDES))
    force, stiff = np.empty((n, SIDES)), np.empty((n, SIDES))
    slacks(x, floor, slack)
    _balance(slack, barrier, force)
    least = _LEAST_GAIN_PER_QUOTE * k.shape[0]
    damping, growth, near, recent = 0.0, 4.0, _NEAR, np.inf
    is_near = recent < near
    value = _evaluate(quotes, first, tenor, prior, is_near, x, gradient, curvature)
    for steps in range(1, _MOST_STEPS + 1):
        decrease, largest = _direction(
            gradient, curvature, slack, force, barrier, damping, stiff, dx
        )
        changes(dx, change)
        length = longest(slack, change)
        move(x, dx, length, slack, floor, new_x, new_slack)
        new_value = _evaluate(
            quotes, first, tenor, prior, is_near, new_x, new_gradient, new_curvature
        )
        gain = value - new_value + barrier * (_distance(new_slack) - _distance(slack))
        is_done = largest < _LEAST_STEP or decrease < least + _LEAST_GAIN * value
        is_done &= decrease >= 0.0  # NaN is not: the equations were too stiff to be solved
        if not (gain >= 1e-4 * length * decrease or is_done):
            if is_near:
                near = 0.1 * min(near, recent)
                is_near = recent < near
                value = _evaluate(quotes, first, tenor, prior, is_near, x, gradient, curvature)
            else:
                damping, growth = max(growth * damping, _LEAST_DAMPING), 2.0 * growth
            continue
        _push(slack, stiff, change, barrier, new_slack, force)
        _copy(new_x, x)
        slack, new_slack = new_slack, slack
        gradient, new_gradient = new_gradient, gradient
        curvature, new_curvature = new_curvature, curvature
        value, growth = new_value, 4.0
        # Nielsen's rule: the better the prediction was, the freer the next step
        damping *= max(0.2, 1.0 - (2.0 * gain / (length * decrease) - 1.0) ** 3)
        damping = damping if damping > 0.1 * _LEAST_DAMPING else 0.0
        if is_done and barrier <= _LAST_BARRIER:
            return steps
        if is_done or min(length, 1.0 - largest) > _HALF:
            barrier = max(0.1 * barrier, _LAST_BARRIER)
        was_near, recent = is_near, largest
        is_near = recent < near
        if is_near != was_near:
            value = _evaluate(quotes, first, tenor, prior, is_near, x, gradient, curvature)
    return -_MOST_STEPS


@scalar
def _evaluate(quotes, first, tenor, prior, is_near, x, gradient, curvature):  # noqa: PLR0913, PLR0917
    """Objective at x, its gradient and its curvature, the prior's pull included."""
    k, iv, precision, weight = quotes
    centre, stiffness = prior
    sums = np.empty(SUMS)
    total = 0.0
    for i in range(x.shape[0]):
        own = slice(first[i], first[i + 1])
        theta, tilt, psi = slice_of(x[i, 0], x[i, 1], x[i, 2])
        misfit(
            k[own], iv[own], precision[own], weight[own], tenor[i], theta, tilt, psi, is_near, sums
        )
        to_cone(sums, theta, tilt, psi, gradient[i], curvature[i])
        total += sums[0]
        for c in range(3):
            drawn = 0.0
            for d in range(3):
                drawn += stiffness[i, c, d] * (x[i, d] - centre[i, d])
                curvature[i, c, d] += stiffness[i, c, d]
            gradient[i, c] += drawn
            total += 0.5 * drawn * (x[i, c] - centre[i, c])
    return total


@scalar
def _direction(gradient, curvature, slack, force, barrier, damping, stiff, dx):  # noqa: PLR0913, PLR0917
    """Newton's step for the barrier into `dx`, how stiff the sides are into `stiff`.

    Returns what the step promises, and its largest part.
    """
    n = gradient.shape[0]
    blocks, total, pushed = np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, SIDES))
    for i in range(n):
        for c in range(SIDES):
            stiff[i, c] = force[i, c] / slack[i, c] if i or c >= SHARED else 0.0
            pushed[i, c] = barrier / slack[i, c]
        for c in range(3):
            total[i, c] = gradient[i, c]
            for d in range(3):
                blocks[i, c, d] = curvature[i, c, d]
            blocks[i, c, c] = blocks[i, c, c] * (1.0 + damping) + 1e-12
    stiffen(stiff, blocks)
    pull(pushed, total)
    for i in range(n):
        for c in range(3):
            dx[i, c] = -total[i, c]
    solve_chain(blocks, stiff, dx)
    decrease, largest = 0.0, 0.0
    for i in range(n):
        for c in range(3):
            decrease -= total[i, c] * dx[i, c]
            largest = max(largest, abs(dx[i, c]))
    return decrease, largest


@scalar
def _copy(source, target):
    # assigning one array to another takes numba seconds to compile
    for i in range(source.shape[0]):
        for c in range(source.shape[1]):
            target[i, c] = source[i, c]


@scalar
def _distance(slack):
    """Sum of the logarithms of all distances."""
    total = 0.0
    for i in range(slack.shape[0]):
        product = 1.0
        for c in range(SIDES):
            product *= slack[i, c]
        total += np.log(product)
    return total


@scalar
def _balance(slack, barrier, force):
    """Return what the sides push with where the barrier is in balance."""
    for i in range(slack.shape[0]):
        for c in range(SIDES):
            force[i, c] = barrier / slack[i, c]


@scalar
def _push(slack, stiff, change, barrier, new_slack, force):
    """Take Newton's step for what the sides push with, and keep it near the balance."""
    n = slack.shape[0]
    more = np.empty((n, SIDES))
    for i in range(n):
        for c in range(SIDES):
            more[i, c] = barrier / slack[i, c] - force[i, c] - stiff[i, c] * change[i, c]
    length = longest(force, more)
    for i in range(n):
        for c in range(SIDES):
            middle = barrier / new_slack[i, c]
            pushed = force[i, c] + length * more[i, c]
            force[i, c] = min(max(pushed, 1e-8 * middle), 1e8 * middle)
