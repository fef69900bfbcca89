"""What both sides of option mathematics ask of a frame of quotes, and its rows as arrays."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from quant.conventions import INSTRUMENT_TYPES, OPTION_TYPES
from quant.kernels.rows import Bools, Floats

ROWS_AT_A_TIME = 1 << 19
"""Rows converted at a time: what is not zero-copy costs no more memory than this many."""

_WORDS = {"option_type": OPTION_TYPES, "instrument_type": INSTRUMENT_TYPES}


def check_quotes(quotes: pl.DataFrame, numbers: tuple[str, ...], words: tuple[str, ...]) -> None:
    """See that a frame has the columns a calculation needs.

    Parameters
    ----------
    quotes : pl.DataFrame
        One row per quote.
    numbers : tuple of str
        Columns that must be numeric.
    words : tuple of str
        Of `option_type` and `instrument_type`, those it must have.

    Raises
    ------
    ValueError
        If a column is missing, of another type, or has a word Deribit does not use.
    """
    for name in (*numbers, *words):
        if name not in quotes.columns:
            message = f"no column {name!r} among {', '.join(quotes.columns) or 'none'}"
            raise ValueError(message)
    for name in numbers:
        if not quotes.schema[name].is_numeric():
            message = f"{name}: expected numbers, got {quotes.schema[name]}"
            raise ValueError(message)
    for name in words:
        unknown = _unknown(quotes[name], _WORDS[name])
        if unknown:
            message = f"{name} is {min(unknown)!r}: expected {' or '.join(_WORDS[name])}"
            raise ValueError(message)


def _unknown(column: pl.Series, words: tuple[str, ...]) -> set[str]:
    """Return what is in a column besides some words and null."""
    if column.dtype == pl.String:  # to compare all costs a fifth of finding which there are
        column = column.filter((column != words[0]) & (column != words[1]))
    return {*column.unique().cast(pl.String)} - {*words, None}


def row_slices(rows: int) -> Iterator[slice]:
    """Yield slices that cover the rows, few enough at a time to fit in memory once more."""
    for start in range(0, rows, ROWS_AT_A_TIME):
        yield slice(start, min(start + ROWS_AT_A_TIME, rows))


def floats(column: pl.Series) -> Floats:
    """Return numbers as a contiguous array; null becomes NaN. Zero-copy where nothing is to do."""
    numbers = column.cast(pl.Float64).rechunk()
    return np.ascontiguousarray(numbers.to_numpy())


def is_call(option_type: pl.Series) -> Bools:
    """Return whether options are calls, one byte each; null is not."""
    return (option_type == OPTION_TYPES[0]).fill_null(value=False).to_numpy()
