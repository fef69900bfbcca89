"""Hold answers against each other: rows that came more than once must be the same.

Two answers that differ on a row that could not move any more discredit each other, and none of the
rows they brought is used, until most of the latest ones agree, and the very latest is one of them:
it is the exchange of now that has to be believed. What lost stays discredited. An answer that gives
one key two values contradicts itself there.

What all answers say alike, and is not so, nothing here can tell.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import polars as pl

from etl.proof.protocol import Flags, Ticks, ticks_of

TWICE, CONTRADICTED, CLOCK = "came_twice", "contradicted", "clock"
DOUBTS = (TWICE, CONTRADICTED, CLOCK)
"""What is wrong with rows that may be right: they are asked for again at once."""

SAME_DIGITS = 12  # beyond them two sums of the same numbers may differ
LATEST = 5  # answers whose word counts; three of them beat any two
MOST_CODES = 2**62
A_FEW = 5  # rows, and half of all, after which an answer is believed in nothing
_ATTEMPT = "attempt"


class Agreed(NamedTuple):
    """Rows that nothing speaks against, those that are contradicted, and whose word that costs.

    `contradicted` has `failed_check` added; `lost` are answers others outvoted, `open` those of
    which nobody knows yet which is right.
    """

    rows: pl.DataFrame
    contradicted: pl.DataFrame
    lost: frozenset[int]
    open: frozenset[int]


def agreed(rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> Agreed:
    """Return the rows that answers agree on.

    Parameters
    ----------
    rows
        Valid rows of all answers, each with the number of its `attempt`.
    key
        No two rows of one answer agree in these columns.
    is_young : bool array, shape (len(rows),)
        Rows that may still have moved when they were sent: the later one counts.
    """
    several = _several(rows, key)
    nobody: frozenset[int] = frozenset()
    if several is None:
        return Agreed(rows, _none(rows), nobody, nobody)
    values = [name for name in rows.columns if name not in (*key, _ATTEMPT)]
    votes = rows[several].with_columns(
        row=pl.Series(several), is_young=pl.Series(is_young[several])
    )
    votes = votes.with_columns(
        pl.col(name).round_sig_figs(SAME_DIGITS)
        for name in values
        if votes.schema[name] == pl.Float64
    ).unique([*key, *values, _ATTEMPT], maintain_order=True)
    counted = votes.with_columns(same=pl.len().over([*key, _ATTEMPT]))
    twice = counted.filter(pl.col("same") > 1)
    settled = counted.filter((pl.col("same") == 1) & ~pl.col("is_young"))
    lost, undecided, disputed = _outvoted(settled, key, values)
    if not (lost or undecided or len(twice)):
        return Agreed(rows, _none(rows), nobody, nobody)
    discredited = pl.col(_ATTEMPT).is_in(sorted(lost | undecided))
    in_doubt = rows.select(pl.col(*key, _ATTEMPT)).join(
        twice.select(*key, _ATTEMPT).unique(), on=[*key, _ATTEMPT], how="semi"
    )
    told = [
        rows[twice["row"]].with_columns(failed_check=pl.lit(TWICE)),
        rows[disputed].with_columns(failed_check=pl.lit(CONTRADICTED)),
    ]
    kept = rows.filter(~discredited)
    if len(in_doubt):
        kept = kept.join(in_doubt.unique(), on=[*key, _ATTEMPT], how="anti", maintain_order="left")
    return Agreed(kept, pl.concat(told), lost, undecided)


def agreed_by_key(rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> Agreed:
    """Return the rows that answers agree on, where one key alone may be in doubt.

    Of a key with several values that is kept which most answers have, the latest among them; else
    none is. An answer loses its word only where half of its rows is refused so.

    Parameters are those of `agreed`.
    """
    nobody: frozenset[int] = frozenset()
    several = _several(rows, key)
    if several is None:
        return Agreed(rows, _none(rows), nobody, nobody)
    values = [name for name in rows.columns if name not in (*key, _ATTEMPT)]
    told = (
        ranked(rows[several].select(key))
        .with_columns(
            rows[several].select(pl.struct(values).hash().alias("value"), _ATTEMPT),
            row=pl.Series(several),
            is_young=pl.Series(is_young[several]),
        )
        .filter(~pl.col("is_young"))
    )
    disputed = told.filter(pl.col("value").n_unique().over(key) > 1)
    if disputed.is_empty():
        return Agreed(rows, _none(rows), nobody, nobody)
    losers = _losers(disputed, key)
    beaten = rows[losers["row"]]
    kept = rows.filter(~pl.Series(np.isin(np.arange(len(rows)), losers["row"].to_numpy())))
    lost = _mostly_refused(rows, beaten)
    if lost:
        kept = kept.filter(~pl.col(_ATTEMPT).is_in(sorted(lost)))
    shown = beaten.with_columns(losers["failed_check"]).unique([*key, *values], maintain_order=True)
    return Agreed(kept, shown, lost, nobody)


def _losers(disputed: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return the rows of disputed keys whose value did not win, and why: `row`, `failed_check`."""
    votes = disputed.unique([*key, "value", _ATTEMPT]).with_columns(
        is_twice=pl.len().over([*key, _ATTEMPT]) > 1
    )
    by_value = votes.group_by([*key, "value"]).agg(
        pl.len().alias("votes"), pl.col(_ATTEMPT).max().alias("last"), pl.col("is_twice").any()
    )
    is_most = pl.col("votes") * 2 > pl.col("votes").sum().over(key)
    is_latest = pl.col("last") == pl.col("last").max().over(key)
    judged = by_value.with_columns(has_won=is_most & is_latest & ~pl.col("is_twice"))
    check = pl.when("is_twice").then(pl.lit(TWICE)).otherwise(pl.lit(CONTRADICTED))
    return (
        disputed.join(judged, on=[*key, "value"])
        .filter(~pl.col("has_won"))
        .select("row", check.alias("failed_check"))
        .sort("row")
    )


