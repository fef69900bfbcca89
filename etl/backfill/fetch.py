"""Plan, fetch, stage, fold, publish: from a wish to what the lake holds of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from etl.backfill.fold import fold, is_folded
from etl.backfill.run import IN_TIME, Again, Run, rows_of, rules_of
from etl.backfill.wish import Job, Wish, jobs_of
from etl.config import Settings
from etl.dataset import Fetched
from etl.deribit.client import open_client
from etl.deribit.request import ON_HISTORY, Request
from etl.errors import DeribitError, RateLimitedError, TransientError, UnavailableError
from etl.instruments.lists import fetch_listing
from etl.instruments.selection import Choice
from etl.progress import Progress
from lake import raw
from lake.errors import DiskFullError
from lake.ledger import Record, read_record, records, write_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content, publish, tidy, withdraw
from lake.span import Span
from lake.write import free_bytes, remove_leftovers

logger = logging.getLogger(__name__)

TURNS = 6  # rounds of asking, folding and asking again for what came short, in one run
MERGE_EVERY = 32  # pages staged: while the next arrive there is time
BYTES_PER_ROW = 36  # raw and clean together: 13.7 + 15.0 measured, and a margin


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would cost: credits in seconds, bytes on disk, and what is held already."""

    requests: int
    seconds: float
    rows: int
    bytes: int
    free_bytes: int
    rows_held: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did; of what is `refused` nothing is held, and no line tells of it."""

    partitions: int
    requests: int
    seconds: float
    notes: list[str]
    errors: list[str]
    refused: list[Partition]


async def backfill(
    settings: Settings, lake: Lake, wish: Wish, progress: Progress, *, wait: bool = False
) -> Report:
    """Bring the lake up to what is wished for; what is held is not asked for again.

    Raises
    ------
    UsageError
        If an instrument or a date cannot be used.
    PartitionBusyError
        If another process writes one of the partitions and `wait` is false.
    DiskFullError
        If the disk is full, or would be.
    """
    async with _run(settings, lake, progress, choice=wish.choice) as run:
        return await _complete_all(run, jobs_of(wish, run.listing, run.notes.append), wait=wait)


async def heal(
    settings: Settings,
    lake: Lake,
    datasets: Sequence[Fetched],
    progress: Progress,
    *,
    wait: bool = False,
    again: Again = IN_TIME,
) -> Report:
    """Ask again for what the ledger holds unsettled, and for rows that may have been revised.

    What waits for a later look is looked at now, and what is settled once more, where `again`
    says so.
    """
    held = [(each, *one) for each in datasets for one in records(lake, each.name)]
    names = sorted({one.part for each, one, _ in held if each.is_of_instruments})
    async with _run(settings, lake, progress, choice=Choice(names)) as run:
        run.again = again
        jobs = []
        for dataset, partition, record in held:
            instrument = dataset.find(run.listing, partition.part)
            if instrument is None:
                run.errors.append(f"{partition.part} is no longer listed: not healed")
            else:
                jobs.append(Job(partition, dataset, instrument, record.wanted))
        return await _complete_all(run, jobs, wait=wait)


async def estimate(settings: Settings, lake: Lake, wish: Wish, progress: Progress) -> Estimate:
    """Return what `backfill` would cost now; it asks for the instruments and writes nothing."""
    async with _run(settings, lake, progress, dry=True, choice=wish.choice) as run:
        jobs = jobs_of(wish, run.listing, run.notes.append)
        held = [(job, _current(run, job)) for job in jobs]
        asks = [(job, run.due(job, record)) for job, record in held]
        requests = sum(
            job.dataset.most_pages(window, run.listing.now_ms)
            for job, windows in asks
            for window in windows
        )
        rows = sum(rows_of(job, windows) for job, windows in asks)
        burst = settings.credit_capacity
        return Estimate(
            requests=requests,
            seconds=max(0.0, requests * settings.credit_cost - burst) / settings.credit_refill,
            rows=rows,
            bytes=rows * BYTES_PER_ROW,
            free_bytes=free_bytes(lake.root),
            rows_held=sum(record.rows for _, record in held),
            notes=run.notes,
        )


@asynccontextmanager
async def _run(
    settings: Settings,
    lake: Lake,
    progress: Progress,
    *,
    choice: Choice,
    dry: bool = False,
) -> AsyncIterator[Run]:
    rules = rules_of(settings)

    def stage(attempt: raw.Attempt, folder: Path) -> None:
        if not dry:
            raw.stage([attempt], folder)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "stage"))
    async with open_client(settings, stage, is_patient=not dry) as client:
        names = (*choice.names, *choice.indices)
        listing = await fetch_listing(client, lake, choice.currencies, names)
        yield Run(lake, client, listing, rules, progress, notes=listing.notes())


async def _complete_all(run: Run, jobs: Sequence[Job], *, wait: bool) -> Report:
    started = time.monotonic()
    with locked(run.lake, [job.partition for job in jobs], wait=wait):
        todo = await run.work(_open, run, jobs)
        try:
            async with asyncio.TaskGroup() as tasks:
                for job, record in todo:
                    tasks.create_task(_complete(run, job, record))
        except BaseExceptionGroup as group:
            raise _first(group) from group
        else:
            refused = _forget_refused(run, jobs)
        finally:  # a fold under way may still publish: it ends before the locks are given up
            run.workshop.shutdown(cancel_futures=True)
    seconds = time.monotonic() - started
    errors = sorted(set(run.errors))
    return Report(len(jobs), run.client.sent, seconds, run.notes, errors, refused)


def _forget_refused(run: Run, jobs: Sequence[Job]) -> list[Partition]:
    """Withdraw the lines of parts the exchange refuses and never sent a row of; return whose."""
    refused = [job.partition for job in jobs if run.is_refused(job)]
    lines = [
        (one, record)
        for name in {one.dataset for one in refused}
        for one, record in records(run.lake, name)
    ]
    filled = {(one.dataset, one.part) for one, record in lines if record.rows}
    unheard = [one for one in refused if (one.dataset, one.part) not in filled]
    for partition in unheard:
        withdraw(run.lake, partition)
    return unheard


def _open(run: Run, jobs: Sequence[Job]) -> list[tuple[Job, Record]]:
    """Write down what is wanted before any of it is fetched, and return what is to be done."""
    todo = []
    for job in jobs:
        remove_leftovers(run.folder(job))
        tidy(run.lake, job.partition)
        before = read_record(run.lake, job.partition) or Record()
        if not is_folded(before, raw.segments(run.folder(job))):
            folded = _fold(run, job, before.wanted)
            publish(run.lake, job.partition, folded)
            if folded.record.doubted > before.doubted:
                run.tell(folded.notes)
        record = _current(run, job)
        if record != before:
            write_record(run.lake, job.partition, record)
        if asks := run.due(job, record):
            run.progress.expect(job.instrument.instrument_name, len(asks))
            todo.append((job, record))
    todo.sort(key=lambda one: -run.due_rows(*one))  # the last to be folded is then a small one
    needed = sum(run.due_rows(job, record) for job, record in todo) * BYTES_PER_ROW
    if needed > free_bytes(run.lake.root):
        raise DiskFullError(run.lake.root, needed)
    return todo


def _current(run: Run, job: Job) -> Record:
    """Return the ledger's record with what is wanted now, folded anew where raw knows more."""
    record = read_record(run.lake, job.partition) or Record()
    if not is_folded(record, raw.segments(run.folder(job))):
        record = _fold(run, job, record.wanted).record
    return job.dataset.proof.extend(record, job.wanted, run.terms(job))


