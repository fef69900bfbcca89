"""Down to the SVI slice of the least loss, with or without penalties on arbitrage.

Quotes pull with a robust loss of (iv of the slice - iv quoted) / error. With penalties, Durrleman's
g and the distance from a neighbouring slice are looked at on a grid and at further points.
"""

import numpy as np

from quant.kernels.compilation import scalar
from quant.kernels.levenberg import damped_step
from quant.kernels.svi import durrleman, variance_and_slopes
from quant.kernels.svi_unknowns import UNKNOWNS, raw_of, variance_and_gradient, wings_of

NONE = (np.nan, np.nan, np.nan, np.nan, np.nan, 1.0)
"""In place of a neighbour: five numbers of a slice, and 1 if it is the earlier one, else -1."""

_MARGIN = 1e-6  # g and distances are asked to be so much more than zero
_REACH, _GRID = 5.0, 33
_AWAY = np.sinh(np.linspace(-_REACH, _REACH, _GRID))
_CLOSER = 0.1  # the second grid is so much finer
_DIFFERENCE = 1e-7  # step of numerical derivatives
_MOST_STEPS = 200
_FIRST_DAMPING, _LEAST_DAMPING, _LARGEST_DAMPING = 1e-4, 1e-14, 1e12
_SMALL_STEP, _NO_STEP = 1e-6, 1e-13


@scalar
def with_side(svi, side):
    """Return a neighbour: a slice, and 1 if it is the earlier one, else -1."""
    a, b, rho, m, sigma = svi
    return a, b, rho, m, sigma, side


@scalar
def is_there(svi):
    """Whether a neighbour is one, or `NONE`."""
    return not np.isnan(svi[0])


@scalar
def descend(data, x, before, extra, stiffness, settled):
    """Go down from x to the least loss by damped steps.

    Parameters
    ----------
    data : tuple
        Log-moneyness [1], implied volatilities and their errors [1/sqrt(yr)] as float64 arrays of
        shape (n,), the tenor [yr], and the residual from which on losses are linear [errors].
    x : float64 array, shape (5,)
        Unknowns of `svi_unknowns` to begin with; written [1].
    before : tuple of six float64
        A neighbour not to be crossed, as `with_side` makes it, or `NONE`.
    extra : float64 array, shape (e,)
        Log-moneyness besides the grid where penalties are looked at [1].
    stiffness : float64
        Weight of the penalties, in squared errors; 0 for none.
    settled : float64
        With penalties, a step that gains no larger share of the loss is the last [1].
    """
    limits = _limits(data[0])
    normal, gradient = np.zeros((UNKNOWNS, UNKNOWNS)), np.zeros(UNKNOWNS)
    step, trial = np.empty(UNKNOWNS), np.empty(UNKNOWNS)
    loss = _linearised(data, x, normal, gradient)
    loss += _penalised(x, before, extra, stiffness, normal, gradient)
    damping = _FIRST_DAMPING
    for _ in range(_MOST_STEPS):
        if not damped_step(normal, gradient, damping, step):
            damping = max(damping * 10.0, _FIRST_DAMPING)
            continue
        size = 0.0
        for i in range(UNKNOWNS):
            trial[i] = min(max(x[i] + step[i], limits[i, 0]), limits[i, 1])
            size = max(size, abs(trial[i] - x[i]))
        other = loss_of(data, trial) + _penalty(trial, before, extra, stiffness)
        if other <= loss:
            gain = loss - other
            x[:] = trial
            damping = max(damping * 0.1, _LEAST_DAMPING)
            is_settled = gain <= settled * loss and (stiffness > 0.0 or size < _SMALL_STEP)
            loss = _linearised(data, x, normal, gradient)
            loss += _penalised(x, before, extra, stiffness, normal, gradient)
            if is_settled or size < _NO_STEP:
                return
        else:
            damping *= 10.0
            if damping > _LARGEST_DAMPING or size < _NO_STEP:
                return


@scalar
def _limits(k):
    """Least and most of every unknown: a bend that quotes can say something of."""
    low, high = k.min(), k.max()
    span = high - low
    limits = np.empty((UNKNOWNS, 2))
    limits[:, 0], limits[:, 1] = -14.0, 14.0  # slopes of 2e-6 and more, of 2 and less
    limits[2, 0], limits[2, 1] = -23.0, 5.0
    limits[3, 0], limits[3, 1] = low - 2.0 * span, high + 2.0 * span
    limits[4, 0], limits[4, 1] = np.log(0.005 * span), np.log(20.0 * span)
    return limits


@scalar
def _robust(residual, kink):
    """Pseudo-Huber loss of a residual, and the weight its square gets."""
    root = np.sqrt(1.0 + (residual / kink) * (residual / kink))
    return 2.0 * residual * residual / (1.0 + root), 1.0 / root


@scalar
def loss_of(data, x):
    """Loss of the quotes alone, in squared errors; arguments as of `descend`."""
    k, iv, error, tenor, kink = data
    wings = wings_of(x)
    loss = 0.0
    for i in range(k.shape[0]):
        w, _ = variance_and_gradient(wings, k[i])
        loss += _robust((np.sqrt(w / tenor) - iv[i]) / error[i], kink)[0]
    return loss


