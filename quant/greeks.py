"""Greeks of quotes in every convention: the exchange's, of premiums in coin, discounted."""

import polars as pl

from quant.conventions import INSTRUMENT_TYPES, premium_quoted
from quant.options import check_quotes, floats, is_call

_NUMBERS = ("forward", "index_price", "strike", "tenor", "iv", "rate")


def with_all_greeks(quotes: pl.DataFrame, *, threads: int = 1) -> pl.DataFrame:
    """Add the Greeks of all conventions.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per quote, with `forward`, `index_price` and `strike` [USD], `tenor` [yr], `iv` as a
        decimal [1/sqrt(yr)], `rate`, continuously compounded [1/yr], `option_type` (`call` or
        `put`) and `instrument_type` (`reversed` or `linear`).
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    pl.DataFrame
        The frame with `model_price` [coin where reversed, USDC where linear] and all else that
        `quant.kernels.greeks.NAMES` lists, in the units stated there. Null where an input it is
        made of is null or not positive; what is in coin, where the option is linear.

    Raises
    ------
    ValueError
        If a column is missing, of another type, or has an unknown word.
    """
    from quant.kernels.greeks import NAMES, greeks  # noqa: PLC0415  (numba: half a second)

    check_quotes(quotes, _NUMBERS, ("option_type", "instrument_type"))
    forward, index, strike, tenor, iv, rate = (floats(quotes[name]) for name in _NUMBERS)
    pays_coin = quotes["instrument_type"] == INSTRUMENT_TYPES[0]
    flags = is_call(quotes["option_type"]), pays_coin.fill_null(value=False).to_numpy()
    found = greeks(forward, index, strike, tenor, iv, rate, *flags, threads=threads)
    names = ("model_price", *NAMES[1:])
    columns = [
        pl.Series(name, row, nan_to_null=True) for name, row in zip(names, found, strict=True)
    ]
    known = pl.all_horizontal(pl.col("option_type", "instrument_type").is_not_null())
    made = quotes.with_columns(columns).with_columns(pl.when(known).then(pl.col(names)))
    quoted = premium_quoted(pl.col("model_price"), pl.col("forward"), pl.col("instrument_type"))
    return made.with_columns(model_price=quoted)
