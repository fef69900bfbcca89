"""A damped step of least squares in a few unknowns: small enough to be written out."""

import numpy as np

from quant.kernels.compilation import scalar

_LEAST = 1e-30  # an unknown nothing depends on is damped, too


@scalar
def damped_step(normal, gradient, damping, step):
    """Solve (N + damping diag(N)) step = -gradient by Cholesky's method.

    Parameters
    ----------
    normal : float64 array, shape (p, p)
        N, the Jacobian's square, its lower triangle [1].
    gradient : float64 array, shape (p,)
        Half the gradient of the sum of squares [1].
    damping : float64
        Not negative [1].
    step : float64 array, shape (p,)
        Written [1].

    Returns
    -------
    bool
        Whether the matrix was positive definite.

    References
    ----------
    D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", SIAM J.
    Appl. Math. 11 (1963).
    """
    p = gradient.shape[0]
    root = np.zeros((p, p))
    for i in range(p):
        for j in range(i):
            root[i, j] = (normal[i, j] - _product(root, i, j, j)) / root[j, j]
        rest = normal[i, i] + damping * max(normal[i, i], _LEAST) - _product(root, i, i, i)
        if not rest > 0.0:
            return False
        root[i, i] = np.sqrt(rest)
    for i in range(p):
        step[i] = -gradient[i]
        for q in range(i):
            step[i] -= root[i, q] * step[q]
        step[i] /= root[i, i]
    for i in range(p - 1, -1, -1):
        for q in range(i + 1, p):
            step[i] -= root[q, i] * step[q]
        step[i] /= root[i, i]
    return True


@scalar
def _product(root, i, j, size):
    total = 0.0
    for q in range(size):
        total += root[i, q] * root[j, q]
    return total