def _mostly_refused(rows: pl.DataFrame, beaten: pl.DataFrame) -> frozenset[int]:
    """Return the answers of whose rows half or more is refused, if that is more than a few."""
    refused_ = beaten.group_by(_ATTEMPT).agg(refused=pl.len())
    there = rows.group_by(_ATTEMPT).agg(rows=pl.len())
    liars = refused_.join(there, on=_ATTEMPT).filter(
        pl.col("refused") * 2 >= pl.col("rows"), pl.col("refused") >= A_FEW
    )
    return frozenset(liars[_ATTEMPT].to_list())


def ranked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with texts replaced by their rank in order: numbers sort and compare faster."""
    for name, dtype in rows.schema.items():
        if dtype in {pl.String, pl.Categorical}:
            ranks = rows.select(pl.col(name).unique().sort()).with_row_index("rank")
            found = rows.select(name).join(ranks, on=name, how="left", maintain_order="left")
            rows = rows.with_columns(found["rank"].alias(name))
    return rows


def refused(rejected: pl.DataFrame) -> tuple[Ticks, Ticks]:
    """Return when rows were refused that broke their contract, and that are in doubt [ms]."""
    is_doubted = rejected["failed_check"].is_in(DOUBTS).to_numpy()
    ticks = ticks_of(rejected)
    return np.unique(ticks[~is_doubted]), np.unique(ticks[is_doubted])


def _several(rows: pl.DataFrame, key: Sequence[str]) -> Ticks | None:
    """Return the places of rows whose key others have too; None where none has."""
    if key[0] == "timestamp":
        steps = np.diff(rows["timestamp"].to_physical().to_numpy())
        if (steps > 0).all():
            return None
        if (steps >= 0).all() and all(rows[name].n_unique() <= 1 for name in key[1:]):
            same = np.flatnonzero(steps == 0)
            return np.union1d(same, same + 1)
    found = _codes(ranked(rows.select(key))).is_duplicated().arg_true().to_numpy()
    return found if found.size else None


def _codes(keys: pl.DataFrame) -> pl.Series:
    """Return one value a row for keys of numbers: a number, if one can hold them all."""
    numbers = keys.select(pl.all().to_physical().cast(pl.Int64))
    columns: list[Ticks] = [one.to_numpy() for one in numbers]
    lows = [int(one.min()) for one in columns if one.size]
    sizes = [int(one.max()) - low + 1 for one, low in zip(columns, lows, strict=False)]
    if not lows or prod(sizes) >= MOST_CODES:
        return numbers.select(pl.struct(pl.all())).to_series()
    code = np.zeros(len(numbers), dtype=np.int64)
    for one, low, size in zip(columns, lows, sizes, strict=True):
        code = code * size + (one - low)
    return pl.Series(code)


def _outvoted(
    votes: pl.DataFrame, key: Sequence[str], values: Sequence[str]
) -> tuple[frozenset[int], frozenset[int], list[int]]:
    """Return the answers that others outvoted, those nothing decides on, and the disputed rows.

    What an answer said that was outvoted elsewhere does not count.
    """
    lost: frozenset[int] = frozenset()
    disputed: list[int] = []
    while True:
        count = pl.col(_ATTEMPT).rank("ordinal", descending=True).over(key) <= LATEST
        ballots = (
            votes.filter(~pl.col(_ATTEMPT).is_in(sorted(lost)))
            .with_columns(counts=count)
            .group_by([*key, *values], maintain_order=True)
            .agg(pl.col(_ATTEMPT), pl.col("row"), pl.col("counts").sum().alias("votes"))
            .with_columns(last=pl.col(_ATTEMPT).list.max(), sides=pl.len().over(key))
            .filter(pl.col("sides") > 1)
        )
        if ballots.is_empty():
            return lost, frozenset(), disputed
        is_most = pl.col("votes") * 2 > pl.col("votes").sum().over(key)
        has_won = is_most & (pl.col("last") == pl.col("last").max().over(key))
        judged = ballots.with_columns(has_won=has_won, is_decided=has_won.any().over(key))
        losers = judged.filter(pl.col("is_decided") & ~pl.col("has_won"))
        disputed += losers["row"].explode().to_list()
        beaten = frozenset(losers[_ATTEMPT].explode().to_list())
        if not beaten:
            disputed += judged["row"].explode().to_list()
            return lost, frozenset(judged[_ATTEMPT].explode().to_list()), disputed
        lost |= beaten


def _none(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.clear().with_columns(failed_check=pl.lit("", dtype=pl.String))
