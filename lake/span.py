"""Stretches of time: half-open spans of Unix milliseconds, and the calendar periods they cross."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal

import msgspec

PeriodKind = Literal["year", "month", "day", "all"]
ALL = "all"
DAY_MS = 86_400_000
END_OF_TIME_MS = 2**53

_PERIOD = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_FORMS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}


class Span(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Half-open interval ``[start_ms, end_ms)`` of Unix milliseconds."""

    start_ms: int
    end_ms: int

    def meets(self, other: "Span") -> bool:
        """Whether some moment lies in both."""
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms

    def holds(self, other: "Span") -> bool:
        """Whether all of another lies in it."""
        return self.start_ms <= other.start_ms and other.end_ms <= self.end_ms


FOREVER = Span(0, END_OF_TIME_MS)


def is_period(text: str) -> bool:
    """Whether a text names a period: ``2024``, ``2024-05``, ``2024-05-17`` or ``all``."""
    try:
        period_span(text)
    except ValueError:
        return False
    return True


@cache  # the periods are few, the partitions that have them many
def period_span(period: str) -> Span:
    """Return the stretch of time a period names, in UTC; ``all`` is all of time.

    Raises
    ------
    ValueError
        If it is no year, month or day of the calendar, and not ``all``.
    """
    if period == ALL:
        return FOREVER
    found = _PERIOD.fullmatch(period)
    if found is None:
        message = f"{period!r} is no period: expected e.g. 2024, 2024-05, 2024-05-17 or all"
        raise ValueError(message)
    year, month, day = (int(part) if part else None for part in found.groups())
    first = date(year or 1, month or 1, day or 1)
    return Span(_midnight_ms(first), _midnight_ms(_after(first, has_month=month, has_day=day)))


def period_of(ms: int, kind: PeriodKind) -> str:
    """Return the name of the period of some kind a moment lies in."""
    if kind == ALL:
        return ALL
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(_FORMS[kind])


def by_period(span: Span, kind: PeriodKind) -> dict[str, Span]:
    """Return the parts of a span by period, in order; none of an empty one."""
    parts: dict[str, Span] = {}
    start = span.start_ms
    while start < span.end_ms:
        period = period_of(start, kind)
        parts[period] = clip(span, period_span(period))
        start = parts[period].end_ms
    return parts


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the spans merged where they touch or overlap, sorted, empty ones gone."""
    merged: list[Span] = []
    for span in sorted(span for span in spans if span.start_ms < span.end_ms):
        if merged and span.start_ms <= merged[-1].end_ms:
            merged[-1] = Span(merged[-1].start_ms, max(merged[-1].end_ms, span.end_ms))
        else:
            merged.append(span)
    return merged


def clip(span: Span, to: Span) -> Span:
    """Return the part of `span` inside `to`; empty (start = end) where they are apart."""
    start = max(span.start_ms, to.start_ms)
    return Span(start, max(start, min(span.end_ms, to.end_ms)))


def subtract(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Return the parts of `spans` outside every span of `taken`, sorted."""
    holes = union(taken)
    left = []
    for span in union(spans):
        start = span.start_ms
        for hole in holes:
            if hole.start_ms < span.end_ms and hole.end_ms > start:
                left.append(Span(start, hole.start_ms))
                start = hole.end_ms
        left.append(Span(start, span.end_ms))
    return union(left)


def _after(first: date, *, has_month: int | None, has_day: int | None) -> date:
    if has_day:
        return first + timedelta(days=1)
    if has_month:
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return date(first.year + 1, 1, 1)


def _midnight_ms(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS
