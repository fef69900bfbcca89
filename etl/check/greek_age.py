"""How old the exchange's Greeks are inside their ticker, from pairs of calls and puts.

rho of a call less rho of its put is K T / 100, whatever volatility and forward are, so five
decimals of it tell the T that the exchange took: to a tenth of a second for BTC.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from etl.check.greek_conventions import EXCHANGE, Convention, Quotes, evaluated, tenor
from quant.kernels.rows import Bools, Floats
from validators.greeks.quotes import GREEK_HALF, QUANTITIES

YEAR_S = 365 * 86_400.0
MOST_PAIRS = 20_000
LEAST_PAIRS = 20
TELLING_S = 5.0
"""Pairs whose T is known worse than this tell nothing of an age of seconds [s]."""
AGES = np.arange(-60.0, 120.25, 0.25)
"""Ages that are tried [s]."""
AGREE = 4.0  # errors of a T within which it is the one expected
OLD_S = 3.0
LEAST_AGREEMENT = 0.5
RHO = QUANTITIES.index("rho")


class Age(NamedTuple):
    """By how much the Greeks of an underlying are older than their tickers.

    `seconds` and `error` are None where no pair tells, or no age makes most of them agree.
    """

    underlying: str
    pairs: int
    seconds: float | None
    error: float | None
    agreement: float | None

    @property
    def is_old(self) -> bool:
        """Whether they are older by more than can be chance."""
        if self.seconds is None or self.error is None:
            return False
        return self.seconds - self.error > OLD_S

    @property
    def words(self) -> str:
        """What a report says of it."""
        if self.pairs < LEAST_PAIRS:
            return f"{self.underlying}: {self.pairs:,} pairs of call and put that tell an age"
        if self.seconds is None:
            return f"{self.underlying}: no age makes the exchange's time to expiry ours"
        told, pairs = f"{self.seconds:.1f} ± {self.error:.1f} s", f"({self.pairs:,} pairs)"
        if not self.is_old:
            return f"{self.underlying}: the age of the Greeks is {told} {pairs}"
        return (
            f"{self.underlying}: the exchange's Greeks are {told} older than their ticker {pairs}"
        )


def pairs_of(rows: pl.DataFrame, quotes: Quotes, tolerance: Floats) -> pl.DataFrame:
    """Return what each pair of call and put tells of the time to expiry.

    Parameters
    ----------
    rows : DataFrame
        n quotes: `timestamp`, `underlying`, `expiry`, `strike`, `rho`, `instrument`.
    quotes : Quotes
        The same as numbers.
    tolerance : float64 array, shape (6, n)
        As from `against`.

    Returns
    -------
    DataFrame
        `underlying`, `late` (by how much the exchange's T is longer than ours [s]), `error` [s],
        `call_seconds`, `put_seconds` to expiry, `weight` of the call: N(d2). Most telling first.
    """
    rho, years = evaluated(quotes)[RHO], tenor(quotes)
    told = rows.select("timestamp", "underlying", "expiry", "strike", "rho").with_columns(
        pl.Series("is_call", quotes.is_call),
        pl.Series("seconds", quotes.seconds),
        pl.Series("iv", quotes.iv),
        pl.Series("forward", quotes.forward),
        pl.Series("off", rows["rho"].to_numpy() - rho),
        pl.Series("open", tolerance[RHO] - GREEK_HALF),
        pl.Series("share", np.abs(100 * rho) / (quotes.strike * years)),
    )
    key = ["timestamp", "underlying", "expiry", "strike"]
    calls, puts = told.filter("is_call"), told.filter(~pl.col("is_call"))
    scale = 100 * YEAR_S / pl.col("strike")
    return (
        calls.join(puts, on=key, how="inner", suffix="_put")
        .select(
            "underlying",
            (scale * (pl.col("off") - pl.col("off_put"))).alias("late"),
            (scale * _variance().sqrt()).alias("error"),
            pl.col("seconds").alias("call_seconds"),
            pl.col("seconds_put").alias("put_seconds"),
            pl.col("share").alias("weight"),
        )
        .filter(pl.col("error") <= TELLING_S)
        .sort("error")
    )


def _variance() -> pl.Expr:
    """Return the variance of the difference of two rhos [(USD per 1 %)^2]: of uniform errors.

    Where both have the same volatility and forward, what these leave open cancels.
    """
    is_same = (pl.col("iv") == pl.col("iv_put")) & (pl.col("forward") == pl.col("forward_put"))
    apart = (pl.col("open") ** 2 + pl.col("open_put") ** 2) / 3
    return 2 * GREEK_HALF**2 / 3 + pl.when(is_same).then(0.0).otherwise(apart)


def best(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the most telling pairs of each underlying, few enough to be held."""
    return pairs.sort("error").group_by("underlying", maintain_order=True).head(MOST_PAIRS)


def age_of(underlying: str, pairs: pl.DataFrame, convention: Convention = EXCHANGE) -> Age:
    """Return the age at which most pairs have the time to expiry they would have at that age.

    Its error is half the width of the ages that agree as well, counting errors and all.
    """
    mine = pairs.filter(pl.col("underlying") == underlying)
    if len(mine) < LEAST_PAIRS:
        return Age(underlying, len(mine), None, None, None)
    share = np.array([float(_agrees(mine, age, convention).mean()) for age in AGES])
    most = float(share.max())
    if most < LEAST_AGREEMENT:
        return Age(underlying, len(mine), None, None, most)
    chance = 2 * np.sqrt(most * (1 - most) / len(mine)) + 1 / len(mine)
    equal = AGES[share >= most - chance]
    middle, step = (equal[0] + equal[-1]) / 2, AGES[1] - AGES[0]
    error = (equal[-1] - equal[0] + step) / 2
    return Age(underlying, len(mine), float(middle), float(error), most)


def _agrees(pairs: pl.DataFrame, age: float, convention: Convention) -> Bools:
    """Whether the T of pairs is what it would be were their Greeks so old."""
    weight = pairs["weight"].to_numpy()
    late = weight * _later(pairs["call_seconds"].to_numpy(), age, convention)
    late += (1 - weight) * _later(pairs["put_seconds"].to_numpy(), age, convention)
    return np.asarray(np.abs(pairs["late"].to_numpy() - late) <= AGREE * pairs["error"].to_numpy())


def _later(seconds: Floats, age: float, convention: Convention) -> Floats:
    """Return by how much the time to expiry was longer some time before [s]."""
    if not convention.to_minute:
        return np.full(seconds.shape, age)
    return np.asarray(60 * (np.rint((seconds + age) / 60) - np.rint(seconds / 60)))
