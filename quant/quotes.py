"""Which option quotes may shape a surface, and why another one may not."""

import polars as pl

from quant.conventions import OPTION_TYPES, log_moneyness, premium_quoted
from quant.options import check_quotes

STATUSES = (
    "ok",
    "no_forward",
    "expired",
    "no_bid",
    "no_ask",
    "crossed",
    "in_the_money",
    "below_intrinsic",
    "above_maximum",
    "few_ticks",
    "wide_spread",
)
"""Why a quote is left out, where it is; the first that applies."""
STATUS = pl.Enum(STATUSES)

FEWEST_TICKS = 2.0
"""A mid below so many steps of price is left out: rounding alone moves it by a quarter or more."""
WIDEST_SPREAD = 1.0
"""A spread above the mid, an ask of three bids, is left out: the mid is anywhere within half."""
NEAR_THE_MONEY = 0.1
"""Up to this abs(ln(strike/forward)) over the root of the tenor, put and call are both taken
[1/sqrt(yr)]: a quarter of a standard deviation at 40 %, where either is traded as much."""

_NUMBERS = ("bid_price", "ask_price", "tick", "forward", "strike", "tenor")


def with_quote_status(
    quotes: pl.DataFrame,
    *,
    fewest_ticks: float = FEWEST_TICKS,
    widest_spread: float = WIDEST_SPREAD,
) -> pl.DataFrame:
    """Add why a quote may not shape a surface, or that it may.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per option, with `bid_price`, `ask_price` and `tick`, the step of prices there
        [coin where reversed, USDC where linear], `forward` and `strike` [USD], `tenor` [yr],
        `option_type` (`call` or `put`) and `instrument_type` (`reversed` or `linear`).
    fewest_ticks : float
        Least mid [ticks].
    widest_spread : float
        Largest spread over the mid [1].

    Returns
    -------
    pl.DataFrame
        The frame with `quote_status`, one of `STATUSES`. Null, NaN, zero and infinity are no
        price. Out of the money are puts up to the forward and calls from it on.

    Raises
    ------
    ValueError
        If a column is missing, of another type, or has an unknown word.
    """
    check_quotes(quotes, _NUMBERS, ("option_type", "instrument_type"))
    status = _first_that_applies(_faults(fewest_ticks, widest_spread))
    return quotes.with_columns(quote_status=status.cast(STATUS))


def _faults(fewest_ticks: float, widest_spread: float) -> dict[str, pl.Expr]:
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    mid = (bid + ask) / 2.0
    least, most = _bounds()
    named = pl.col("option_type").is_not_null() & pl.col("instrument_type").is_not_null()
    return {
        "no_forward": ~(_is_a_price("forward") & _is_a_price("strike") & named),
        "expired": ~_is_a_price("tenor"),
        "no_bid": ~_is_a_price("bid_price"),
        "no_ask": ~_is_a_price("ask_price"),
        "crossed": bid > ask,
        "in_the_money": _is_in_the_money(),
        "below_intrinsic": mid <= least,
        "above_maximum": mid >= most,
        "few_ticks": mid < fewest_ticks * pl.col("tick"),
        "wide_spread": ask - bid > widest_spread * mid,
    }


def _first_that_applies(faults: dict[str, pl.Expr]) -> pl.Expr:
    """Return the word of the first fault; one that is null, for want of a number, applies too."""
    status = pl.lit(STATUSES[0])
    for word, is_faulty in reversed(faults.items()):
        status = pl.when(is_faulty.fill_null(value=True)).then(pl.lit(word)).otherwise(status)
    return status


def _is_a_price(name: str) -> pl.Expr:
    number = pl.col(name).cast(pl.Float64)
    return (number.is_finite() & (number > 0.0)).fill_null(value=False)


def _is_in_the_money() -> pl.Expr:
    k = log_moneyness(pl.col("strike"), pl.col("forward"))
    depth = pl.when(pl.col("option_type") == OPTION_TYPES[0]).then(-k).otherwise(k)
    return depth > NEAR_THE_MONEY * pl.col("tenor").sqrt()


def _bounds() -> tuple[pl.Expr, pl.Expr]:
    """Return intrinsic value and maximum as they would be quoted."""
    forward, strike = pl.col("forward"), pl.col("strike")
    is_call = pl.col("option_type") == OPTION_TYPES[0]
    intrinsic = pl.when(is_call).then(forward - strike).otherwise(strike - forward)
    maximum = pl.when(is_call).then(forward).otherwise(strike)
    kind = pl.col("instrument_type")
    least = pl.max_horizontal(intrinsic, 0.0)
    return premium_quoted(least, forward, kind), premium_quoted(maximum, forward, kind)
