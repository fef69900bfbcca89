"""Proof by the grid: a row is owed at every step, so that a missing one is known by its moment."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from etl.proof.grid import Grid, windows
from etl.proof.protocol import Answer, Read, Terms, bounds_ms, ticks_of, within_ms
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

        One row more at either end is no fault: how the exchange rounds a start is not documented.
        """
        start, end, step = answer.window.start_ms, answer.window.end_ms, self.grid.step_ms
        asked = within_ms(page, start, end)
        near = within_ms(page, start - step, end + step)
        is_off = len(near) < len(page) or (asked.is_empty() and not page.is_empty())
        first, last = bounds_ms(asked)
        said = answer._replace(is_ok=True, first_ms=first, last_ms=last)
        return asked, said._replace(is_shifted=is_off and not self.is_wide)

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return the rows that were closed when they were sent."""
        return within_ms(page, 0, sent_ms - self.grid.closes_after_ms + 1)

    def gaps(
        self,
        wanted: Sequence[Span],
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> tuple[Gap, ...]:
        """Return every stretch of `wanted` that is not held, with its reason, sorted."""
        bad = np.unique(ticks_of(rejected))
        return find_gaps(wanted, ticks_of(valid), bad, answers, self.facts(terms))

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the rows that were read less than `settle_ms` after their close, by reading."""
        grid = self.grid
        ticks, attempt = ticks_of(valid), valid["attempt"].to_numpy()
        young = read.sent_ms[attempt] - (ticks + grid.closes_after_ms) < settle_ms
        ticks, attempt = ticks[young], attempt[young]
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

    def asks(
        self, record: Record, *, within: Span, clock_ms: int, read_since_ms: int
    ) -> list[Span]:
        """Return the windows to ask for now, so that the record may become complete."""
        return windows(
            record,
            self.grid,
            rows=self.page_rows,
            within=within,
            clock_ms=clock_ms,
            read_since_ms=read_since_ms,
        )

    def most_rows(self, window: Span) -> int:
        """Return how many rows a window can bring at most."""
        return (window.end_ms - window.start_ms) // self.grid.step_ms

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


def _source(hole: Span, grid: Grid, outages: Sequence[Outage]) -> str | None:
    """Return the source of a documented outage that covers the time a hole's rows describe."""
    behind = grid.step_ms - grid.closes_after_ms  # a funding row describes the hour before it
    slack = max(behind - 1, 0)
    found = documented(hole.start_ms - behind, hole.end_ms - behind, outages, slack_ms=slack)
    return found.source if found else None