async def _complete(run: Run, job: Job, before: Record) -> None:
    """Fetch what a partition lacks, look at what came, ask again for its holes, and publish."""
    async with run.ahead:
        started = time.monotonic()
        record, asks = before, run.due(job, before)
        for turn in range(TURNS):
            async with asyncio.TaskGroup() as tasks:
                for window in asks:
                    tasks.create_task(_fetch(run, job, window))
            is_last = turn == TURNS - 1 or run.has_given_up or run.is_refused(job)
            record, asks = await run.work(_settle, run, job, before, is_last=is_last)
            if not asks or is_last:
                break
            run.progress.expect(job.instrument.instrument_name, len(asks))
    words = "%s: %d rows in %.1f s, %d gaps unsettled"
    unsettled = sum(not gap.is_settled for gap in record.gaps)
    logger.info(words, job.partition, record.rows, time.monotonic() - started, unsettled)


def _settle(run: Run, job: Job, before: Record, *, is_last: bool) -> tuple[Record, list[Span]]:
    """Fold what came; publish it if nothing is left to ask, and return what is."""
    folded = _fold(run, job, before.wanted)
    asks = run.due(job, folded.record, is_first=False)
    if is_last or not asks:
        folder = run.folder(job)
        raw.merge(folder)
        record = msgspec.structs.replace(folded.record, segments=raw.segments(folder))
        folded = replace(folded, record=record)
        publish(run.lake, job.partition, folded)
        if record.doubted > before.doubted:
            run.tell(folded.notes)
    return folded.record, asks


async def _fetch(run: Run, job: Job, window: Span) -> None:
    """Fetch and stage one window; a refusal is noted, and shows in the ledger as a gap."""
    name = job.instrument.instrument_name
    async with run.seats:
        if not (run.has_given_up or run.is_refused(job)):
            await _fetch_window(run, job, window)
    run.progress.advance(name)
    if run.staged[job.partition] % MERGE_EVERY == 0:
        await run.work(raw.merge, run.folder(job))


async def _fetch_window(run: Run, job: Job, window: Span) -> None:
    """Fetch and stage one window; one wider than a page, if it is refused, page by page."""
    name, dataset = job.instrument.instrument_name, job.dataset
    params: dict[str, Any] | None = dataset.params(name, window, run.listing.now_ms)
    folder = dataset.stage_folder(run.lake, job.partition, window)
    try:
        while params is not None:
            request = Request(dataset.method, params, window, folder, dataset.check)
            answer = await _ask(run, job, request)
            run.unanswered = 0
            run.staged[job.partition] += 1
            params = dataset.onward(params, answer.body or b"", window)
    except DeribitError as error:
        is_passing = isinstance(error, RateLimitedError | TransientError)
        pages = dataset.proof.parts(window)
        if len(pages) > 1 and not is_passing:
            for page in pages:
                await _fetch_window(run, job, page)
            return
        run.errors.append(f"{name}: {error}")
        if not is_passing:
            run.refusals[job.partition.dataset, job.partition.part] += 1
    except UnavailableError as error:
        run.errors.append(f"{name}: {error}")
        run.unanswered += 1


async def _ask(run: Run, job: Job, request: Request) -> raw.Attempt:
    """Return the answer; what expired, and is refused for ever, the history host is asked for."""
    name = job.instrument.instrument_name
    has_expired = job.instrument.life.end_ms <= run.listing.now_ms
    if name not in run.on_history:
        try:
            return await run.client.call(request)
        except DeribitError as error:
            is_passing = isinstance(error, RateLimitedError | TransientError)
            if is_passing or not has_expired or request.method not in ON_HISTORY:
                raise
            run.on_history.add(name)
    return await run.client.call(replace(request, on_history=True))


def _fold(run: Run, job: Job, wanted: Sequence[Span]) -> Content:
    return fold(run.lake, job.dataset, job.partition, wanted, run.terms(job))


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the first error that is not itself a group."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
