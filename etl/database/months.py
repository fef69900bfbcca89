"""Calendar months in UTC: cutting rows by them, and whether a span reaches into one."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from lake.span import Span


def months_of(table: pa.Table) -> dict[date, pa.Table]:
    """Return the rows by the first day of their month; the table is sorted by time, in UTC."""
    months = table["timestamp"].to_numpy().astype("datetime64[M]")
    if not months.size:
        return {}
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
    ends = [*starts[1:], len(months)]
    return {
        months[start].astype(date): table.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }


def month_bounds(month: date) -> tuple[datetime, datetime]:
    """Return the first moment of a month and of the next, in UTC."""
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    start, end = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, after))
    return start, end


def is_touched(month: date, span: Span | None) -> bool:
    """Whether a span of Unix milliseconds reaches into a month; no span reaches everywhere."""
    if span is None:
        return True
    start, end = (round(moment.timestamp() * 1000) for moment in month_bounds(month))
    return start < span.end_ms and span.start_ms < end
