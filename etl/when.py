"""Moments as people write them, and as Unix milliseconds."""

import time
from datetime import UTC, datetime

from etl.errors import UsageError
from lake.span import Span


def clock_ms() -> int:
    """Return our own clock; "now" in the data is the exchange's."""
    return time.time_ns() // 1_000_000


def parse_moment(text: str, name: str) -> int:
    """Return a UTC date or date and time as Unix milliseconds; `name` is what the user calls it.

    Raises
    ------
    UsageError
        If it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{name} {text!r} is not a date: expected e.g. 2024-06-30 or 2024-06-30T12:00Z"
        raise UsageError(message) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def parse_span(start: str | None, end: str | None) -> Span | None:
    """Return the span two of a user's words bound, an open end as the end of time; None for none.

    Raises
    ------
    UsageError
        If one cannot be read, or they are in the wrong order.
    """
    if start is None and end is None:
        return None
    first = parse_moment(start, "--start") if start else 0
    last = parse_moment(end, "--end") if end else 2**53
    if first >= last:
        message = f"--start {start} is not before --end {end}"
        raise UsageError(message)
    return Span(first, last)


def format_moment(ms: int) -> str:
    """Return Unix milliseconds as a UTC date and minute; as they are, beyond all calendars."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
