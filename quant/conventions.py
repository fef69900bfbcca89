"""How Deribit counts: ACT/365 to 08:00 UTC, premiums in coin or in dollars, as expressions."""

from datetime import time, timedelta

import polars as pl

EXPIRY_TIME = time(8)
"""Time of day, UTC, at which everything expires."""
YEAR = timedelta(days=365)
INSTRUMENT_TYPES = ("reversed", "linear")
"""Deribit's words for what pays in coin and what pays in USDC."""
OPTION_TYPES = ("call", "put")

_YEAR_US = YEAR // timedelta(microseconds=1)
_DAY_US = timedelta(days=1) // timedelta(microseconds=1)


def expiry(date: pl.Expr) -> pl.Expr:
    """Moment of expiry [UTC] on a day of expiry.

    Parameters
    ----------
    date : pl.Expr
        Dates.

    Returns
    -------
    pl.Expr
        `Datetime("us", "UTC")` at 08:00.
    """
    return date.dt.combine(EXPIRY_TIME, "us").dt.replace_time_zone("UTC")


def tenor(timestamp: pl.Expr, expiry: pl.Expr) -> pl.Expr:
    """Time to expiry, ACT/365 [yr]; negative after it.

    Parameters
    ----------
    timestamp, expiry : pl.Expr
        Moments.

    Returns
    -------
    pl.Expr
        Float64, exact to the microsecond.
    """
    return (expiry - timestamp).dt.total_microseconds() / _YEAR_US


def days_to_expiry(timestamp: pl.Expr, expiry: pl.Expr) -> pl.Expr:
    """Time to expiry [days of 24 hours]; negative after it.

    Parameters
    ----------
    timestamp, expiry : pl.Expr
        Moments.

    Returns
    -------
    pl.Expr
        Float64.
    """
    return (expiry - timestamp).dt.total_microseconds() / _DAY_US


def log_moneyness(strike: pl.Expr, forward: pl.Expr) -> pl.Expr:
    """Log-moneyness ln(strike/forward) [1]; positive for strikes above the forward."""
    return (strike / forward).log()


def total_variance(iv: pl.Expr, tenor: pl.Expr) -> pl.Expr:
    """Total variance iv**2 tenor [1]."""
    return iv * iv * tenor


def premium_usd(price: pl.Expr, forward: pl.Expr, instrument_type: pl.Expr) -> pl.Expr:
    """Premium in the currency of the forward [USD].

    Parameters
    ----------
    price : pl.Expr
        Premium as Deribit quotes it [coin for reversed options, USDC for linear ones].
    forward : pl.Expr
        Forward of the option's expiry [USD].
    instrument_type : pl.Expr
        `reversed` or `linear`.

    Returns
    -------
    pl.Expr
        Float64; null where `instrument_type` is.
    """
    return price * _dollars_per_unit(forward, instrument_type)


def premium_quoted(usd: pl.Expr, forward: pl.Expr, instrument_type: pl.Expr) -> pl.Expr:
    """Premium as Deribit quotes it [coin for reversed options, USDC for linear ones].

    Parameters
    ----------
    usd : pl.Expr
        Premium in the currency of the forward [USD].
    forward, instrument_type : pl.Expr
        As for `premium_usd`, whose inverse this is.

    Returns
    -------
    pl.Expr
        Float64; null where `instrument_type` is.
    """
    return usd / _dollars_per_unit(forward, instrument_type)


def _dollars_per_unit(forward: pl.Expr, instrument_type: pl.Expr) -> pl.Expr:
    pays_coin = instrument_type == INSTRUMENT_TYPES[0]
    return pl.when(pays_coin).then(forward).when(pays_coin.not_()).then(1.0)
