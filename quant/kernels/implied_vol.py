"""Implied volatility of Black-76: one vectorised step for nearly every row, a search for the rest.

A guess good to 2e-4 and one step of fifth order on the logarithm of the time value give full
accuracy; the size of the step proves that the guess was good. Rows for which it was not, and
rows without an answer, go one by one through `implied_vol_search`.
"""

import numpy as np
from numpy.typing import NDArray

from quant.kernels.compilation import kernel, loop
from quant.kernels.implied_vol_passes import HOPELESS, ROWS, SCRATCH, in_one_step, in_three_steps
from quant.kernels.implied_vol_search import classify, search
from quant.kernels.rows import Bools, Floats, check_rows, over_threads
from quant.kernels.status import OK

BLOCK = 1024
"""Rows that are still in the cache when what one step left is looked for."""

_VECTOR = 8  # doubles in the widest vector


def implied_vol(
    price: Floats,
    forward: Floats,
    strike: Floats,
    tenor: Floats,
    is_call: Bools,
    *,
    threads: int = 1,
) -> tuple[Floats, NDArray[np.uint8]]:
    r"""Implied volatility of undiscounted European options under Black-76.

    Parameters
    ----------
    price : float64 array, shape (n,)
        Premium per unit of underlying, in the currency of the forward [USD].
    forward : float64 array, shape (n,)
        Forward price of the underlying at expiry [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    iv : float64 array, shape (n,)
        :math:`\sigma` [1/sqrt(yr)]; NaN unless `status` is 0.
    status : uint8 array, shape (n,)
        A code of `quant.kernels.status`; 0 is ok.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    Notes
    -----
    The relative error is at most a few times 2**-52 max(1, price/(iv * vega)), the part of it
    that the rounding of the price alone makes.

    References
    ----------
    F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976).
    """
    columns = {"price": price, "forward": forward, "strike": strike, "tenor": tenor}
    rows = check_rows(columns, is_call)
    n = rows[0].shape[0]
    iv = np.empty(n)
    status = np.empty(n, dtype=np.uint8)
    over_threads(_implied_vol, (*rows, iv, status), n, threads)
    return iv, status


@kernel
def _implied_vol(price, forward, strike, tenor, is_call, iv, status):  # noqa: PLR0913, PLR0917
    space = workspace()
    for start in range(0, price.shape[0], BLOCK):
        block = slice(start, start + BLOCK)
        rows = price[block], forward[block], strike[block], tenor[block], is_call[block]
        solve_block(rows, space, iv[block], status[block])


@loop
def workspace():
    """Memory for `solve_block`: it is taken once for many blocks."""
    gathered = np.ones((5, ROWS))
    calls = np.ones(ROWS, dtype=np.bool_)
    return np.empty(SCRATCH), np.empty(BLOCK, dtype=np.int64), gathered, calls


@loop
def solve_block(rows, space, iv, status):
    """Solve rows that fit the cache: by one step, what that leaves by three, then one by one.

    Parameters
    ----------
    rows : tuple of arrays, shape (n,), n at most `BLOCK`
        Price, forward, strike [USD], tenor [yr] and whether each is a call, as for `implied_vol`.
    space : tuple of arrays
        What `workspace` returns; overwritten.
    iv : float64 array, shape (n,)
        Where the volatilities go [1/sqrt(yr)].
    status : uint8 array, shape (n,)
        Where the codes of `quant.kernels.status` go.
    """
    price, forward, strike, tenor, is_call = rows
    scratch, rest, _, _ = space
    for start in range(0, iv.shape[0], ROWS):
        part = slice(start, start + ROWS)
        few = price[part], forward[part], strike[part], tenor[part], is_call[part]
        in_one_step(few, scratch, iv[part])
    status[:] = OK
    n = 0
    for i in range(iv.shape[0]):
        rest[n] = i
        n += np.isnan(iv[i])
        if iv[i] == HOPELESS:
            status[i] = classify(price[i], forward[i], strike[i], tenor[i], is_call[i])
            iv[i] = np.nan
    for start in range(0, n, ROWS):
        _solve_rest(rows, rest[start : min(start + ROWS, n)], space, iv, status)


@loop
def _solve_rest(rows, rest, space, iv, status):
    """Gather the rows named by `rest`, take three steps, and search for those that want more."""
    price, forward, strike, tenor, is_call = rows
    scratch, _, gathered, calls = space
    for j in range(rest.shape[0]):
        i = rest[j]
        gathered[0, j], gathered[1, j], gathered[2, j] = price[i], forward[i], strike[i]
        gathered[3, j], calls[j] = tenor[i], is_call[i]
    # a loop over whole vectors has no remainder that goes row by row
    n = -(-rest.shape[0] // _VECTOR) * _VECTOR
    p, f, k, years, found = gathered[:, :n]
    in_three_steps((p, f, k, years, calls[:n]), scratch, found)
    for j in range(rest.shape[0]):
        i = rest[j]
        iv[i] = found[j]
        if not iv[i] > 0.0:
            iv[i], status[i] = search(price[i], forward[i], strike[i], tenor[i], is_call[i])
