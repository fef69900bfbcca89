"""Ask both sources for the curves of a span of days, stage what comes, fold and publish it."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from etl.config import Settings
from etl.errors import EtlError, UsageError
from etl.progress import Progress
from etl.rates.answers import NEVER, attempts_of
from etl.rates.client import RateClient, open_rates
from etl.rates.conflicts import Conflict, conflicts_of
from etl.rates.days import not_asked
from etl.rates.fold import is_folded, refold
from etl.rates.pages import (
    CURRENCY,
    DATASET,
    FIRST_YEAR,
    SOURCES,
    Page,
    folder_of,
    pages_of,
    staged,
)
from etl.when import format_moment
from lake import raw
from lake.ledger import Record, read_record, write_record
from lake.lock import Wait, locked
from lake.partition import Partition
from lake.paths import Lake
from lake.span import DAY_MS, Span, by_period, period_span, subtract, union

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = 3  # pages of a source in a row that do not come, after which no more is asked


class RatesReport(msgspec.Struct):
    """What a run did: requests, years, what the user should know, and how the sources differ."""

    requests: int = 0
    years: int = 0
    seconds: float = 0.0
    notes: list[str] = []
    errors: list[str] = []
    conflicts: list[Conflict] = []


def days_asked(start_ms: int, end_ms: int | None, now_ms: int) -> Span:
    """Return whole days from a moment to another, today's at the latest, in UTC.

    Raises
    ------
    UsageError
        If there are none, or they begin before any curve.
    """
    tomorrow = (now_ms // DAY_MS + 1) * DAY_MS
    end = tomorrow if end_ms is None else min(-(-end_ms // DAY_MS) * DAY_MS, tomorrow)
    start = start_ms // DAY_MS * DAY_MS
    if start < period_span(str(FIRST_YEAR)).start_ms:
        message = f"--start {format_moment(start)}: the Treasury's curves begin in {FIRST_YEAR}"
        raise UsageError(message)
    if start >= end:
        message = f"no day from {format_moment(start)} to {format_moment(end)}"
        raise UsageError(message)
    return Span(start, end)


def pages_due(
    lake: Lake, days: Span, *, sources: Sequence[str] = SOURCES, anew: bool = False
) -> dict[Partition, list[Page]]:
    """Return the pages a span of days needs, by year: none that came and will not change.

    Of a year with a gap that asking may close all of its own pages are asked for again, and with
    `anew` all of every year.
    """
    return {
        one: [page for page in pages_of(int(year), sources) if _is_due(lake, one, page, anew=anew)]
        for year in by_period(days, "year")
        if (one := Partition(DATASET, CURRENCY, year))
    }


def _is_due(lake: Lake, partition: Partition, page: Page, *, anew: bool) -> bool:
    came_ms = attempts_of(lake, page.source, partition).get(page.key, NEVER).came_ms
    if anew or came_ms is None or came_ms < page.is_final_ms:
        return True
    record = read_record(lake, partition) or Record()
    is_open = any(not gap.is_settled and gap.reason != "not_asked" for gap in record.gaps)
    return is_open and not page.is_before


@dataclass(slots=True)
class _Run:
    """What the years of a run share, and what came of them."""

    lake: Lake
    client: RateClient
    progress: Progress
    came: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, list[tuple[str, int, str]]] = field(default_factory=lambda: defaultdict(list))
    in_a_row: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    notes: list[str] = field(default_factory=list)

    async def ask(self, number: int, page: Page, partition: Partition, wanted: Span) -> None:
        """Ask for a page, unless its source is away."""
        if self.in_a_row[page.source] >= GIVE_UP_AFTER:
            self.failed[page.source].append((partition.period, number, ""))
            return
        folder = folder_of(self.lake, page.source, partition)
        try:
            await self.client.get(page, wanted=wanted, folder=folder)
        except EtlError as error:
            self.failed[page.source].append((partition.period, number, str(error)))
            self.in_a_row[page.source] += 1
        else:
            self.came[page.source] += 1
            self.in_a_row[page.source] = 0
        self.progress.advance(page.source)

    async def fill(self, partition: Partition, pages: Sequence[Page], wanted: Span) -> None:
        """Ask for the pages of a year, and publish what they amount to."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, page in enumerate(pages):
                    tasks.create_task(self.ask(number, page, partition, wanted))
        except BaseExceptionGroup as group:
            raise _first_of(group) from group
        if pages or not is_folded(self.lake, partition):
            content = await asyncio.to_thread(refold, self.lake, partition)
            self.notes += [f"{partition.period}: {note}" for note in content.notes]
            logger.info("%s: %d rows", partition, content.record.rows)


