"""The curves of two sources as one: the Treasury's where it has the day, conflicts told."""

from dataclasses import dataclass

import polars as pl

from etl.rates.answers import Told
from etl.rates.pages import CURRENCY, FRED, TREASURY
from quant.rates import continuous_rate
from validators import contract
from validators.schemas.treasury_bills import TENORS, TreasuryBills

PRINTED = 0.0001
"""Both sources print yields to 0.01 %: what differs by less than half of it is the same [1/yr]."""
DIGITS = 12  # behind the point: no machine's logarithm differs there
CONFLICT = "conflict"
_COLUMNS = list(TreasuryBills.to_schema().columns)


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves by the day they were published on.

    Attributes
    ----------
    published
        One row a day, sorted, with the columns of the dataset.
    rejected
        Curves that are not believed, and those of FRED that contradict the Treasury's, with
        `attempt_id` and `failed_check`.
    notes
        What the user should know of them.
    """

    published: pl.DataFrame
    rejected: pl.DataFrame
    notes: tuple[str, ...] = ()


def merge(treasury: Told, fred: Told) -> Curves:
    """Return the curves of both sources as one, and what of them is not believed."""
    ours, aside = _judged(treasury, TREASURY)
    theirs, theirs_aside = _judged(fred, FRED)
    both = theirs.join(ours, on="timestamp", suffix="_treasury").with_columns(_conflicts())
    odd = both.filter(pl.col("failed_check") != "").select(aside.columns)
    alone = theirs.join(ours, on="timestamp", how="anti")
    return Curves(
        pl.concat([ours, alone]).select(_COLUMNS).sort("timestamp"),
        pl.concat([aside, theirs_aside, odd]).sort("timestamp", "source", "attempt_id"),
        tuple(_lacking(both)),
    )


def _judged(told: Told, source: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the curves that keep the contract, and those that do not, and why."""
    frame = _as_kept(told.rows, source)
    is_refused = pl.col("refused").is_not_null()
    is_empty = pl.all_horizontal(pl.col(*TENORS).is_null())
    split = contract.split(frame.filter(~is_refused & ~is_empty).drop("refused"), TreasuryBills)
    refused = frame.filter(is_refused).rename({"refused": "failed_check"})
    columns = split.rejected.columns
    return split.valid, pl.concat([split.rejected, refused.select(columns)])


def _as_kept(rows: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return rows as they are published, and what is known to be wrong with each."""
    day = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    heard = pl.from_epoch("heard_ms", "ms").dt.replace_time_zone("UTC")
    late = pl.when(day > heard).then(pl.lit("published_on:in_the_future"))
    refused = pl.concat_str("refused", late, separator=",", ignore_nulls=True)
    return rows.select(
        day.alias("timestamp"),
        pl.lit(CURRENCY).alias("currency"),
        day.alias("published_on"),
        pl.lit(source).alias("source"),
        pl.lit(value=False).alias("is_carried"),
        *(continuous_rate(pl.col(name) / 100).round(DIGITS).alias(name) for name in TENORS),
        "attempt_id",
        refused.replace("", None).alias("refused"),
    )


def _conflicts() -> pl.Expr:
    """Return the tenors in which two sources differ, empty for none."""
    words = [
        pl.when((pl.col(name) - pl.col(f"{name}_treasury")).abs() > PRINTED / 2).then(
            pl.lit(f"{name}:{CONFLICT}")
        )
        for name in TENORS
    ]
    return pl.concat_str(words, separator=",", ignore_nulls=True).alias("failed_check")


def _lacking(both: pl.DataFrame) -> list[str]:
    """Return a line for each tenor that FRED has on days on which the Treasury has others."""
    counts = both.select(
        (pl.col(name).is_not_null() & pl.col(f"{name}_treasury").is_null()).sum().alias(name)
        for name in TENORS
    ).row(0, named=True)
    return [
        f"the Treasury has no {name} on {days} days on which FRED has one: it stays null there"
        for name, days in counts.items()
        if days
    ]
