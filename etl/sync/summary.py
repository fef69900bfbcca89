"""What a sync did, in words and for machines."""

from collections.abc import Sequence

import msgspec

from etl.check.status import Verdict
from etl.sync.stages import Stage
from etl.sync.verdict import Verdicts
from etl.when import format_moment

ERROR = 1
IN_DAYS_FROM_H = 48
EXIT_CODES: dict[Verdict, int] = {"COMPLETE": 0, "INCOMPLETE": 3, "UNKNOWN": 4}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync did and what is held now; moments in Unix milliseconds, of our own clock.

    The exit code is that of the verdict, or 1 where a stage failed.
    """

    verdict: Verdict
    exit_code: int
    started_ms: int
    finished_ms: int
    seconds: float
    requests: int
    rows: int
    stages: list[Stage]
    datasets: list[Verdicts]

    @property
    def errors(self) -> list[str]:
        """A line for each stage that failed."""
        return [f"{one.stage}: {one.why}" for one in self.stages if one.state == "failed"]


def exit_code_of(verdict: Verdict, stages: Sequence[Stage]) -> int:
    """Return the code a sync leaves with: a stage that failed may have left a verdict too good."""
    has_failed = any(one.state == "failed" for one in stages)
    return ERROR if has_failed else EXIT_CODES[verdict]


def told(summary: Summary) -> str:
    """Return a summary for people."""
    stages = [("stage", "state", "requests", "rows", "seconds", "")]
    stages += [_stage_cells(one) for one in summary.stages]
    held = [("dataset", "verdict", "parts", "rows", "newest", "age", "")]
    held += [_dataset_cells(one) for one in summary.datasets]
    notes = [f"note: {note}" for one in summary.stages for note in one.notes]
    return "\n".join([*notes, *table(stages), "", *table(held), total(summary)])


def total(summary: Summary) -> str:
    """Return a summary in a line."""
    return (
        f"verdict: {summary.verdict}; {summary.requests:,} requests, {summary.rows:,} new rows, "
        f"{summary.seconds:.1f} s"
    )


def _stage_cells(one: Stage) -> tuple[str, str, str, str, str, str]:
    why = one.why if one.state == "skipped" else ""  # of one that failed stderr tells
    return one.stage, one.state, f"{one.requests:,}", f"{one.rows:,}", f"{one.seconds:.1f}", why


def _dataset_cells(one: Verdicts) -> tuple[str, str, str, str, str, str, str]:
    return (
        one.dataset,
        one.verdict,
        f"{one.complete}/{one.parts}",
        f"{one.rows:,}",
        "-" if one.newest_ms is None else format_moment(one.newest_ms),
        _age(one.age_seconds),
        one.why,
    )


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    hours, minutes = divmod(round(seconds / 60), 60)
    return (
        f"{hours // 24} d {hours % 24} h"
        if hours >= IN_DAYS_FROM_H
        else f"{hours} h {minutes:02d} min"
    )