def fetch(  # noqa: PLR0913  (what a run can be told)
    settings: Settings,
    lake: Lake,
    days: Span,
    progress: Progress,
    *,
    sources: Sequence[str] = SOURCES,
    anew: bool = False,
    wait: Wait = False,
    clock: Callable[[], float] = time.time,
) -> RatesReport:
    """Ask for the curves of a span of days, and publish them, year by year.

    Years an earlier run staged and did not live to fold are folded, too.

    Raises
    ------
    PartitionBusyError
        If another process writes one of the years and `wait` is false.
    """
    began = time.monotonic()
    years = by_period(days, "year")
    partitions = {Partition(DATASET, CURRENCY, year): span for year, span in years.items()}
    with locked(lake, partitions, wait=wait):
        due = pages_due(lake, days, sources=sources, anew=anew)
        for partition, span in partitions.items():
            _announce(lake, partition, span)
        report = asyncio.run(_ask_all(settings, lake, partitions, due, progress, clock))
    for one in staged(lake):
        if one not in partitions and not is_folded(lake, one):
            with locked(lake, [one], wait=wait):
                refold(lake, one)
    report.conflicts = conflicts_of(lake, partitions)
    report.seconds = time.monotonic() - began
    return report


async def _ask_all(
    settings: Settings,
    lake: Lake,
    partitions: Mapping[Partition, Span],
    due: Mapping[Partition, Sequence[Page]],
    progress: Progress,
    clock: Callable[[], float],
) -> RatesReport:
    async with open_rates(settings, lambda one, folder: raw.stage([one], folder), clock) as client:
        run = _Run(lake, client, progress)
        for source in SOURCES:
            if count := sum(page.source == source for pages in due.values() for page in pages):
                progress.expect(source, count)
        for partition, span in partitions.items():
            await run.fill(partition, due[partition], span)
        lines = [*_failures(run)]
        is_some = any(run.came.values()) or not run.failed
        return RatesReport(
            requests=client.sent,
            years=len(partitions),
            notes=run.notes + (lines if is_some else []),
            errors=[] if is_some else lines,
        )


def _first_of(group: BaseExceptionGroup) -> BaseException:
    error: BaseException = group.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error


def _failures(run: _Run) -> list[str]:
    """Return a line for each source of which pages did not come, with why the first did not."""
    lines = []
    for source, failed in sorted(run.failed.items()):
        asked = len(failed) + run.came[source]
        why = next(reason for _, _, reason in sorted(failed) if reason)
        others = [other for other, came in run.came.items() if came and other != source]
        alone = (
            f"; the rates are those of {others[0]} alone" if others and not run.came[source] else ""
        )
        lines.append(f"{source}: {len(failed)} of {asked} pages did not come: {why}{alone}")
    return lines


def _announce(lake: Lake, partition: Partition, span: Span) -> None:
    """Write down which days are wanted of a year, before any is asked for."""
    before = read_record(lake, partition) or Record()
    new = subtract([span], before.wanted)
    if not new:
        return
    wanted = tuple(union([*before.wanted, span]))
    record = msgspec.structs.replace(before, wanted=wanted, gaps=before.gaps + not_asked(new))
    write_record(lake, partition, record)
