"""Black-76 prices and Greeks of quotes, in the exchange's convention: frames in, frames out."""

import numpy as np
import polars as pl

from quant.conventions import premium_quoted
from quant.kernels import black76 as kernels
from quant.options import check_quotes, floats, is_call

GREEKS = ("delta", "gamma", "vega", "theta", "rho")
_NUMBERS = ("forward", "strike", "tenor", "iv")


def with_price_and_greeks(quotes: pl.DataFrame, *, threads: int = 1) -> pl.DataFrame:
    """Add the price of the model and five Greeks as Deribit publishes them.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per quote, with `forward` [USD], `strike` [USD], `tenor` [yr], `iv` as a decimal
        [1/sqrt(yr)], `option_type` (`call` or `put`) and `instrument_type` (`reversed` or
        `linear`).
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    pl.DataFrame
        The frame with `model_price` [coin where reversed, USDC where linear], `delta` [1],
        `gamma` [1/USD], `vega` [USD per point of volatility], `theta` [USD/day] and `rho` [USD
        per 1 %]. All null where an input is null or not positive.

    Raises
    ------
    ValueError
        If a column is missing, of another type, or has an unknown word.
    """
    check_quotes(quotes, _NUMBERS, ("option_type", "instrument_type"))
    out = np.empty((1 + len(GREEKS), quotes.height))
    forward, strike, tenor, iv = (floats(quotes[name]) for name in _NUMBERS)
    call = is_call(quotes["option_type"])
    kernels.price_and_greeks(forward, strike, tenor, iv, call, threads=threads, out=out)
    names = ("model_price", *GREEKS)
    computed = [
        pl.Series(name, row, nan_to_null=True) for name, row in zip(names, out, strict=True)
    ]
    priced = quotes.with_columns(computed)
    if quotes["option_type"].null_count():
        known = pl.col("option_type").is_not_null()
        priced = priced.with_columns(pl.when(known).then(pl.col(names)))
    quoted = premium_quoted(pl.col("model_price"), pl.col("forward"), pl.col("instrument_type"))
    return priced.with_columns(model_price=quoted)


def with_vanna_and_volga(quotes: pl.DataFrame, *, threads: int = 1) -> pl.DataFrame:
    """Add the two second derivatives by the volatility.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per quote, with `forward` [USD], `strike` [USD], `tenor` [yr] and `iv` as a
        decimal [1/sqrt(yr)].
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    pl.DataFrame
        The frame with `vanna` [1 per point of volatility] and `volga` [USD per point of
        volatility squared], null where an input is null or not positive.

    Raises
    ------
    ValueError
        If a column is missing or not numeric.
    """
    check_quotes(quotes, _NUMBERS, ())
    forward, strike, tenor, iv = (floats(quotes[name]) for name in _NUMBERS)
    vanna, volga = kernels.vanna_and_volga(forward, strike, tenor, iv, threads=threads)
    return quotes.with_columns(
        pl.Series("vanna", vanna).fill_nan(None), pl.Series("volga", volga).fill_nan(None)
    )
