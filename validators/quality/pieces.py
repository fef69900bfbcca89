"""The rows of one instrument in pieces: cut, given to checks one after the other, put in order.

A history is a sequence of lazy frames, of which one at a time is in memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol, Self

import polars as pl

PIECE_ROWS = 65_536
"""Rows of a piece: half a row group of the lake, 5 MB of candles. Twice as many take 30 MB more."""


class Check(Protocol):
    """What is known of the pieces seen so far; adding one returns a new state."""

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        ...

    def findings(self) -> pl.DataFrame:
        """Return what was found, as if no piece followed."""
        ...


def cut(rows: pl.LazyFrame, *, piece_rows: int = PIECE_ROWS) -> list[pl.LazyFrame]:
    """Return the rows in pieces of so many, in the order they are held."""
    count: int = rows.select(pl.len()).collect().item()
    return [rows.slice(start, piece_rows) for start in range(0, count, piece_rows)]


def run(
    history: Sequence[pl.LazyFrame],
    *,
    as_held: Mapping[str, Check],
    in_order: Mapping[str, Check],
) -> dict[str, pl.DataFrame]:
    """Return the findings of checks that want rows as they are held, and of those by time.

    A history in order is read once, piece by piece, for all of them. One in disorder is read again
    by spans of time: that takes eight bytes a row to find them, and some pieces more than once.
    """
    held = (piece.collect() for piece in history)
    with pl.Config(engine_affinity="in-memory"):  # streaming is for more rows than a piece has
        if is_in_order(history):
            return fold({**as_held, **in_order}, held)
        return fold(as_held, held) | fold(in_order, by_time(history))


def fold(checks: Mapping[str, Check], pieces: Iterable[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Give every piece to every check; return the findings of each."""
    states = dict(checks)
    for piece in pieces:
        states = {name: state.add(piece) for name, state in states.items()}
    return {name: state.findings() for name, state in states.items()}


def is_in_order(history: Sequence[pl.LazyFrame]) -> bool:
    """Whether no row is earlier than the one above it, and each has a time."""
    held = _bounds(history).filter(pl.col("rows") > 0)
    in_order = pl.all_horizontal(
        (pl.col("nulls") == 0).all(),
        pl.col("rises").all(),
        (pl.col("low") >= pl.col("high").shift()).all(),
    )
    return bool(held.select(in_order).item())


def by_time(
    history: Sequence[pl.LazyFrame], *, piece_rows: int = PIECE_ROWS
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a history sorted by `timestamp`, those of one time as held."""
    bounds = _bounds(history)
    for low, high in pairwise([None, *_edges(history, piece_rows), None]):
        at = bounds.select(_overlaps(low, high)).to_series().arg_true()
        found = [history[piece].filter(_is_within(low, high)).collect() for piece in at]
        yield pl.concat(found).sort("timestamp", maintain_order=True)


def _bounds(history: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Return what the times of each piece are like, one row per piece."""
    time = pl.col("timestamp")
    bounds = {
        "rows": pl.len(),
        "nulls": time.null_count(),
        "low": time.min(),
        "high": time.max(),
        "rises": (time.diff() >= pl.duration(seconds=0)).all(),
    }
    return pl.concat([piece.select(**bounds).collect() for piece in history])


def _edges(history: Sequence[pl.LazyFrame], piece_rows: int) -> list[Any]:
    """Return the times that cut a history into spans of about a piece each."""
    times = pl.concat([piece.select("timestamp").collect() for piece in history])
    ordered = times.to_series().drop_nulls().sort()
    edges: list[Any] = ordered.gather_every(piece_rows, piece_rows).unique().sort().to_list()
    return edges


def _is_within(low: Any, high: Any) -> pl.Expr:
    """Whether a row belongs to a span [low, high); one without a time belongs to the first."""
    time = pl.col("timestamp")
    is_after = pl.lit(value=True) if low is None else time.ge(low)
    is_before = pl.lit(value=True) if high is None else time.lt(high)
    return (is_after & is_before).fill_null(value=low is None)


def _overlaps(low: Any, high: Any) -> pl.Expr:
    """Whether a piece may hold rows of a span."""
    is_before = pl.lit(value=True) if high is None else pl.col("low").lt(high)
    if low is None:
        return is_before.fill_null(value=True) | (pl.col("nulls") > 0) | (pl.col("rows") == 0)
    return (pl.col("high").ge(low) & is_before).fill_null(value=False)
