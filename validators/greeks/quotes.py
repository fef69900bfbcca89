"""Which quotes can be held against the exchange's Greeks, with what their digits leave open."""

import polars as pl

GREEKS = ("delta", "gamma", "vega", "theta", "rho")
QUANTITIES = ("mark_price", *GREEKS)
NUMBERS = ("strike", "mark_price", "mark_iv", "underlying_price", *GREEKS)
NEEDED = (
    "timestamp", "quoted_at", "instrument", "underlying", "expiry", "option_type", "index_price",
    *NUMBERS,
)  # fmt: skip
"""Columns of `option_tickers`."""

MOST = 1e12
_LEAST = dict.fromkeys(NUMBERS, 0.0) | dict.fromkeys(
    ("strike", "mark_iv", "underlying_price"), 1 / MOST
)
"""Between what a number of a quote lies, without its sign; beyond, it is none of a quote."""
IV_HALF = 0.5e-4
"""Half of the last digit of mark_iv, which comes in percent with two decimals [1/sqrt(yr)]."""
GREEK_HALF = 0.5e-5
"""Half of the last of a Greek's five decimals."""
MOST_DECIMALS = 8
FLAT_STRIKES = 3

STALE = "stale"
REASONS = {
    "no_greeks": "no Greeks: a row of a chain, taken without --tickers",
    "no_underlying_price": "no underlying_price",
    "no_mark_iv": "mark_iv is missing or zero",
    "no_mark_price": "no mark_price",
    "out_of_range": "a number beyond all measure",
    "expired": "less than half a minute to expiry, or none",
    STALE: "quoted too long before their snapshot",
}
"""Why a row is left out; the first that holds is told."""


def left_out(*, stale_s: float) -> pl.Expr:
    """Return why a quote is left out, null where it counts.

    Parameters
    ----------
    stale_s : float
        Up to how long before its snapshot a row may be quoted [s].
    """
    holds = {
        "no_greeks": ~pl.all_horizontal(is_number(name) for name in GREEKS),
        "no_underlying_price": ~(is_number("underlying_price") & (pl.col("underlying_price") > 0)),
        "no_mark_iv": ~(is_number("mark_iv") & (pl.col("mark_iv") > 0)),
        "no_mark_price": ~is_number("mark_price"),
        "out_of_range": ~pl.all_horizontal(
            pl.col(name).abs().is_between(low, MOST).fill_null(value=False)
            for name, low in _LEAST.items()
        ),
        "expired": minutes_left(seconds_left()) <= 0,
        STALE: seconds_late() > stale_s,
    }
    words = [pl.when(holds[reason]).then(pl.lit(reason)) for reason in REASONS]
    return pl.coalesce(*words).alias("reason")


def seconds_late() -> pl.Expr:
    """How long before its snapshot a row was quoted [s]."""
    return (pl.col("timestamp") - pl.col("quoted_at")).dt.total_microseconds() / 1e6


def is_number(name: str) -> pl.Expr:
    """Whether a column holds a finite number."""
    return pl.col(name).is_finite().fill_null(value=False)


def seconds_left() -> pl.Expr:
    """Time from the quote to expiry [s], exact to the microsecond."""
    return (pl.col("expiry") - pl.col("quoted_at")).dt.total_microseconds() / 1e6


def minutes_left(seconds: pl.Expr) -> pl.Expr:
    """Time to expiry in whole minutes, the nearest: as the exchange counts it [min]."""
    return (seconds / 60).round()


def flat_marks(rows: pl.DataFrame) -> int:
    """Return how many rows are of expiries that have one mark_iv at all of some strikes.

    Such a volatility is a placeholder of the exchange's, but its Greeks are of it, so they count.
    """
    one = pl.struct("timestamp", "underlying", "expiry")
    is_flat = pl.col("mark_iv").n_unique().over(one) == 1
    has_strikes = pl.col("strike").n_unique().over(one) >= FLAT_STRIKES
    return int(rows.select((is_flat & has_strikes).sum()).item())


def with_halves(rows: pl.DataFrame) -> pl.DataFrame:
    """Add half of the last printed digit of `underlying_price` and `mark_price`.

    How many decimals an underlying's prices have is seen on all of its rows together: a ticker's
    mark has four, a book's six or eight, a forward two or four.
    """
    for name in ("underlying_price", "mark_price"):
        half = pl.lit(0.5 * 10.0**-MOST_DECIMALS)
        for decimals in range(MOST_DECIMALS - 1, -1, -1):
            fits = _has_decimals(name, decimals).all().over("underlying")
            half = pl.when(fits).then(0.5 * 10.0**-decimals).otherwise(half)
        rows = rows.with_columns(half.alias(f"{name}_half"))
    return rows


def _has_decimals(name: str, decimals: int) -> pl.Expr:
    value = pl.col(name)
    return (value - value.round(decimals)).abs() <= 1e-12 * value.abs().clip(lower_bound=1.0)
