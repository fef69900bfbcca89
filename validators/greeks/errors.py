"""Errors of Greeks by bucket: counted as rows come, quantiles to a per cent of them, a verdict.

What is held of any number of rows is a count per bucket, quantity and two per cent of an error, so
that a month and a decade take the same memory.
"""

from collections.abc import Sequence

import polars as pl

BUCKET = ("underlying", "moneyness", "days")
DAYS = (2 / 24, 1.0, 2.0, 7.0, 30.0, 90.0)
DAY_WORDS = ("< 2 h", "2 h - 1 d", "1-2 d", "2-7 d", "7-30 d", "30-90 d", "> 90 d")
DEVIATIONS = (-2.0, -0.5, 0.5, 2.0)
MONEYNESS_WORDS = ("deep ITM", "ITM", "ATM", "OTM", "deep OTM")
"""Out of the money by ln(K/F) over iv sqrt(T), its sign that of the option: in deviations."""

LEAST_ROWS = 20
"""A bucket of fewer rows says little: it fails only with all such buckets of its underlying."""
OUTSIDE = 0.01
"""Share of rows that may lie outside their tolerance, besides three errors of their count.

Of 2,075 recorded quotes no Greek does; what is left is for quotes that were taken apart: a ticker
whose Greeks are of the moment before and its forward of the one after.
"""
RATIO = 1e-4
"""How far the median of ours/theirs may be off 1: a year of 365.25 days would be off by 3.4e-4."""
LARGE = 2e-4
"""Greeks whose tolerance is at most this share of them are large enough to be divided by."""

WORDS_OF_VERDICT = ("pass", "fail", "few")
UNIT, MOST, STEPS = 1e-9, 1e20, 50
"""Errors are told apart from 1e-11 on, and from then on to a per cent of them."""
_KEY = (*BUCKET, "quantity")
_STATISTICS = {"median": 0.5, "p95": 0.95}


def moneyness(deviations: pl.Expr) -> pl.Expr:
    """Return the bucket of how far an option is out of the money [deviations]."""
    return _word(deviations, DEVIATIONS, MONEYNESS_WORDS)


def days(days_to_expiry: pl.Expr) -> pl.Expr:
    """Return the bucket of days to expiry."""
    return _word(days_to_expiry, DAYS, DAY_WORDS)


