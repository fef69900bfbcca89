"""What holding a perpetual cost: hourly funding rates added up as Deribit adds them."""

import polars as pl


def funding_value(*, is_inverse: bool) -> pl.Expr:
    r"""Funding over all the hours of a frame or group, as a fraction of the position [1].

    On an inverse perpetual every hour is charged in coin at its own index price, so that an hour
    weighs the price at the start over the price at its own start,

    .. math:: P_0 \sum_t r_t / P_{t-1}

    with :math:`P_0` the `prev_index_price` of the earliest row. On a linear one the hours add up.

    Parameters
    ----------
    is_inverse : bool
        Whether the perpetual settles in coin.

    Returns
    -------
    pl.Expr
        One float64; 0 without rows. It needs the columns `timestamp`, `interest_1h` [1] and
        `prev_index_price` [quote currency], in any order of rows.

    References
    ----------
    Measured: BTC-PERPETUAL, May 2025, public/get_funding_rate_value says 0.0046987323 and this
    0.0046987315 (a plain sum 0.0052367). The linear case was not measured.
    """
    rate, price = pl.col("interest_1h"), pl.col("prev_index_price")
    if not is_inverse:
        return rate.sum().alias("funding_value")
    first = price.sort_by("timestamp").first()
    return (first * (rate / price).sum()).fill_null(0.0).alias("funding_value")
