"""What to ask for: pure functions from what is wanted and what is held to windows."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.ledger import Gap, Record
from lake.span import Span, clip, union

NOT_OWED = {"before_listing", "after_expiry", "in_progress"}
PLAIN = {"not_asked", "no_answer"}  # gaps nothing is known of: no neighbours are needed to judge


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
    """Return `span` cut into windows of at most `rows` rows."""
    width = step_ms * rows
    starts = range(span.start_ms, span.end_ms, width)
    return [Span(start, min(start + width, span.end_ms)) for start in starts]


def windows(
    record: Record, grid: Grid, *, rows: int, within: Span, clock_ms: int, read_since_ms: int
) -> list[Span]:
    """Return what to ask for now, in windows of at most `rows` rows.

    Gaps that are due are asked for: unknown ones plainly, known ones as the whole hole they are in
    and a row on each side, both of which must come back before a hole is believed; a hole too wide
    for that in pages of its own. So are rows that may have been revised.

    Parameters
    ----------
    within
        The time in which the instrument can have closed rows.
    clock_ms
        Our own clock, which says when a hole may be looked at again.
    read_since_ms
        Moment on our own clock; provisional rows last read before it are read again.
    """
    width = rows * grid.step_ms
    plain = [
        Span(reading.start_ms, reading.end_ms)
        for reading in record.provisional
        if reading.read_ms < read_since_ms
    ]
    flanked = []
    for run in _runs(record.gaps):
        due = [gap for gap in run if not gap.is_settled and (gap.retry_at_ms or 0) <= clock_ms]
        around = Span(run[0].start_ms - grid.step_ms, run[-1].end_ms + grid.step_ms)
        fits = around.end_ms - around.start_ms <= width
        if fits and any(gap.reason not in PLAIN for gap in due):
            flanked.append(clip(around, within))
        else:  # a page that lies in a hole altogether needs no neighbours
            plain += [clip(Span(gap.start_ms, gap.end_ms), within) for gap in due]
    paged = [page for span in union(plain) for page in pages(span, grid.step_ms, rows)]
    return _packed([*paged, *flanked], width)


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
