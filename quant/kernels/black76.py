"""Black-76 price and Greeks in the exchange's convention: arrays in, arrays out.

Deribit's own numbers are undiscounted Black-76 on the forward of the expiry, with an interest
rate of zero. Prices are in the currency of the forward: divide a price by the forward to compare
it with the mark price of an option that settles in coin.
"""

import numpy as np

from quant.kernels.compilation import inlined, kernel, wide_vectors
from quant.kernels.elementary import INV_SQRT_2PI, exp, log_ratio, mills_pair
from quant.kernels.normalised import is_ordinary
from quant.kernels.rows import Bools, Floats, check_out, check_rows, over_threads

_DAYS = 365.0
_PER_CENT = 0.01
_OUTPUTS = 6
_BLOCK = 512  # rows whose results stay in the first cache


def price_and_greeks(  # noqa: PLR0913
    forward: Floats,
    strike: Floats,
    tenor: Floats,
    iv: Floats,
    is_call: Bools,
    *,
    threads: int = 1,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    r"""Price and five Greeks of European options, undiscounted.

    Parameters
    ----------
    forward : float64 array, shape (n,)
        Forward price of the underlying at expiry [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    iv : float64 array, shape (n,)
        Implied volatility as a decimal [1/sqrt(yr)].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    threads : int
        Over how many threads the rows are split.
    out : float64 array, shape (6, n), optional
        Where the results go, instead of new arrays.

    Returns
    -------
    price : float64 array, shape (n,)
        Premium per unit of underlying [USD].
    delta : float64 array, shape (n,)
        :math:`N(d_1)`, for a put :math:`N(d_1) - 1` [1]; not premium-adjusted.
    gamma : float64 array, shape (n,)
        :math:`\phi(d_1)/(F \sigma \sqrt T)` [1/USD].
    vega : float64 array, shape (n,)
        :math:`F \phi(d_1) \sqrt T / 100` [USD per point of volatility].
    theta : float64 array, shape (n,)
        Loss of a day, of the rest of the life where that is shorter, and never more than the
        price [USD/day].
    rho : float64 array, shape (n,)
        :math:`\pm K T N(\pm d_2) / 100` [USD per 1 %].

        All six are NaN where forward, strike, tenor or iv is not between 1e-100 and 1e100.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    Notes
    -----
    The conventions are Deribit's, as measured on its quotes (docs/quant.md). A price is off by a
    few times what the rounding of the forward alone makes.

    References
    ----------
    F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976).
    """
    columns = {"forward": forward, "strike": strike, "tenor": tenor, "iv": iv}
    rows = check_rows(columns, is_call)
    n = rows[0].shape[0]
    out = np.empty((_OUTPUTS, n)) if out is None else check_out(out, (_OUTPUTS, n))
    over_threads(_price_and_greeks, (*rows, out), n, threads)
    value, delta, gamma, vega, theta, rho = out
    return value, delta, gamma, vega, theta, rho


def price(
    forward: Floats, strike: Floats, tenor: Floats, iv: Floats, is_call: Bools, *, threads: int = 1
) -> Floats:
    """Price of European options, undiscounted.

    Parameters
    ----------
    forward, strike : float64 array, shape (n,)
        Forward price of the underlying at expiry, and strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    iv : float64 array, shape (n,)
        Implied volatility as a decimal [1/sqrt(yr)].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    float64 array, shape (n,)
        Premium per unit of underlying [USD]; NaN where an input is not between 1e-100
        and 1e100.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.
    """
    columns = {"forward": forward, "strike": strike, "tenor": tenor, "iv": iv}
    rows = check_rows(columns, is_call)
    n = rows[0].shape[0]
    out = np.empty(n)
    over_threads(_price, (*rows, out), n, threads)
    return out


def vanna_and_volga(
    forward: Floats, strike: Floats, tenor: Floats, iv: Floats, *, threads: int = 1
) -> tuple[Floats, Floats]:
    r"""Second derivatives by the volatility, the same for calls and puts.

    Parameters
    ----------
    forward, strike : float64 array, shape (n,)
        Forward price of the underlying at expiry, and strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    iv : float64 array, shape (n,)
        Implied volatility as a decimal [1/sqrt(yr)].
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    vanna : float64 array, shape (n,)
        :math:`-\phi(d_1) d_2 / \sigma / 100`: change of delta [1 per point of volatility].
    volga : float64 array, shape (n,)
        :math:`F \phi(d_1) \sqrt T d_1 d_2 / \sigma / 100^2`: change of vega [USD per point of
        volatility squared].

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.
    """
    rows = check_rows({"forward": forward, "strike": strike, "tenor": tenor, "iv": iv})
    n = rows[0].shape[0]
    out = np.empty((2, n))
    over_threads(second_order, (*rows, out), n, threads)
    vanna, volga = out
    return vanna, volga


@kernel
def _price_and_greeks(forward, strike, tenor, iv, is_call, out):
    scratch = np.empty(_OUTPUTS * _BLOCK)
    for start in range(0, forward.shape[0], _BLOCK):
        rows = slice(start, min(start + _BLOCK, forward.shape[0]))
        columns = forward[rows], strike[rows], tenor[rows], iv[rows], is_call[rows]
        fill_block(columns, scratch)
        for column in range(_OUTPUTS):
            first = column * _BLOCK
            out[column, rows] = scratch[first : first + columns[0].shape[0]]


@kernel
def fill_block(columns, scratch):
    """Write price, delta, gamma, vega, theta and rho, each `_BLOCK` after the one before.

    With distances the compiler knows, the loop vectorises; with six arrays that might overlap
    it does not.
    """
    wide_vectors()
    forward, strike, tenor, iv, is_call = columns
    for i in range(forward.shape[0]):
        f, k, years, vol = forward[i], strike[i], tenor[i], iv[i]
        sign = 1.0 if is_call[i] else -1.0
        nan = _nan_unless_ordinary(f, k, years, vol)
        root, inverse, d1, d2 = _deviations(f, k, years, vol)
        density = INV_SQRT_2PI * exp(-0.5 * d1 * d1) + nan
        weight = f * density  # also strike * phi(d2)
        y1, y2 = mills_pair(abs(d1), abs(d2))
        premium = _premium(f, k, sign, weight, y1, y2, d1 * d2 < 0.0)
        day = (0.5 / _DAYS) * weight * vol * vol * f * inverse
        in_cash = k - weight * y2 if sign * d2 > 0.0 else weight * y2
        scratch[i] = premium
        scratch[_BLOCK + i] = sign * (1.0 - density * y1 if sign * d1 > 0.0 else density * y1)
        scratch[2 * _BLOCK + i] = density * inverse
        scratch[3 * _BLOCK + i] = weight * root * _PER_CENT
        scratch[4 * _BLOCK + i] = -min(day * min(1.0, _DAYS * years), premium)
        scratch[5 * _BLOCK + i] = sign * years * in_cash * _PER_CENT


@kernel
def _price(forward, strike, tenor, iv, is_call, out):
    wide_vectors()
    for i in range(forward.shape[0]):
        f, k = forward[i], strike[i]
        sign = 1.0 if is_call[i] else -1.0
        nan = _nan_unless_ordinary(f, k, tenor[i], iv[i])
        _, _, d1, d2 = _deviations(f, k, tenor[i], iv[i])
        weight = f * INV_SQRT_2PI * exp(-0.5 * d1 * d1) + nan
        y1, y2 = mills_pair(abs(d1), abs(d2))
        out[i] = _premium(f, k, sign, weight, y1, y2, d1 * d2 < 0.0)


@kernel
def second_order(forward, strike, tenor, iv, out):
    """Write vanna and volga."""
    wide_vectors()
    vanna, volga = out
    for i in range(forward.shape[0]):
        f = forward[i]
        nan = _nan_unless_ordinary(f, strike[i], tenor[i], iv[i])
        root, _, d1, d2 = _deviations(f, strike[i], tenor[i], iv[i])
        change = INV_SQRT_2PI * exp(-0.5 * d1 * d1) * d2 / iv[i] * _PER_CENT + nan
        vanna[i] = -change
        volga[i] = f * root * d1 * change * _PER_CENT


@inlined
def _nan_unless_ordinary(forward, strike, tenor, iv):
    """0, or NaN where an input is: to be added to what must not hide it."""
    ordinary = is_ordinary(forward) & is_ordinary(strike) & is_ordinary(tenor) & is_ordinary(iv)
    return 0.0 if ordinary else np.nan


@inlined
def _deviations(forward, strike, tenor, iv):
    """sqrt(T), 1/(F iv sqrt(T)), d1 and d2."""
    root = np.sqrt(tenor)
    stdev = iv * root
    inverse = 1.0 / (forward * stdev)
    middle = log_ratio(forward, strike) * forward * inverse
    return root, inverse, middle + 0.5 * stdev, middle - 0.5 * stdev


@inlined
def _premium(f, k, sign, weight, y1, y2, is_between):  # noqa: PLR0913, PLR0917
    """Price from the Mills ratios of abs(d1) and abs(d2) and weight = F phi(d1) = K phi(d2).

    What is out of the money is worth the difference of two tails; where d1 and d2 lie on either
    side of zero, one of them is the complement.
    """
    outside = min(f, k) - weight * (y1 + y2) if is_between else weight * abs(y1 - y2)
    return max(sign * (f - k), 0.0) + outside
