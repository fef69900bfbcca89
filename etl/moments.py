"""Moments as people write them, and as Unix milliseconds."""

import time
from datetime import UTC, datetime

from etl.errors import UsageError


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


def format_moment(ms: int) -> str:
    """Return Unix milliseconds as a UTC date and minute."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
