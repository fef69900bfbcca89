"""Proof by the list: the exchange tells how many rows it has, and a page shows a stretch whole.

Which days have a row is not known beforehand. A page that was asked for by number and has as many
rows as it must, by the number all pages have together, shows every row of the list between its
first and its last. The first page shows that nothing is newer, the last one that nothing is older.
Any other page, an empty one too, shows its rows and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace

from etl.proof.agreement import Agreed, agreed, refused
from etl.proof.grid import Grid
from etl.proof.grid_proof import GridProof
from etl.proof.protocol import (
    Answer,
    Due,
    Flags,
    Read,
    Rules,
    Terms,
    Ticks,
    bounds_ms,
    not_owed,
    ticks_of,
    within_ms,
)
from etl.proof.witnesses import AGREEING, CLOSING_MS, FOR_GOOD_MS, RECHECK_MS, SURELY, missing
from lake.ledger import Gap, Reading, Reason, Record
from lake.span import DAY_MS, END_OF_TIME_MS, Span, clip, union

RECORDS = "records_total"
BEGINNING_MS = -END_OF_TIME_MS


class _Asked(msgspec.Struct):
    """Which rows of the list were asked for, counted from the newest."""

    offset: int = 0
    count: int = 0


_decode = msgspec.json.Decoder(_Asked).decode


@dataclass(frozen=True, slots=True)
class ListProof:
    """Every row of a list is held; where the grid has none, two pages show that the list has none.

    A row stands on the grid, and most moments of it may have none. A moment without a row is
    settled by two pages that show it, and looked at again from time to time for a month.
    """

    grid: Grid
    page_rows: int

    @property
    def rows(self) -> GridProof:
        """How the rows that came are judged: as those of any grid."""
        return GridProof(self.grid, self.page_rows)

    def heard(self, page: pl.DataFrame, answer: Answer) -> tuple[pl.DataFrame, Answer]:
        """Return the rows inside the window, and what the page says of the list."""
        first, last = bounds_ms(page)
        said = answer._replace(is_ok=True, first_ms=first, last_ms=last)
        asked = within_ms(page, answer.window.start_ms, answer.window.end_ms)
        return asked, said._replace(whole=_shown_whole(page, said))

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return the rows that were closed when they were sent."""
        return self.rows.closed(page, sent_ms)

    def agreed(self, rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> Agreed:
        """Return the rows answers agree on."""
        return agreed(rows, key, is_young)

    def misplaced(
        self, rows: pl.DataFrame, answers: Sequence[Answer], settle_ms: int
    ) -> frozenset[int]:
        """Return none: where the rows of a page begin and end is not known beforehand."""
        del rows, answers, settle_ms
        return frozenset()

    def gaps(
        self,
        wanted: Sequence[Span],
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> tuple[Gap, ...]:
        """Return every stretch of `wanted` that is not held, with its reason, sorted."""
        grid, (alignment, *_) = self.grid, self.grid.alignments_ms
        owed_until = grid.owed_until(terms.now_ms, alignment)
        life = grid.described(terms.life, alignment)
        held = ticks_of(valid)
        bad, open_ = refused(rejected)
        rules = terms.rules
        told = _not_refuted(answers)
        gaps: list[Gap] = []
        for span in union(grid.snap(span, alignment) for span in wanted):
            gaps += not_owed(span, life, owed_until)
            owed = clip(clip(span, life), Span(0, owed_until))
            for hole in missing(owed, held, grid.step_ms):
                for part in _parts(hole, np.union1d(bad, open_), told, grid.step_ms):
                    heard, is_open = _heard(part, told, terms.now_ms), part.start_ms in open_
                    if is_open or part.start_ms in bad:
                        gaps.append(_quarantined(heard, rules, at_once=is_open))
                    else:
                        gaps.append(_judged(heard, terms))
        return _joined(sorted(gaps, key=lambda gap: gap.start_ms))

    def is_young(self, rows: pl.DataFrame, read: Read, settle_ms: int) -> Flags:
        """Tell which rows were sent less than `settle_ms` after their close."""
        return self.rows.is_young(rows, read, settle_ms)

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the rows that were read less than `settle_ms` after their close, by reading."""
        return self.rows.provisional(valid, read, settle_ms)

    def extend(self, record: Record, wanted: Sequence[Span], terms: Terms) -> Record:
        """Return the record with more wanted and time gone by."""
        return self.rows.extend(record, wanted, terms)

    def asks(self, record: Record, *, within: Span, due: Due) -> list[Span]:
        """Return the window to ask for now, if any: the list is gone through once for all of it."""
        spans = [Span(gap.start_ms, gap.end_ms) for gap in record.gaps if due.has(gap)]
        spans += [
            Span(reading.start_ms, reading.end_ms)
            for reading in record.provisional
            if not due.has_read(reading)
        ]
        asked = union(clip(span, within) for span in spans)
        return [Span(asked[0].start_ms, asked[-1].end_ms)] if asked else []

    def parts(self, window: Span) -> list[Span]:
        """Return the window: no other is ever asked for."""
        return [window]

    def most_rows(self, window: Span) -> int:
        """Return how many rows a window can bring at most."""
        return (window.end_ms - window.start_ms) // self.grid.step_ms

    def count(self, records: Sequence[Record]) -> dict[str, int]:
        """Count missing rows by reason, looking across the partitions of one part."""
        return self.rows.count(records)


def _shown_whole(page: pl.DataFrame, said: Answer) -> Span | None:
    """Return the stretch a page shows whole; None if it has not as many rows as it must have.

    Of the last day before it was sent it says nothing: a row may come late.
    """
    if said.first_ms is None or said.last_ms is None:
        return None
    asked, records = _decode(said.asked), int(page[RECORDS][0])
    if len(page) != min(asked.count, records - asked.offset):
        return None
    start, end = said.first_ms, said.last_ms + 1
    if asked.offset + asked.count >= records:
        start = BEGINNING_MS
    if asked.offset == 0 and said.sent_ms is not None:
        end = max(end, said.sent_ms - DAY_MS)
    return Span(start, end)


def _not_refuted(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers, less what those claim that end the list before rows two others have."""
    oldest = [one.first_ms for one in answers if one.is_believed and one.first_ms is not None]
    return [
        one._replace(whole=Span(one.first_ms, one.whole.end_ms))
        if one.whole is not None
        and one.first_ms is not None
        and one.whole.start_ms < one.first_ms
        and sum(first < one.first_ms for first in oldest) >= AGREEING
        else one
        for one in answers
    ]


def _parts(hole: Span, bad: Ticks, answers: Sequence[Answer], step_ms: int) -> list[Span]:
    """Cut a hole wherever what is known of it changes."""
    inside = bad[(bad >= hole.start_ms) & (bad < hole.end_ms)]
    cuts = {hole.start_ms, hole.end_ms, *inside.tolist(), *(inside + step_ms).tolist()}
    for span in (span for one in answers for span in (one.window, one.whole) if span is not None):
        for edge in (span.start_ms, span.end_ms):  # up to the next place on the grid
            cuts.add(edge + (hole.start_ms - edge) % step_ms)
    edges = sorted(cut for cut in cuts if hole.start_ms <= cut <= hole.end_ms)
    return [Span(start, end) for start, end in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class _Heard:
    """A part of a hole, and the answers to what was asked of it, or that show it.

    The row of a part that `is_late` may still come.
    """

    part: Span
    asked: Sequence[Answer]
    shows: Sequence[Answer]
    is_late: bool

    @property
    def came_ms(self) -> list[int]:
        return sorted(one.fetched_ms for one in self.asked if one.is_ok)

    def gap(self, reason: Reason, seen: int = 0, retry_at_ms: int | None = None) -> Gap:
        return Gap(self.part.start_ms, self.part.end_ms, reason, seen, retry_at_ms)


def _heard(part: Span, answers: Sequence[Answer], now_ms: int) -> _Heard:
    is_late = now_ms - part.start_ms < RECHECK_MS
    shows = [
        one
        for one in answers
        if one.is_believed and one.whole is not None and one.whole.meets(part)
        if not is_late or (one.last_ms or 0) > part.start_ms
    ]
    return _Heard(part, [one for one in answers if one.window.meets(part)], shows, is_late)


def _quarantined(heard: _Heard, rules: Rules, *, at_once: bool) -> Gap:
    """Return the gap of a row that came and is not used, and when to ask for it again."""
    looks = heard.came_ms
    if not looks or (at_once and len(looks) < SURELY):
        return heard.gap("quarantined", len(looks))
    pause = rules.confirm_after_ms if len(looks) < AGREEING else RECHECK_MS
    return heard.gap("quarantined", len(looks), looks[-1] + pause)


def _judged(heard: _Heard, terms: Terms) -> Gap:
    """Return a gap with the reason the answers amount to."""
    if len(heard.shows) >= AGREEING:
        return _settled(heard)
    if heard.shows:
        return heard.gap("unexplained", len(heard.shows))
    came = heard.came_ms
    if came and heard.is_late:
        return _late(heard, terms)
    if not came:
        return heard.gap("no_answer" if heard.asked else "not_asked")
    if any(one.is_believed for one in heard.asked):
        return heard.gap("truncated")
    return heard.gap("doubted", len(came))


def _late(heard: _Heard, terms: Terms) -> Gap:
    """Return a gap of the last day, and when to look for its row again."""
    if terms.now_ms - heard.part.start_ms < CLOSING_MS:
        return heard.gap("in_progress")
    pause = max(terms.rules.confirm_after_ms, CLOSING_MS)
    return heard.gap("unexplained", retry_at_ms=heard.came_ms[-1] + pause)


def _settled(heard: _Heard) -> Gap:
    """Return a gap that pages show to have no row, and when to look at it again."""
    times = sorted(one.fetched_ms for one in heard.shows)
    apart = times[-1] - times[0]
    firsts = [one.first_ms for one in heard.shows if one.first_ms is not None]
    reason: Reason = "before_first_trade" if heard.part.end_ms <= min(firsts) else "absent"
    retry = None if apart >= FOR_GOOD_MS else times[-1] + max(apart, RECHECK_MS)
    return heard.gap(reason, len(times), retry)


def _joined(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Join neighbours that are missing for the same reason."""
    joined: list[Gap] = []
    for gap in gaps:
        last = joined[-1] if joined else gap
        is_same = (last.reason, last.retry_at_ms) == (gap.reason, gap.retry_at_ms)
        if joined and is_same and last.end_ms == gap.start_ms:
            joined[-1] = replace(last, end_ms=gap.end_ms, seen=min(last.seen, gap.seen))
        else:
            joined.append(gap)
    return tuple(joined)
