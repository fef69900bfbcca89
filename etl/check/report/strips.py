"""A strip of what is held along time, from the ledger alone: one mark for each piece of a span."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from etl.check.report.markup import Markup
from etl.when import format_moment
from lake.ledger import Record
from lake.span import Span

PIECES = 60
Mark = Literal["whole", "settled", "short", "none"]
EMPTY = frozenset({"before_listing", "before_first_trade", "after_expiry", "outage", "absent"})
"""Reasons that leave a stretch without rows, settled."""
HEIGHTS: dict[Mark, int] = {"whole": 10, "settled": 3, "short": 6}
"""Told apart by height, too: colours are not everybody's, and paper has none."""
WORDS: dict[Mark, str] = {
    "whole": "whole",
    "settled": "without rows, settled",
    "short": "with rows missing",
    "none": "not asked for",
}


def held_spans(record: Record) -> tuple[Span, ...]:
    """Return the stretches a partition speaks of: what was wanted, else from its first row on."""
    if record.wanted:
        return record.wanted
    if record.first_ms is None or record.last_ms is None:
        return ()
    return (Span(record.first_ms, record.last_ms + 1),)


def marks(records: Iterable[Record], span: Span) -> list[Mark]:
    """Return what is held of each piece of a span, by all of some partitions.

    A piece is short where anything is missing that was not settled, and settled where most of it
    has no rows to be had.
    """
    wanted, settled, is_short = [0.0] * PIECES, [0.0] * PIECES, [False] * PIECES
    for record in records:
        for one in held_spans(record):
            for piece, ms in _pieces(one, span):
                wanted[piece] += ms
        for gap in record.gaps:
            for piece, ms in _pieces(Span(gap.start_ms, gap.end_ms), span):
                if not gap.is_settled:
                    is_short[piece] = True
                elif gap.reason in EMPTY:
                    settled[piece] += ms
    return [_mark(*each) for each in zip(wanted, settled, is_short, strict=True)]


def _mark(wanted: float, settled: float, is_short: bool) -> Mark:  # noqa: FBT001  (of one row)
    if is_short:
        return "short"
    if not wanted:
        return "none"
    return "settled" if 2 * settled > wanted else "whole"


def _pieces(one: Span, span: Span) -> Iterator[tuple[int, float]]:
    """Yield the pieces of a span that a stretch lies in, and how much of it is in each [ms]."""
    start, end = max(one.start_ms, span.start_ms), min(one.end_ms, span.end_ms)
    if start >= end:
        return
    length = (span.end_ms - span.start_ms) / PIECES
    first = min(int((start - span.start_ms) / length), PIECES - 1)
    for piece in range(first, PIECES):
        left = span.start_ms + piece * length
        if left >= end:
            return
        if (inside := min(end, left + length) - max(start, left)) > 0:
            yield piece, inside


def strip(drawn: Sequence[Mark], span: Span) -> Markup:
    """Return a strip as a picture, which says in words what it shows, too."""
    shapes, place = [], 0
    for mark, group in groupby(drawn):
        width = len(list(group))
        if height := HEIGHTS.get(mark):
            shapes.append(
                f'<rect class="{mark}" x="{place}" y="{10 - height}" '
                f'width="{width}" height="{height}"/>'
            )
        place += width
    label = told(drawn, span)
    return Markup(
        f'<svg class="strip" viewBox="0 0 {PIECES} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><title>{label}</title>{"".join(shapes)}</svg>'
    )


def told(drawn: Sequence[Mark], span: Span) -> str:
    """Return what a strip shows in words."""
    counts = [f"{drawn.count(mark)} {words}" for mark, words in WORDS.items() if mark in drawn]
    first, last = (format_moment(ms)[:10] for ms in (span.start_ms, span.end_ms))
    return f"{first} to {last}, of {len(drawn)} pieces: {', '.join(counts)}"


def legend() -> Markup:
    """Return what the marks of a strip mean."""
    keys = "".join(
        f'<span class="key"><svg class="mark" viewBox="0 0 6 10" aria-hidden="true"><rect '
        f'class="{mark}" y="{10 - height}" width="6" height="{height}"/></svg>{WORDS[mark]}</span>'
        for mark, height in HEIGHTS.items()
    )
    return Markup(f'<p class="legend">{keys}</p>')
