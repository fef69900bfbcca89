"""What a page of rows with numbers shows of itself: whether it was cut, is sorted, has how many."""

import polars as pl

from lake.span import Span

CODES = 2**40  # numbers are smaller
UNSORTED = 3  # steps forward or back of which one goes back; by chance it is one of two


def goes_on(page: pl.DataFrame, last_ms: int | None, window: Span) -> bool:
    """Whether a page says that there are more rows than it has, and the next one was to be asked.

    That is no proof: one that has nothing behind its first moment ends a window all the same.
    """
    is_said = "has_more" in page.columns and bool(page["has_more"].any())
    return is_said and last_ms is not None and last_ms > window.start_ms


def ascends(page: pl.DataFrame) -> bool:
    """Whether the rows of a page stand oldest first, but for some that have changed places."""
    steps = page["timestamp_ms"].diff()
    return int((steps < 0).sum()) * UNSORTED <= int((steps != 0).sum())


def count_numbers(rows: pl.DataFrame, of: str, number: str) -> int:
    """Return how many numbers there are, those that came twice counted once."""
    if rows.schema[of] != pl.Categorical:
        return rows.select(of, number).n_unique()
    code = pl.col(of).to_physical().cast(pl.Int64) * CODES + pl.col(number)
    return int(rows.select(code.n_unique()).item())