def counted(comparisons: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the errors of some rows.

    Parameters
    ----------
    comparisons : DataFrame
        A row per quote and quantity: `BUCKET`, `quantity`, `theirs`, `ours`, `tolerance`.

    Returns
    -------
    counts : DataFrame
        `BUCKET`, `quantity`, `measure`, `bin`, `rows`: of the absolute `error`, of `excess`, the
        error over its tolerance with its sign, and of `ratio`, ours/theirs - 1 where that says
        something.
    totals : DataFrame
        `BUCKET`, `quantity`, `rows`, `outside`, `max` of the error.
    """
    rows = comparisons.with_columns(error=pl.col("ours") - pl.col("theirs"))
    is_large = pl.col("tolerance") <= LARGE * pl.col("theirs").abs()
    measures = {
        "error": pl.col("error").abs(),
        "excess": pl.col("error") / pl.col("tolerance"),
        "ratio": pl.when(is_large).then(pl.col("ours") / pl.col("theirs") - 1),
    }
    counts = [
        rows.select(*_KEY, pl.lit(name).alias("measure"), _bin(value).alias("bin"))
        .drop_nulls("bin")
        .group_by(*_KEY, "measure", "bin")
        .agg(pl.len().cast(pl.Int64).alias("rows"))
        for name, value in measures.items()
    ]
    totals = rows.group_by(_KEY).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        is_outside().sum().cast(pl.Int64).alias("outside"),
        pl.col("error").abs().max().alias("max"),
    )
    return pl.concat(counts), totals


def is_outside() -> pl.Expr:
    """Whether ours is farther from theirs than the tolerance; a NaN is."""
    return ~((pl.col("ours") - pl.col("theirs")).abs() <= pl.col("tolerance")).fill_null(
        value=False
    )


def merged(lots: Sequence[tuple[pl.DataFrame, pl.DataFrame]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the counts of several lots of rows together; of one, as they are."""
    if len(lots) == 1:
        return lots[0]
    counts, totals = (pl.concat(frames) for frames in zip(*lots, strict=True))
    return (
        counts.group_by(*_KEY, "measure", "bin").agg(pl.col("rows").sum()),
        totals.group_by(_KEY).agg(pl.col("rows", "outside").sum(), pl.col("max").max()),
    )


def judged(
    counts: pl.DataFrame, totals: pl.DataFrame, by: tuple[str, ...] = BUCKET
) -> pl.DataFrame:
    """Return a line per bucket and quantity, with its verdict.

    Parameters
    ----------
    counts, totals : DataFrame
        What `counted` returns.
    by : tuple of str
        What is told apart; all of `BUCKET`, or `underlying` alone.

    Returns
    -------
    DataFrame
        `by`, `quantity`, `rows`, `median`, `p95`, `max` of the absolute error in the unit of the
        quantity, `outside`, `large` (rows whose ratio says something), `ratio` (median of
        ours/theirs - 1), `verdict` (pass, fail or few); sorted.
    """
    key = [*by, "quantity"]
    lines = totals.group_by(key).agg(pl.col("rows", "outside").sum(), pl.col("max").max())
    for name, share in _STATISTICS.items():
        lines = lines.join(_quantile(counts, "error", key, share, name), on=key, how="left")
    ratios = _quantile(counts, "ratio", key, 0.5, "ratio")
    large = counts.filter(measure="ratio").group_by(key).agg(pl.col("rows").sum().alias("large"))
    return (
        lines.join(ratios, on=key, how="left")
        .join(large, on=key, how="left")
        .with_columns(pl.col("large").fill_null(0))
        .with_columns(pl.min_horizontal(name, "max").alias(name) for name in _STATISTICS)
        .with_columns(verdict=_verdict())
        .with_columns(verdict=_with_the_few())
        .select(*key, "rows", *_STATISTICS, "max", "outside", "large", "ratio", "verdict")
        .sort(key)
    )


def width(bins: pl.Expr) -> pl.Expr:
    """Return the value in the middle of bins."""
    return (bins / STEPS).sinh() * UNIT


def _verdict() -> pl.Expr:
    rows, has_ratio = pl.col("rows"), pl.col("large") >= LEAST_ROWS
    is_off = (pl.col("ratio").abs() > RATIO).fill_null(value=False) & has_ratio
    fails = _are_too_many(pl.col("outside"), rows) | is_off
    word = pl.when(fails).then(pl.lit("fail")).otherwise(pl.lit("pass"))
    return pl.when(rows < LEAST_ROWS).then(pl.lit("few")).otherwise(word)


def _with_the_few() -> pl.Expr:
    """Return the verdict, where buckets of few rows that are too often outside together fail."""
    is_few, key = pl.col("verdict") == "few", ("underlying", "quantity")
    rows, outside = (pl.col(name).filter(is_few).sum().over(key) for name in ("rows", "outside"))
    fails = is_few & (rows >= LEAST_ROWS) & _are_too_many(outside, rows) & (pl.col("outside") > 0)
    return pl.when(fails).then(pl.lit("fail")).otherwise("verdict")


def _are_too_many(outside: pl.Expr, rows: pl.Expr) -> pl.Expr:
    return outside > OUTSIDE * rows + 3 * (OUTSIDE * rows).sqrt()


def _quantile(
    counts: pl.DataFrame, measure: str, key: list[str], share: float, name: str
) -> pl.DataFrame:
    """Return a quantile of a measure: the middle of the first bin that as many rows reach."""
    bins = (
        counts.filter(measure=measure)
        .group_by(*key, "bin")
        .agg(pl.col("rows").sum())
        .sort(*key, "bin")
    )
    reached = pl.col("rows").cum_sum().over(key) >= share * pl.col("rows").sum().over(key)
    return bins.filter(reached).group_by(key).agg(width(pl.col("bin").min()).alias(name))


def _bin(value: pl.Expr) -> pl.Expr:
    finite = pl.when(value.is_finite()).then(value.clip(-MOST, MOST))
    return ((finite / UNIT).arcsinh() * STEPS).round().cast(pl.Int32)


def _word(value: pl.Expr, edges: tuple[float, ...], words: tuple[str, ...]) -> pl.Expr:
    """Return the word of the stretch a value lies in, each with its lower edge."""
    found = pl.lit(words[-1])
    for edge, word in zip(reversed(edges), reversed(words[:-1]), strict=True):
        found = pl.when(value < edge).then(pl.lit(word)).otherwise(found)
    return found.cast(pl.Enum(list(words)))
