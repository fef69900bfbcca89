"""Numbers that are missing between two rows: who has looked for them, and whether they are lost.

A number proves that there was a row. Two answers that lie apart in time and lack it show that the
exchange does not send it; it is lost then, the lake is not complete, and it is asked for again at
growing distances.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise

from msgspec.structs import replace

from etl.proof.protocol import LONGEST_WAIT_MS, Numbers, Terms
from etl.proof.witnesses import AGREEING, RECHECK_MS
from lake.ledger import Gap, Look
from lake.span import Span, clip

MOST_PAGES = 20  # of one instrument asked for in one round: a number may be no number

Spoken = tuple[Span, int]
"""A stretch of time an answer speaks for, and when it was fetched [ms]."""


def looks_at(
    hole: Numbers, looks: Iterable[Look], spoken: Iterable[Spoken], page_rows: int
) -> list[int]:
    """Return when all of a hole had been looked for once, twice and so on [ms]."""
    by_time = _covered(Span(hole.start_ms, hole.end_ms), spoken)
    return sorted([*asked_for(hole, looks, page_rows), *by_time])


def asked_for(hole: Numbers, looks: Iterable[Look], page_rows: int) -> list[int]:
    """Return when all numbers of a hole that are ever asked for had been, once, twice and so on."""
    end = min(hole.last + 1, hole.first + MOST_PAGES * page_rows)
    mine = [(Span(first, last + 1), at) for of, first, last, at in looks if of == hole.of]
    return _covered(Span(hole.first, end), mine)


def _covered(span: Span, parts: Iterable[Spoken]) -> list[int]:
    """Return when all of a span had been covered once, twice and so on [ms]."""
    inside = [(clip(one, span), at) for one, at in parts if one.meets(span)]
    edges = {span.start_ms, span.end_ms}
    for part, _ in inside:
        edges |= {part.start_ms, part.end_ms}
    times = [
        sorted(at for part, at in inside if part.start_ms <= start and end <= part.end_ms)
        for start, end in pairwise(sorted(edges))
    ]
    return [max(each) for each in zip(*times, strict=False)]


def lost_or_asked_again(
    hole: Numbers, looks: Sequence[int], terms: Terms, *, is_before: bool = False
) -> Gap:
    """Return the gap of missing numbers, and when to ask for them again."""
    gap = Gap(
        hole.start_ms,
        hole.end_ms,
        "unexplained",
        len(looks),
        rows=hole.last - hole.first + 1,
        of=hole.of,
        first=hole.first,
        is_before=is_before,
    )
    if len(looks) < AGREEING:
        return gap
    apart = looks[-1] - looks[0]
    if apart < terms.rules.confirm_after_ms:
        return replace(gap, retry_at_ms=looks[0] + terms.rules.confirm_after_ms)
    pause = min(max(apart, RECHECK_MS), LONGEST_WAIT_MS)
    return replace(gap, reason="lost", retry_at_ms=looks[-1] + pause)


def numbers_to_ask(gaps: Iterable[Gap], page_rows: int) -> Iterator[Numbers]:
    """Yield the numbers to ask for, those of one instrument together where a page holds them."""
    by_instrument: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_instrument.setdefault(gap.of, []).append(gap)
    for of, mine in sorted(by_instrument.items()):
        group: list[Gap] = []
        for gap in sorted(mine, key=lambda one: one.first):
            if group and _last(gap) - group[0].first >= page_rows:
                yield from _pages(of, group, page_rows)
                group = []
            group.append(gap)
        yield from _pages(of, group, page_rows)


def _pages(of: str, group: Sequence[Gap], page_rows: int) -> Iterator[Numbers]:
    start, end = min(one.start_ms for one in group), max(one.end_ms for one in group)
    last = _last(group[-1])
    for first in islice(range(group[0].first, last + 1, page_rows), MOST_PAGES):
        yield Numbers(start, end, of, first, min(last, first + page_rows - 1))


def _last(gap: Gap) -> int:
    return gap.first + max(gap.rows, 1) - 1
