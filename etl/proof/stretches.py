"""Stretches of time that answers speak for, where rows have numbers and no grid: seen once, or not.

What two good answers speak for, whose windows were cut differently, is settled and no gap at all.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from etl.proof.protocol import Answer
from etl.proof.witnesses import AGREEING
from lake.ledger import Gap
from lake.span import Span, clip

SURELY = 3  # answers that each lack a row another has, after which a stretch counts as seen


def spoken_less(
    owed: Span,
    whole: Sequence[tuple[Span, Span]],
    lacking: Sequence[Span],
    answers: Sequence[Answer],
) -> Iterator[Gap]:
    """Yield the parts of a span that fewer than two answers speak for, joined where alike."""
    spans = [span for span, _ in whole] + [*lacking] + [one.window for one in answers]
    near = (clip(span, owed) for span in spans if span.meets(owed))
    cuts = {edge for span in near for edge in msgspec.structs.astuple(span)}
    edges = sorted({owed.start_ms, owed.end_ms, *cuts})
    last: Gap | None = None
    for start, end in pairwise(edges):
        part = Span(start, end)
        windows = {window for span, window in whole if span.meets(part)}
        if len(windows) >= AGREEING:
            continue
        if windows:
            gap = Gap(start, end, "seen_once", 1)
        else:
            gap = _unseen(part, sum(span.meets(part) for span in lacking), answers)
        if last and (last.end_ms, last.reason, last.seen) == (start, gap.reason, gap.seen):
            gap = replace(gap, start_ms=last.start_ms)
        elif last:
            yield last
        last = gap
    if last:
        yield last


def _unseen(part: Span, lacking: int, answers: Sequence[Answer]) -> Gap:
    """Return the gap of a stretch no good answer speaks for."""
    if lacking >= SURELY:
        return Gap(part.start_ms, part.end_ms, "seen_once", lacking)
    near = [one for one in answers if one.window.meets(part)]
    if lacking or any(one.is_believed for one in near):
        return Gap(part.start_ms, part.end_ms, "truncated")
    if any(one.is_ok for one in near):
        return Gap(part.start_ms, part.end_ms, "doubted")
    return Gap(part.start_ms, part.end_ms, "no_answer" if near else "not_asked")
