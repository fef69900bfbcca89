"""Implied volatility of a trade, and of the prices half a tick below and above it.

A traded price is a multiple of the tick, and says no more than that what the option was worth lay
within half a tick of it. The volatilities of the two ends bound what the trade says of volatility.
"""

import numpy as np
from numpy.typing import NDArray

from quant.kernels.compilation import inlined, kernel, loop, wide_vectors
from quant.kernels.implied_vol import BLOCK, solve_block, workspace
from quant.kernels.rows import Bools, Floats, check_out, check_rows, over_threads
from quant.kernels.status import (
    ABOVE_MAXIMUM,
    BAD_INPUT,
    BELOW_INTRINSIC,
    EXPIRED,
    OK,
)

_OUTPUTS = 3


def half_steps(
    price: Floats, tick: Floats | float, tick_above: Floats | float, threshold: Floats | float
) -> tuple[Floats, Floats]:
    """Half of the ticks next to a price, below and above it.

    Parameters
    ----------
    price : float64 array, shape (n,)
        Premium as it is quoted [coin or USD].
    tick, tick_above : float or float64 array, shape (n,)
        Step between prices up to the threshold, and from it on [as `price`].
    threshold : float or float64 array, shape (n,)
        Price at which the step changes; infinite where it does not [as `price`].

    Returns
    -------
    below, above : float64 array, shape (n,)
        Half a step down and half a step up [as `price`]. They differ at the threshold alone:
        the next price below it is a fine step away.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    Notes
    -----
    Deribit's `tick_size` is the first and its `tick_size_steps` the second with the threshold:
    0.0001 coin, and 0.0005 above 0.005, for options on BTC in 2026.
    """
    steps = {"tick": tick, "tick_above": tick_above, "threshold": threshold}
    columns = {
        name: np.full(price.shape, float(step)) if isinstance(step, float | int) else step
        for name, step in steps.items()
    }
    rows = check_rows({"price": price} | columns)
    below, above = np.empty_like(rows[0]), np.empty_like(rows[0])
    _half_steps(*rows, below, above)
    return below, above


def traded_vol(  # noqa: PLR0913
    price: Floats,
    ends: tuple[Floats, Floats],
    forward: Floats,
    strike: Floats,
    tenor: Floats,
    *,
    is_call: Bools,
    is_coin: Bools,
    threads: int = 1,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats, NDArray[np.uint8]]:
    r"""Implied volatility of traded prices, and the interval that their ticks leave open.

    Parameters
    ----------
    price : float64 array, shape (n,)
        Premium as it is quoted [coin where `is_coin`, else USD].
    ends : tuple of two float64 arrays, shape (n,)
        How far below and above the price the interval reaches, as from `half_steps` [as `price`].
    forward : float64 array, shape (n,)
        Forward price of the underlying at expiry [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    is_coin : bool array, shape (n,)
        True for a premium in coin, worth `price * forward` USD.
    threads : int
        Over how many threads the rows are split.
    out : float64 array, shape (3, n), optional
        Where the volatilities go, instead of a new array.

    Returns
    -------
    iv : float64 array, shape (n,)
        :math:`\sigma` at the price [1/sqrt(yr)]; NaN unless `status` is 0.
    iv_low : float64 array, shape (n,)
        The same at the lower end [1/sqrt(yr)]; 0 where that is not above the intrinsic value.
    iv_high : float64 array, shape (n,)
        The same at the upper end [1/sqrt(yr)]; infinite where that reaches the maximum, 0 where
        it is the intrinsic value.

        Both are NaN where no volatility gives a price between the ends: expired, bad input (an
        end of NaN or less than nothing too), or both ends on the same side of what an option can
        be worth. A price at or below the intrinsic value, without `iv`, may well have both.
    status : uint8 array, shape (n,)
        A code of `quant.kernels.status` for the price itself; 0 is ok.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    Notes
    -----
    All three are solved as by `implied_vol` and as exact; `iv_low <= iv <= iv_high`.
    """
    below, above = ends
    columns = {"price": price, "below": below, "above": above}
    columns |= {"forward": forward, "strike": strike, "tenor": tenor}
    rows = check_rows(columns, is_call, is_coin)
    n = rows[0].shape[0]
    out = np.empty((_OUTPUTS, n)) if out is None else check_out(out, (_OUTPUTS, n))
    status = np.empty(n, dtype=np.uint8)
    iv, iv_low, iv_high = out
    over_threads(_traded_vol, (*rows, iv, iv_low, iv_high, status), n, threads)
    return iv, iv_low, iv_high, status


@kernel
def _half_steps(price, tick, tick_above, threshold, below, above):
    wide_vectors()
    for i in range(price.shape[0]):
        below[i] = 0.5 * (tick_above[i] if price[i] > threshold[i] else tick[i])
        above[i] = 0.5 * (tick_above[i] if price[i] >= threshold[i] else tick[i])


@kernel
def _traded_vol(  # noqa: PLR0913, PLR0917
    price, below, above, forward, strike, tenor, is_call, is_coin, iv, iv_low, iv_high, status
):
    space = workspace()
    usd, reach, zero = np.empty(BLOCK), np.empty(BLOCK), np.zeros(BLOCK)
    low, high = np.empty(BLOCK, dtype=np.uint8), np.empty(BLOCK, dtype=np.uint8)
    for start in range(0, price.shape[0], BLOCK):
        block = slice(start, min(start + BLOCK, price.shape[0]))
        n = block.stop - block.start
        rows = usd[:n], forward[block], strike[block], tenor[block], is_call[block]
        quote = forward[block], is_coin[block], usd
        _premium(price[block], zero, *quote)
        solve_block(rows, space, iv[block], status[block])
        _reach(below[block], -1.0, reach)
        _premium(price[block], reach, *quote)
        solve_block(rows, space, iv_low[block], low[:n])
        _reach(above[block], 1.0, reach)
        _premium(price[block], reach, *quote)
        solve_block(rows, space, iv_high[block], high[:n])
        _bound(iv[block], iv_low[block], iv_high[block], low, high)


@loop
def _reach(length, sign, reach):
    """Write a length with its sign; NaN where it is less than nothing."""
    wide_vectors()
    for i in range(length.shape[0]):
        reach[i] = sign * length[i] if length[i] >= 0.0 else np.nan


@loop
def _premium(price, reach, forward, is_coin, usd):
    """Write the premium that is `reach` away from the price [USD]."""
    wide_vectors()
    for i in range(price.shape[0]):
        usd[i] = (price[i] + reach[i]) * (forward[i] if is_coin[i] else 1.0)


@loop
def _bound(iv, iv_low, iv_high, low, high):
    """Put bounds in the place of what has no volatility, and order in that of roundings."""
    wide_vectors()
    for i in range(iv.shape[0]):
        meets = _is_priced(low[i]) & _is_priced(high[i])
        meets &= (low[i] != ABOVE_MAXIMUM) & (high[i] != BELOW_INTRINSIC)
        lower = iv_low[i] if low[i] == OK else 0.0
        upper = iv_high[i] if high[i] == OK else 0.0
        upper = np.inf if high[i] == ABOVE_MAXIMUM else upper
        lower = min(lower, iv[i])
        upper = max(upper, iv[i])
        iv_low[i] = lower if meets else np.nan
        iv_high[i] = upper if meets else np.nan


@inlined
def _is_priced(status):
    return (status != EXPIRED) & (status != BAD_INPUT)
