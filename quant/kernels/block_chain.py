"""Linear equations whose matrix is a chain of 3 x 3 blocks, in time proportional to its length."""

import numpy as np

from quant.kernels.compilation import scalar

WIDTH = 3


@scalar
def solve_chain(blocks, links, y):  # noqa: C901  # loops over three
    """Solve a positive definite chain, in the place of y; NaN where it is not definite.

    Parameters
    ----------
    blocks : float64 array, shape (n, 3, 3)
        On the diagonal; overwritten with their Cholesky factors.
    links : float64 array, shape (n, 3) or wider
        Row i is minus the diagonal of the block between unknowns i - 1 and i; row 0 is not used.
    y : float64 array, shape (n, 3)
        Right sides; overwritten with the solution.
    """
    n = blocks.shape[0]
    column = np.empty(WIDTH)
    for i in range(n):
        if i:
            for c in range(WIDTH):
                for d in range(WIDTH):
                    column[d] = links[i, c] if d == c else 0.0
                _divide(blocks[i - 1], column)
                for d in range(WIDTH):
                    blocks[i, d, c] -= links[i, d] * column[d]
            for c in range(WIDTH):
                column[c] = y[i - 1, c]
            _divide(blocks[i - 1], column)
            for c in range(WIDTH):
                y[i, c] += links[i, c] * column[c]
        _factor(blocks[i])
    for i in range(n - 1, -1, -1):
        if i + 1 < n:
            for c in range(WIDTH):
                y[i, c] += links[i + 1, c] * y[i + 1, c]
        _divide(blocks[i], y[i])


@scalar
def _factor(a):
    """Cholesky factor of a 3 x 3 matrix, in its place."""
    a[0, 0] = np.sqrt(a[0, 0])
    a[1, 0] /= a[0, 0]
    a[2, 0] /= a[0, 0]
    a[1, 1] = np.sqrt(a[1, 1] - a[1, 0] * a[1, 0])
    a[2, 1] = (a[2, 1] - a[2, 0] * a[1, 0]) / a[1, 1]
    a[2, 2] = np.sqrt(a[2, 2] - a[2, 0] * a[2, 0] - a[2, 1] * a[2, 1])


@scalar
def _divide(a, y):
    """Solve with a factor of `_factor`, in the place of y."""
    y[0] /= a[0, 0]
    y[1] = (y[1] - a[1, 0] * y[0]) / a[1, 1]
    y[2] = (y[2] - a[2, 0] * y[0] - a[2, 1] * y[1]) / a[2, 2]
    y[2] /= a[2, 2]
    y[1] = (y[1] - a[2, 1] * y[2]) / a[1, 1]
    y[0] = (y[0] - a[1, 0] * y[1] - a[2, 0] * y[2]) / a[0, 0]
