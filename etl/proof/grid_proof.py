"""Proof by the grid: a row is owed at every step, so that a missing one is known by its moment."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from etl.proof.agreement import Agreed, agreed, refused
from etl.proof.grid import Grid, pages, windows
from etl.proof.protocol import (
    Answer,
    Due,
    Flags,
    Read,
    Terms,
    Ticks,
    bounds_ms,
    ticks_of,
    within_ms,
)
from etl.proof.witnesses import Facts, extend, find_gaps
from lake.ledger import Gap, Reading, Record
from lake.span import Span, union
from validators.outages import Outage, documented


@dataclass(frozen=True, slots=True)
class GridProof:
    """Every row of a grid is held, or missing for a reason with evidence.

    A wide page may hold rows far outside what was asked.
    """

    grid: Grid
    page_rows: int
    is_wide: bool = False

    def heard(self, page: pl.DataFrame, answer: Answer) -> tuple[pl.DataFrame, Answer]:
        """Return the rows that were asked for, and what the answer says of them.

        One row more at either end is no fault: how the exchange rounds a start is not documented,
        and a contract may have a candle at the minute it expires. With more than that it is an
        answer to something else: at which moment its rows belong nobody knows.
        """
        start, end, step = answer.window.start_ms, answer.window.end_ms, self.grid.step_ms
        asked = within_ms(page, start, end)
        said = answer._replace(is_ok=True, is_full=len(page) >= self.page_rows)
        if not self.is_wide:
            said = said._replace(left_out=len(page) - len(asked))
            near = within_ms(page, start - step, end + step)
            if len(near) < len(page) or (asked.is_empty() and not page.is_empty()):
                return page.clear(), said._replace(doubt=_elsewhere(page, near))
        first, last = bounds_ms(asked)
        return asked, said._replace(first_ms=first, last_ms=last)

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return the rows that were closed when they were sent."""
        return within_ms(page, 0, sent_ms - self.grid.closes_after_ms + 1)

    def agreed(self, rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> Agreed:
        """Return the rows answers agree on: bars of another alignment overlap, and contradict."""
        if len(self.grid.alignments_ms) == 1:
            return agreed(rows, key, is_young)
        places = pl.Series("place", ticks_of(rows) // self.grid.step_ms)
        found = agreed(rows.with_columns(places), ("place", *key[1:]), is_young)
        return found._replace(rows=found.rows.drop("place"))

    def misplaced(
        self, rows: pl.DataFrame, answers: Sequence[Answer], settle_ms: int
    ) -> frozenset[int]:
        """Return the answers that lack the first or the last row asked for, where others have it.

        Pages share a row: one whose rows all stand a step away lacks it, and it alone. A row more
        answers lack than have is none to be lacked.
        """
        ticks, lacking = ticks_of(rows), self._lacking(answers, ticks_of(rows), settle_ms)
        there = np.isin(ticks, list(lacking))
        pairs = set(zip(ticks[there].tolist(), rows["attempt"].to_numpy()[there], strict=True))
        having = Counter(tick for tick, _ in pairs)
        return frozenset(
            one for tick, found in lacking.items() if having[tick] >= len(found) for one in found
        )

    def _lacking(
        self, answers: Sequence[Answer], ticks: Ticks, settle_ms: int
    ) -> dict[int, list[int]]:
        """Return the answers that lack the first or the last row they were asked for, by row."""
        grid, alignment = self.grid, self.grid.alignment_of(ticks)
        lacking: dict[int, list[int]] = {}
        for i, answer in enumerate(answers):
            if answer.first_ms is None or answer.last_ms is None or not answer.is_believed:
                continue
            asked = grid.snap(answer.window, alignment)
            first, last = asked.start_ms, asked.end_ms - grid.step_ms
            may_be_cut = answer.is_full and last - first >= self.page_rows * grid.step_ms
            settled_ms = (answer.sent_ms or 0) - settle_ms - grid.closes_after_ms
            if answer.first_ms == first + grid.step_ms and not may_be_cut and first <= settled_ms:
                lacking.setdefault(first, []).append(i)
            if answer.last_ms == last - grid.step_ms and last <= settled_ms:
                lacking.setdefault(last, []).append(i)
        return lacking

    def gaps(
        self,
        wanted: Sequence[Span],
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> tuple[Gap, ...]:
        """Return every stretch of `wanted` that is not held, with its reason, sorted."""
        bad, doubted = refused(rejected)
        return find_gaps(wanted, ticks_of(valid), bad, answers, self.facts(terms), doubted=doubted)

    def is_young(self, rows: pl.DataFrame, read: Read, settle_ms: int) -> Flags:
        """Tell which rows were sent less than `settle_ms` after their close."""
        closes = ticks_of(rows) + self.grid.closes_after_ms
        young: Flags = read.sent_ms[rows["attempt"].to_numpy()] - closes < settle_ms
        return young

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the rows that were read less than `settle_ms` after their close, by reading."""
        grid = self.grid
        young = self.is_young(valid, read, settle_ms)
        ticks, attempt = ticks_of(valid)[young], valid["attempt"].to_numpy()[young]
        if not ticks.size:
            return ()
        breaks = np.flatnonzero((np.diff(ticks) > grid.step_ms) | (np.diff(attempt) != 0))
        first, last = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [ticks.size - 1]])
        return tuple(
            Reading(int(start), int(end) + grid.step_ms, int(at))
            for start, end, at in zip(
                ticks[first], ticks[last], read.fetched_ms[attempt[first]], strict=True
            )
        )

    def extend(self, record: Record, wanted: Sequence[Span], terms: Terms) -> Record:
        """Return the record with more wanted and time gone by."""
        return extend(record, wanted, self.facts(terms))

    def asks(self, record: Record, *, within: Span, due: Due) -> list[Span]:
        """Return the windows to ask for now, so that the record may become complete."""
        return windows(record, self.grid, rows=self.page_rows, within=within, due=due)

    def parts(self, window: Span) -> list[Span]:
        """Return a window cut into what a page can hold."""
        return pages(window, self.grid.step_ms, self.page_rows)

    def most_rows(self, window: Span) -> int:
        """Return how many rows a window can bring at most."""
        return min((window.end_ms - window.start_ms) // self.grid.step_ms, self.page_rows)

    def count(self, records: Sequence[Record]) -> dict[str, int]:
        """Count missing rows by reason, looking across the partitions of one part.

        What a partition takes for the time before the first trade is a hole like any other where
        an earlier one holds rows; and what lies between two wanted spans was never asked.
        """
        step_ms = self.grid.step_ms
        counts: Counter[str] = Counter()
        has_rows = False
        for record in records:
            for reason, rows in record.gap_rows(step_ms).items():
                is_hole = has_rows and reason == "before_first_trade"
                counts["unexplained" if is_hole else reason] += rows
            has_rows = has_rows or record.rows > 0
        spans = union(span for record in records for span in record.wanted)
        between = sum(after.start_ms - before.end_ms for before, after in pairwise(spans))
        counts["not_asked"] += between // step_ms
        return {reason: rows for reason, rows in sorted(counts.items()) if rows}

    def facts(self, terms: Terms) -> Facts:
        """Return what coverage is judged by."""
        outages = terms.rules.outages
        return Facts(
            self.grid,
            terms.life,
            terms.now_ms,
            terms.rules.confirm_after_ms,
            documented=lambda hole: _source(hole, self.grid, outages),
        )


def _elsewhere(page: pl.DataFrame, near: pl.DataFrame) -> str:
    """Say that rows lie where none were asked for, and the first of them."""
    far = page.filter(~pl.col("timestamp_ms").is_in(near["timestamp_ms"].implode()))
    stray = (far if len(far) else page)["timestamp_ms"]
    return f"{len(stray)} rows outside what was asked for, the first at {stray[0]} ms"


def _source(hole: Span, grid: Grid, outages: Sequence[Outage]) -> str | None:
    """Return the source of a documented outage that covers the time a hole's rows describe."""
    behind = grid.step_ms - grid.closes_after_ms  # a funding row describes the hour before it
    slack = max(behind - 1, 0)
    found = documented(hole.start_ms - behind, hole.end_ms - behind, outages, slack_ms=slack)
    return found.source if found else None
