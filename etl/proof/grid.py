"""What to ask for: pure functions from what is wanted and what is held to windows."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from etl.proof.protocol import SETTLED_BY_ANSWERS, Due
from lake.ledger import Gap, Reason, Record
from lake.span import Span, clip, union

NOT_OWED = {"before_listing", "after_expiry", "in_progress"}
PLAIN = {"not_asked", "no_answer", "doubted"}  # nothing is known of it: no neighbours are needed
PROBED = {"unexplained", *SETTLED_BY_ANSWERS}  # answers say that there is nothing


@dataclass(frozen=True, slots=True)
class Grid:
    """Where rows can stand: every `step_ms`, starting at one of `alignments_ms` within a step.

    `closes_after_ms` is how long after its timestamp a row is final: one step for a candle, which
    carries its open time, and nothing for a row that describes the hour it ends.
    """

    step_ms: int
    alignments_ms: tuple[int, ...] = (0,)
    closes_after_ms: int = 0

    def alignment_of(self, ticks: NDArray[np.int64]) -> int:
        """Return the alignment the rows are on; the first possible one where there are none."""
        if len(self.alignments_ms) == 1:
            return self.alignments_ms[0]
        on_grid = np.isin(ticks % self.step_ms, self.alignments_ms)
        if not on_grid.any():
            return self.alignments_ms[0]
        found, counts = np.unique(ticks[on_grid] % self.step_ms, return_counts=True)
        return int(found[np.argmax(counts)])

    def snap(self, span: Span, alignment: int) -> Span:
        """Return the span from the first row in `span` to one step past the last."""
        return Span(self._up(span.start_ms, alignment), self._up(span.end_ms, alignment))

    def described(self, life: Span, alignment: int) -> Span:
        """Return the rows that describe any part of `life`, from the first to one past the last."""
        behind = self.step_ms - self.closes_after_ms  # a row describes the step that ends with it
        first = self._up(life.start_ms + behind - self.step_ms + 1, alignment)
        return Span(first, self._up(life.end_ms + behind, alignment))

    def owed_until(self, now_ms: int, alignment: int) -> int:
        """Return the timestamp of the first row that is not closed at `now_ms`."""
        return self._up(now_ms - self.closes_after_ms + 1, alignment)

    def cells(self, ticks: NDArray[np.int64], alignment: int) -> NDArray[np.int64]:
        """Return the places on the grid at or before `ticks`, sorted, each once."""
        return np.unique((ticks - alignment) // self.step_ms * self.step_ms + alignment)

    def _up(self, ms: int, alignment: int) -> int:
        return -(-(ms - alignment) // self.step_ms) * self.step_ms + alignment


def pages(span: Span, step_ms: int, rows: int) -> list[Span]:
    """Return `span` cut into windows of `rows` rows (two or more), each from a row back.

    The row that two of them share must come out the same: a page that was put at another time is
    then found out by its neighbour.
    """
    width = step_ms * rows
    if span.end_ms - span.start_ms <= width:
        return [span] if span.start_ms < span.end_ms else []
    starts = range(span.start_ms, span.end_ms - step_ms, width - step_ms)
    return [Span(start, min(start + width, span.end_ms)) for start in starts]


def windows(record: Record, grid: Grid, *, rows: int, within: Span, due: Due) -> list[Span]:
    """Return what to ask for now.

    What nothing is known of is asked for in pages of at most `rows` rows, and so is what may have
    been revised. A hole that answers left is asked for with a row on each side, both of which must
    come back before it is believed, however wide it is: there are no rows in it to fill a page.
    Where rows stand on one side only, as many of them are asked for as a page holds.

    Parameters
    ----------
    within
        The time in which the instrument can have closed rows.
    """
    step, width = grid.step_ms, rows * grid.step_ms
    plain = [
        Span(reading.start_ms, reading.end_ms)
        for reading in record.provisional
        if not due.has_read(reading)
    ]
    around = []
    for run in _runs(record.gaps):
        owed = [gap for gap in run if due.has(gap)]
        hole = Span(run[0].start_ms, run[-1].end_ms)
        fits = hole.end_ms - hole.start_ms + 2 * step <= width
        looked_at = PROBED | {"truncated"} if not fits else set(get_args(Reason)) - PLAIN
        needs_look = any(gap.reason in looked_at for gap in owed)
        if needs_look:
            around.append(clip(_flanked(hole, record, step, width, fits=fits), within))
        if not (needs_look and fits):
            unknown = (gap for gap in owed if gap.reason not in PROBED)
            plain += [clip(Span(gap.start_ms, gap.end_ms), within) for gap in unknown]
    spans = [_from_a_row_back(span, record, step) for span in union(plain)]
    paged = [page for span in spans for page in pages(span, step, rows)]
    return _packed([*paged, *around], width)


def _flanked(hole: Span, record: Record, step: int, width: int, *, fits: bool) -> Span:
    """Return a hole with a row on each side, or many on the only side that has any."""
    start, end = hole.start_ms - step, hole.end_ms + step
    if record.first_ms is None or record.last_ms is None:
        return Span(start, end)
    if hole.end_ms <= record.first_ms:
        return Span(start, start + width if fits else hole.end_ms + width - step)
    if hole.start_ms > record.last_ms:
        return Span(end - width if fits else hole.start_ms - width + step, end)
    return Span(start, end)


def _from_a_row_back(span: Span, record: Record, step: int) -> Span:
    """Return a span from the row before it on, if that is held: it must come back the same."""
    before = span.start_ms - step
    place = bisect_right(record.gaps, before, key=lambda gap: gap.start_ms) - 1
    is_missing = place >= 0 and before < record.gaps[place].end_ms
    is_wanted = any(one.start_ms <= before < one.end_ms for one in record.wanted)
    return Span(before, span.end_ms) if is_wanted and not is_missing else span


def _runs(gaps: Iterable[Gap]) -> list[list[Gap]]:
    """Return the gaps rows were owed in, those that touch together: each run is one hole."""
    runs: list[list[Gap]] = []
    for gap in gaps:
        if gap.reason in NOT_OWED:
            continue
        if runs and runs[-1][-1].end_ms == gap.start_ms:
            runs[-1].append(gap)
        else:
            runs.append([gap])
    return runs


def _packed(asks: Iterable[Span], width: int) -> list[Span]:
    """Return the spans, those that touch or overlap as one where that is no wider than `width`."""
    packed: list[Span] = []
    for span in sorted(span for span in asks if span.start_ms < span.end_ms):
        last = packed[-1] if packed else span
        both = Span(last.start_ms, max(last.end_ms, span.end_ms))
        if packed and span.start_ms <= last.end_ms and both.end_ms - both.start_ms <= width:
            packed[-1] = both
        else:
            packed.append(span)
    return packed
