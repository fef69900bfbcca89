"""Black-76 prices and Greeks of quotes, in the exchange's convention: frames in, frames out."""

import numpy as np
import polars as pl

from quant.conventions import premium_quoted
from quant.kernels import black76 as kernels
from quant.options import check_quotes, floats, is_call, row_slices

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
    for rows in row_slices(quotes.height):
        part = quotes[rows]
        forward, strike, tenor, iv = (floats(part[name]) for name in _NUMBERS)
        call = is_call(part["option_type"])
        results = kernels.price_and_greeks(forward, strike, tenor, iv, call, threads=threads)
        for row, result in zip(out, results, strict=True):
            row[rows] = result
    names = ("model_price", *GREEKS)
    computed = [pl.Series(name, row) for name, row in zip(names, out, strict=True)]
    known = pl.col("option_type").is_not_null()
    quoted = premium_quoted(pl.col("model_price"), pl.col("forward"), pl.col("instrument_type"))
    return (
        quotes.with_columns(computed)
        .with_columns(pl.when(known).then(pl.col("model_price", *GREEKS).fill_nan(None)))
        .with_columns(model_price=quoted)
    )


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
