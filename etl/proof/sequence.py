"""Proof by number: the exchange numbers the rows of an instrument, and no number may be missing.

Between two rows that are held the numbers say what is missing, to the row. Where no row stands
yet, an answer speaks for its window, up to where a full page may have been cut. Numbers are held
against each other inside a partition; the first of one and the last of the one before are not.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl

from etl.proof.protocol import (
    Answer,
    Due,
    Flags,
    Read,
    Terms,
    also_wanted,
    bounds_ms,
    newly_wanted,
    not_owed,
    ticks_of,
    within_ms,
)
from etl.proof.witnesses import AGREEING, RECHECK_MS
from lake.ledger import Gap, Reading, Record
from lake.span import Span, clip, subtract, union


@dataclass(frozen=True, slots=True)
class SequenceProof:
    """Every number between two held ones is held, and every window was answered.

    Attributes
    ----------
    page_rows
        The most rows a page can hold; pages are asked for oldest first.
    window_ms
        The widest window to ask for.
    number, of
        The column of the numbers, and the one they are counted in.
    """

    page_rows: int
    window_ms: int
    number: str = "trade_seq"
    of: str = "instrument"

    def heard(self, page: pl.DataFrame, answer: Answer) -> tuple[pl.DataFrame, Answer]:
        """Return the rows inside the window, and what the answer says of it."""
        asked = within_ms(page, answer.window.start_ms, answer.window.end_ms)
        first, last = bounds_ms(asked)
        said = answer._replace(is_ok=True, is_full=len(page) >= self.page_rows)
        if asked.is_empty() and not page.is_empty():
            at = page["timestamp_ms"][0]
            doubt = f"{len(page)} rows outside what was asked for, the first at {at} ms"
            return asked, said._replace(doubt=doubt)
        return asked, said._replace(first_ms=first, last_ms=last)

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return all rows: what has a number has happened."""
        del sent_ms
        return page

    def is_young(self, rows: pl.DataFrame, read: Read, settle_ms: int) -> Flags:
        """Tell which rows were sent less than `settle_ms` after they happened."""
        young: Flags = read.sent_ms[rows["attempt"].to_numpy()] - ticks_of(rows) < settle_ms
        return young

    def places(self, rows: pl.DataFrame) -> pl.Series | None:
        """Return None: the key of a row says where it stands."""
        del rows
        return None

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
        """Return what no answer speaks for, and the numbers that are missing."""
        found: list[Gap] = []
        for span in union(wanted):
            found += not_owed(span, terms.life, terms.now_ms)
            owed = clip(clip(span, terms.life), Span(0, terms.now_ms))
            found += _unanswered(owed, answers)
        found += self._missing(valid, rejected, answers, terms)
        return tuple(sorted(found, key=lambda gap: (gap.start_ms, gap.end_ms, gap.reason)))

    def _missing(
        self,
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> Iterator[Gap]:
        """Yield a gap for every run of missing numbers of an instrument."""
        columns = ["timestamp", self.of, self.number]
        rows = [
            frame.select(columns).with_columns(is_bad=pl.lit(is_bad))
            for frame, is_bad in ((valid, False), (rejected, True))
        ]
        ordered = pl.concat(rows).unique([self.of, self.number], keep="first").sort(columns[1:])
        later = ordered.with_columns(
            since=pl.col("timestamp").shift(), jump=pl.col(self.number).diff() - 1
        ).filter((pl.col(self.of) == pl.col(self.of).shift()) & (pl.col("jump") > 0))
        ms = pl.col("since", "timestamp").dt.epoch("ms")
        for start, end, rows_missing in later.select(ms, "jump").iter_rows():
            span = Span(min(start, end), max(start, end) + 1)
            yield _judged(span, rows_missing, answers, terms)
        for at, count in rejected.group_by(pl.col("timestamp").dt.epoch("ms")).len().iter_rows():
            looks = _looks(Span(at, at + 1), answers)
            retry = looks[-1] + RECHECK_MS if len(looks) >= AGREEING else None
            yield Gap(at, at + 1, "quarantined", len(looks), retry, rows=count)

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the stretches that were read less than `settle_ms` after they happened."""
        young = self.is_young(valid, read, settle_ms)
        ticks, attempt = ticks_of(valid)[young], valid["attempt"].to_numpy()[young]
        return tuple(
            Reading(int(ticks[mine].min()), int(ticks[mine].max()) + 1, int(read.fetched_ms[one]))
            for one in np.unique(attempt)
            for mine in [attempt == one]
        )

    def extend(self, record: Record, wanted: Sequence[Span], terms: Terms) -> Record:
        """Return the record with more wanted and time gone by."""
        opened: list[Gap] = []
        for span in union(newly_wanted(record, wanted)):
            opened += not_owed(span, terms.life, terms.now_ms)
            owed = clip(clip(span, terms.life), Span(0, terms.now_ms))
            opened += _unanswered(owed, [])
        kept = [gap for gap in record.gaps if gap.reason != "in_progress"]
        gaps = tuple(sorted([*kept, *opened], key=lambda gap: (gap.start_ms, gap.end_ms)))
        return msgspec.structs.replace(record, wanted=also_wanted(record, wanted), gaps=gaps)

    def asks(self, record: Record, *, within: Span, due: Due) -> list[Span]:
        """Return the windows to ask for now, so that the record may become complete."""
        spans = [
            clip(Span(gap.start_ms, gap.end_ms), within) for gap in record.gaps if due.has(gap)
        ]
        spans += [
            Span(reading.start_ms, reading.end_ms)
            for reading in record.provisional
            if not due.has_read(reading)
        ]
        return [
            Span(start, min(start + self.window_ms, span.end_ms))
            for span in union(spans)
            for start in range(span.start_ms, span.end_ms, self.window_ms)
        ]

    def parts(self, window: Span) -> list[Span]:
        """Return the window: no other is ever asked for."""
        return [window]

    def most_rows(self, window: Span) -> int:
        """Return the rows of one page: how many happened nobody knows before."""
        del window
        return self.page_rows

    def count(self, records: Sequence[Record]) -> dict[str, int]:
        """Count missing rows by reason; a stretch nobody answered for counts as one."""
        counts: Counter[str] = Counter()
        for record in records:
            for gap in record.gaps:
                counts[gap.reason] += gap.rows or 1
        return dict(sorted(counts.items()))


def _unanswered(owed: Span, answers: Sequence[Answer]) -> Iterator[Gap]:
    """Yield the parts of a span that no answer speaks for."""
    came = [answer for answer in answers if answer.is_believed]
    for hole in subtract([owed], map(_spoken_for, came)):
        near = [answer for answer in answers if answer.window.meets(hole)]
        if any(answer.is_ok for answer in near):
            is_cut = any(answer.is_believed for answer in near)
            yield Gap(hole.start_ms, hole.end_ms, "truncated" if is_cut else "doubted")
        else:
            yield Gap(hole.start_ms, hole.end_ms, "no_answer" if near else "not_asked")


def _spoken_for(answer: Answer) -> Span:
    """Return what an answer speaks for: its window, up to the last moment of a full page."""
    if answer.is_full and answer.last_ms is not None:
        return Span(answer.window.start_ms, answer.last_ms)
    return answer.window


def _looks(span: Span, answers: Sequence[Answer]) -> list[int]:
    """Return when all of a span had been spoken for once, twice and so on [ms]."""
    spoken = [
        (clip(_spoken_for(answer), span), answer.fetched_ms)
        for answer in answers
        if answer.is_believed and _spoken_for(answer).meets(span)
    ]
    edges = {span.start_ms, span.end_ms}
    for part, _ in spoken:
        edges |= {part.start_ms, part.end_ms}
    times = [
        sorted(at for part, at in spoken if part.start_ms <= start and end <= part.end_ms)
        for start, end in pairwise(sorted(edges))
    ]
    return [max(looks) for looks in zip(*times, strict=False)]


def _judged(span: Span, rows: int, answers: Sequence[Answer], terms: Terms) -> Gap:
    """Return the gap of missing numbers: settled by two looks that lie apart in time."""
    looks = _looks(span, answers)
    gap = Gap(span.start_ms, span.end_ms, "unexplained", len(looks), rows=rows)
    if len(looks) < AGREEING:
        return gap
    confirmed = looks[0] + terms.rules.confirm_after_ms
    if looks[-1] >= confirmed:
        return msgspec.structs.replace(gap, reason="absent")
    return msgspec.structs.replace(gap, retry_at_ms=confirmed)