@scalar
def _linearised(data, x, normal, gradient):
    """Return the loss of the quotes, and write its normal equations."""
    k, iv, error, tenor, kink = data
    wings = wings_of(x)
    normal[:], gradient[:] = 0.0, 0.0
    loss = 0.0
    for i in range(k.shape[0]):
        w, (g0, g1, g2, g3, g4) = variance_and_gradient(wings, k[i])
        vol = np.sqrt(w / tenor)
        residual = (vol - iv[i]) / error[i]
        slope = 0.5 / (vol * tenor * error[i])
        part, weight = _robust(residual, kink)
        loss += part
        row = (g0 * slope, g1 * slope, g2 * slope, g3 * slope, g4 * slope)
        _accumulate(row, weight, residual, normal, gradient)
    return loss


@scalar
def _accumulate(row, weight, residual, normal, gradient):
    r0, r1, r2, r3, r4 = row
    u0, u1, u2, u3, u4 = r0 * weight, r1 * weight, r2 * weight, r3 * weight, r4 * weight
    gradient[0] += u0 * residual
    gradient[1] += u1 * residual
    gradient[2] += u2 * residual
    gradient[3] += u3 * residual
    gradient[4] += u4 * residual
    normal[0, 0] += u0 * r0
    normal[1, 0] += u1 * r0
    normal[1, 1] += u1 * r1
    normal[2, 0] += u2 * r0
    normal[2, 1] += u2 * r1
    normal[2, 2] += u2 * r2
    normal[3, 0] += u3 * r0
    normal[3, 1] += u3 * r1
    normal[3, 2] += u3 * r2
    normal[3, 3] += u3 * r3
    normal[4, 0] += u4 * r0
    normal[4, 1] += u4 * r1
    normal[4, 2] += u4 * r2
    normal[4, 3] += u4 * r3
    normal[4, 4] += u4 * r4


@scalar
def _penalty(x, before, extra, stiffness):
    if not stiffness > 0.0:
        return 0.0
    svi = raw_of(wings_of(x))
    penalty = 0.0
    for j in range(_points(before, extra)):
        penalty += stiffness * max(_shortfall(j, svi, before, extra), 0.0) ** 2
    return penalty


@scalar
def _penalised(x, before, extra, stiffness, normal, gradient):
    """Return the penalty, and add its normal equations, differentiated by small steps."""
    if not stiffness > 0.0:
        return 0.0
    svi = raw_of(wings_of(x))
    moved = (_moved(x, 0), _moved(x, 1), _moved(x, 2), _moved(x, 3), _moved(x, 4))
    penalty = 0.0
    for j in range(_points(before, extra)):
        lack = _shortfall(j, svi, before, extra)
        if not lack > 0.0:
            continue
        penalty += stiffness * lack * lack
        row = (
            (_shortfall(j, moved[0], before, extra) - lack) / _DIFFERENCE,
            (_shortfall(j, moved[1], before, extra) - lack) / _DIFFERENCE,
            (_shortfall(j, moved[2], before, extra) - lack) / _DIFFERENCE,
            (_shortfall(j, moved[3], before, extra) - lack) / _DIFFERENCE,
            (_shortfall(j, moved[4], before, extra) - lack) / _DIFFERENCE,
        )
        _accumulate(row, stiffness, lack, normal, gradient)
    return penalty


@scalar
def _moved(x, unknown):
    kept = x[unknown]
    x[unknown] = kept + _DIFFERENCE
    svi = raw_of(wings_of(x))
    x[unknown] = kept
    return svi


@scalar
def _points(before, extra):
    """How many points are looked at: two grids and more for g, more, a grid and two limits."""
    alone = 2 * _GRID + extra.shape[0]
    return alone + extra.shape[0] + _GRID + 2 if is_there(before) else alone


@scalar
def _shortfall(j, svi, before, extra):
    """By how much g, or the distance from the neighbour, falls short of the margin at a point."""
    if j < 2 * _GRID:
        width = svi[4] if j < _GRID else _CLOSER * svi[4]
        return _MARGIN - durrleman(svi, svi[3] + width * _AWAY[j % _GRID])
    j -= 2 * _GRID
    if j < extra.shape[0]:
        return _MARGIN - durrleman(svi, extra[j])
    j -= extra.shape[0]
    if j < extra.shape[0]:
        return _lack_beside(before, svi, extra[j])
    j -= extra.shape[0]
    if j < _GRID:
        return _lack_beside(before, svi, before[3] + before[4] * _AWAY[j])
    sign = -1.0 if j == _GRID else 1.0
    lack = before[1] * (1.0 + sign * before[2]) - svi[1] * (1.0 + sign * svi[2])
    return _MARGIN + before[5] * lack


@scalar
def _lack_beside(before, svi, k):
    ratio = variance_and_slopes(svi, k)[0] / variance_and_slopes(before[:5], k)[0]
    return _MARGIN + before[5] * (1.0 - ratio)
