"""What a wrong side may have done: known conventions tried on the rows of buckets that fail."""

from typing import NamedTuple

import numpy as np
import polars as pl

from etl.check.greek_age import Age
from etl.check.greek_conventions import EXCHANGE, OTHERS, Convention, Quotes, quotes_of
from etl.check.greek_tolerances import against
from quant.kernels.rows import Floats
from validators.greeks.errors import BUCKET
from validators.greeks.quotes import GREEKS, QUANTITIES

BETTER = 0.5
"""A convention explains a misfit that leaves at most this share of what is outside, outside."""


class Hint(NamedTuple):
    """The convention that the exchange's side agrees with best, of those that were tried.

    `outside` and `outside_ours` are the shares of sampled Greeks outside by it and by ours;
    `error` and `error_ours` the medians of the Greek that is off most.
    """

    underlying: str
    convention: str
    explains: bool
    greek: str
    error: float
    error_ours: float
    outside: float
    outside_ours: float

    @property
    def words(self) -> str:
        """What a report says of it."""
        shares = f"{100 * self.outside:.1f} % outside instead of {100 * self.outside_ours:.1f} %"
        if not self.explains:
            nearest = f"nearest is {self.convention}, {shares}"
            return f"{self.underlying}: no convention tried explains it; {nearest}"
        medians = (
            f"median |error| of {self.greek} {self.error:.2g} instead of {self.error_ours:.2g}"
        )
        agrees = f"the exchange's side agrees with {self.convention}"
        return f"{self.underlying}: {agrees}: {medians}, {shares}"


def hints(
    sample: pl.DataFrame, table: pl.DataFrame, ages: list[Age], age_s: float = 0.0
) -> list[Hint]:
    """Return a hint for each underlying some bucket of Greeks of which fails.

    Parameters
    ----------
    sample : DataFrame
        Quotes of all buckets, with `BUCKET` and what `quotes_of` takes.
    table : DataFrame
        The verdicts, of `judged`.
    ages : list of Age
        How old Greeks seem.
    age_s : float
        How old they were taken to be [s].
    """
    failed = table.filter(pl.col("verdict") == "fail", pl.col("quantity").is_in(GREEKS))
    rows = sample.join(failed.select(BUCKET).unique(), on=BUCKET, how="semi")
    return [
        _hint(underlying, mine, age_s, ages)
        for (underlying,), mine in rows.sort("underlying").group_by(
            "underlying", maintain_order=True
        )
    ]


class _Trial(NamedTuple):
    """How near a convention is: of each Greek the median error, and the share outside."""

    words: str
    errors: Floats
    outside: Floats

    @property
    def share(self) -> float:
        return float(self.outside.mean())


def _hint(underlying: str, rows: pl.DataFrame, age_s: float, ages: list[Age]) -> Hint:
    quotes, theirs = quotes_of(rows), rows.select(QUANTITIES).to_numpy().T
    seconds = {round(age.seconds) for age in ages if age.is_old and age.seconds is not None}
    old = [Convention(f"Greeks {age} s old").older(age) for age in sorted(seconds)]
    ours = _tried(quotes, theirs, EXCHANGE.older(age_s))
    others = [*(one.older(age_s) for one in OTHERS), *old]
    least = min((_tried(quotes, theirs, one) for one in others), key=lambda one: one.share)
    greek = int(np.argmax(ours.outside))
    return Hint(
        underlying=underlying,
        convention=least.words,
        explains=least.share <= BETTER * ours.share,
        greek=GREEKS[greek],
        error=float(least.errors[greek]),
        error_ours=float(ours.errors[greek]),
        outside=least.share,
        outside_ours=ours.share,
    )


def _tried(quotes: Quotes, theirs: Floats, convention: Convention) -> _Trial:
    """Return how near a convention is; an option it gives no Greeks is far off."""
    ours, tolerance = against(quotes, theirs, convention)
    error = np.nan_to_num(np.abs(ours - theirs)[1:], nan=np.inf)
    outside = np.mean(~(error <= tolerance[1:]), axis=1)
    return _Trial(convention.words, np.median(error, axis=1), outside)
