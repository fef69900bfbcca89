"""Greeks in all conventions at once: as the exchange publishes them, in coin, discounted.

All are the exchange's own (`quant.kernels.black76`) in other units, or with what a rate adds; none
needs another normal density. Prices of options that settle in coin are still in the currency of the
forward here, except where a name ends in `_coin`.
"""

import numpy as np

from quant.kernels.black76 import fill_block, second_order
from quant.kernels.compilation import kernel, wide_vectors
from quant.kernels.elementary import exp, log_ratio
from quant.kernels.normalised import is_ordinary
from quant.kernels.rows import Bools, Floats, check_out, check_rows, over_threads

EXCHANGE = ("price", "delta", "gamma", "vega", "theta", "rho")
COIN = ("net_delta", "delta_coin", "gamma_coin", "vega_coin", "theta_coin")
DISCOUNTED = tuple(f"{name}_disc" for name in EXCHANGE)
NAMES = (*EXCHANGE, "vanna", "volga", *COIN, "coin_rate", *DISCOUNTED)
"""The rows of a result, in order."""

_DAYS = 365.0
_PER_CENT = 0.01
_BLOCK = 512  # rows whose first results stay in the first cache, as `fill_block` lays them out
_FIRST, _SECOND, _THIRD = (NAMES.index(name) for name in ("vanna", "net_delta", "coin_rate"))
_MOST = 700.0  # rate times tenor, beyond which a discount is no number


def greeks(  # noqa: PLR0913, PLR0917
    forward: Floats,
    index: Floats,
    strike: Floats,
    tenor: Floats,
    iv: Floats,
    rate: Floats,
    is_call: Bools,
    is_coin: Bools,
    *,
    threads: int = 1,
    out: Floats | None = None,
) -> Floats:
    r"""Price and Greeks of European options in the conventions of `NAMES`.

    Parameters
    ----------
    forward, index : float64 array, shape (n,)
        Forward of the expiry, and index now: what is held to hedge [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    iv : float64 array, shape (n,)
        Implied volatility as a decimal [1/sqrt(yr)].
    rate : float64 array, shape (n,)
        Continuously compounded rate for the tenor [1/yr]; NaN where none is known.
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    is_coin : bool array, shape (n,)
        True where premium and payment are in coin.
    threads : int
        Over how many threads the rows are split.
    out : float64 array, shape (len(NAMES), n), optional
        Where the results go, instead of a new array.

    Returns
    -------
    float64 array, shape (len(NAMES), n)
        `price` to `rho`
            As the exchange publishes them: undiscounted, theta capped twice
            (`black76.price_and_greeks`).
        `vanna`, `volga`
            As of `black76.vanna_and_volga`.
        `net_delta`
            :math:`\Delta - p`, with p the price in coin [1]: what the forward must be sold of, so
            that holdings in coin do not move.
        `delta_coin`, `gamma_coin`, `vega_coin`, `theta_coin`
            Derivatives of the price in coin, :math:`p = V/F`: :math:`(\Delta - p)/F` [coin per
            USD], :math:`\Gamma/F - 2(\Delta - p)/F^2` [coin per USD squared], :math:`vega/F` [coin
            per point of volatility], :math:`\Theta/F` [coin/day].
        `coin_rate`
            :math:`r - \ln(F/S)/T`: what the coin itself earns [1/yr].
        `price_disc` to `rho_disc`
            With :math:`D = e^{-rT}`, of :math:`D V`: by the index S, of which F is a fixed
            multiple (`delta_disc` [1], `gamma_disc` [1/USD]), by volatility, by a day with F held
            and no cap (`theta_disc` [USD/day]), and by the rate with F held (`rho_disc` [USD per
            1 %]).

        NaN where one of the inputs it is made of is not between 1e-100 and 1e100, or rate times
        tenor not between -700 and 700; what is in coin, where the option is not.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    References
    ----------
    F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976).
    """
    columns = {
        "forward": forward, "index": index, "strike": strike, "tenor": tenor, "iv": iv,
        "rate": rate,
    }  # fmt: skip
    rows = check_rows(columns, is_call, is_coin)
    n = rows[0].shape[0]
    out = np.empty((len(NAMES), n)) if out is None else check_out(out, (len(NAMES), n))
    over_threads(_greeks, (*rows, out), n, threads)
    return out


@kernel
def _greeks(forward, index, strike, tenor, iv, rate, is_call, is_coin, out):  # noqa: PLR0913, PLR0917
    scratch = np.empty(_FIRST * _BLOCK)
    for start in range(0, forward.shape[0], _BLOCK):
        rows = slice(start, min(start + _BLOCK, forward.shape[0]))
        columns = forward[rows], strike[rows], tenor[rows], iv[rows]
        fill_block((*columns, is_call[rows]), scratch)
        for column in range(_FIRST):
            first = column * _BLOCK
            out[column, rows] = scratch[first : first + columns[0].shape[0]]
        exchange = out[:_FIRST, rows]
        second_order(*columns, out[_FIRST:_SECOND, rows])
        _in_coin(columns[0], is_coin[rows], exchange, out[_SECOND:_THIRD, rows])
        terms = columns[0], index[rows], tenor[rows], iv[rows], rate[rows]
        _discounted(*terms, exchange, out[_THIRD:, rows])


@kernel
def _in_coin(forward, is_coin, exchange, out):
    """Write the rows of `COIN` from those of `EXCHANGE`."""
    wide_vectors()
    price, delta, gamma, vega, theta = (
        exchange[0],
        exchange[1],
        exchange[2],
        exchange[3],
        exchange[4],
    )
    net_delta, delta_coin, gamma_coin, vega_coin, theta_coin = out
    for i in range(forward.shape[0]):
        per_unit = 1.0 / forward[i] if is_coin[i] else np.nan
        net = delta[i] - price[i] * per_unit
        net_delta[i] = net
        delta_coin[i] = net * per_unit
        gamma_coin[i] = (gamma[i] - 2.0 * net * per_unit) * per_unit
        vega_coin[i] = vega[i] * per_unit
        theta_coin[i] = theta[i] * per_unit


@kernel
def _discounted(forward, index, tenor, iv, rate, exchange, out):  # noqa: PLR0913, PLR0917
    """Write the rate of the coin and the rows of `DISCOUNTED` from those of `EXCHANGE`."""
    wide_vectors()
    price, delta, gamma, vega = exchange[0], exchange[1], exchange[2], exchange[3]
    coin_rate, price_disc, delta_disc, gamma_disc, vega_disc, theta_disc, rho_disc = out
    for i in range(forward.shape[0]):
        r, years = rate[i], tenor[i]
        known = is_ordinary(forward[i]) & is_ordinary(index[i]) & is_ordinary(years)
        known = known & (abs(r * years) < _MOST)
        nan = 0.0 if known else np.nan
        factor, multiple = exp(-r * years) + nan, forward[i] / index[i]
        worth = factor * price[i]
        decay = vega[i] * iv[i] / (2.0 * _PER_CENT * years)  # a year's, by the forward's wandering
        coin_rate[i] = r - log_ratio(forward[i], index[i]) / years + nan
        price_disc[i] = worth
        delta_disc[i] = factor * multiple * delta[i]
        gamma_disc[i] = factor * multiple * multiple * gamma[i]
        vega_disc[i] = factor * vega[i]
        theta_disc[i] = (r * worth - factor * decay) / _DAYS
        rho_disc[i] = -years * worth * _PER_CENT
