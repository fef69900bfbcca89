"""Implied volatility of quotes: frames in, frames out."""

import numpy as np
import polars as pl

from quant.conventions import premium_usd
from quant.kernels import implied_vol as kernels
from quant.kernels.rows import Floats
from quant.kernels.status import NAMES, OK
from quant.options import check_quotes, floats, is_call, row_slices

STATUS = pl.Enum(NAMES)
"""Why a row has an implied volatility, or none."""


def with_implied_vol(quotes: pl.DataFrame, *, price: str, threads: int = 1) -> pl.DataFrame:
    """Add the implied volatility of a price, and why there is none where there is none.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per quote, with the columns `price` names, `forward` [USD], `strike` [USD],
        `tenor` [yr], `option_type` (`call` or `put`) and `instrument_type` (`reversed` or
        `linear`).
    price : str
        Column with the premium [coin where reversed, USDC where linear].
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    pl.DataFrame
        The frame with `iv` as a decimal [1/sqrt(yr)], null unless `iv_status` is `ok`, and
        `iv_status`. A row with a null or NaN is `bad_input`.

    Raises
    ------
    ValueError
        If a column is missing, of another type, or has an unknown word.
    """
    check_quotes(quotes, (price, "forward", "strike", "tenor"), ("option_type", "instrument_type"))
    iv = np.empty(quotes.height)
    status = np.empty(quotes.height, dtype=np.uint8)
    for rows in row_slices(quotes.height):
        part = quotes[rows]
        premium = _premium(part, price)
        forward, strike, tenor = (floats(part[name]) for name in ("forward", "strike", "tenor"))
        call = is_call(part["option_type"])
        iv[rows], status[rows] = kernels.implied_vol(
            premium, forward, strike, tenor, call, threads=threads
        )
    return quotes.with_columns(
        pl.Series("iv", iv).set(pl.Series(status != OK), None),
        pl.Series("iv_status", status).cat.to(STATUS),
    )


def _premium(quotes: pl.DataFrame, price: str) -> Floats:
    usd = premium_usd(pl.col(price), pl.col("forward"), pl.col("instrument_type"))
    known = pl.col("option_type").is_not_null()
    return floats(quotes.select(pl.when(known).then(usd)).to_series())
