"""Plan, fetch, stage, fold, publish: from a wish to what the lake holds of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from etl.backfill.fold import fold
from etl.backfill.run import Run, rows_of, rules_of
from etl.backfill.wish import Job, Wish, jobs_of
from etl.config import Settings
from etl.dataset import Fetched
from etl.deribit.client import Request, open_client
from etl.errors import DeribitError, UnavailableError
from etl.instruments.lists import fetch_listing
from etl.instruments.names import parse_name
from etl.progress import Progress
from lake import raw
from lake.errors import DiskFullError
from lake.ledger import Record, read_record, records, write_record
from lake.lock import locked
from lake.paths import Lake
from lake.publish import Content, publish, tidy
from lake.span import Span
from lake.write import free_bytes, remove_leftovers

logger = logging.getLogger(__name__)

TURNS = 6  # rounds of asking, folding and asking again for what came short, in one run
EXPIRING = {"future", "option"}  # kinds of instruments that expire
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
    """What a run did."""

    partitions: int
    requests: int
    seconds: float
    notes: list[str]
    errors: list[str]


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
    async with _run(settings, lake, progress, expired_of=wish.choice.currencies) as run:
        return await _complete_all(run, jobs_of(wish, run.listing, run.notes.append), wait=wait)


async def heal(
    settings: Settings,
    lake: Lake,
    datasets: Sequence[Fetched],
    progress: Progress,
    *,
    wait: bool = False,
) -> Report:
    """Ask again for what the ledger holds unsettled, and for rows that may have been revised."""
    held = [(each, *one) for each in datasets for one in records(lake, each.name)]
    expiring = (one for each, one, _ in held if each.is_of_instruments and each.kind in EXPIRING)
    expired_of = sorted({parse_name(one.part).settles_in for one in expiring})
    async with _run(settings, lake, progress, expired_of=expired_of) as run:
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
    currencies = wish.choice.currencies
    async with _run(settings, lake, progress, dry=True, expired_of=currencies) as run:
        jobs = jobs_of(wish, run.listing, run.notes.append)
        held = [(job, _current(run, job)) for job in jobs]
        asks = [(job, run.due(job, record)) for job, record in held]
        requests = sum(len(windows) for _, windows in asks)
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
    dry: bool = False,
    expired_of: Sequence[str] = (),
) -> AsyncIterator[Run]:
    rules = rules_of(settings)

    def stage(attempt: raw.Attempt, folder: Path) -> None:
        if not dry:
            raw.stage([attempt], folder)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "stage"))
    async with open_client(settings, stage) as client:
        listing = await fetch_listing(client, lake, expired_of)
        yield Run(lake, client, listing, rules, progress)


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
        finally:  # a fold under way may still publish: it ends before the locks are given up
            run.workshop.shutdown(cancel_futures=True)
    seconds = time.monotonic() - started
    return Report(len(jobs), run.client.sent, seconds, run.notes, sorted(set(run.errors)))


def _open(run: Run, jobs: Sequence[Job]) -> list[tuple[Job, Record]]:
    """Write down what is wanted before any of it is fetched, and return what is to be done."""
    todo = []
    for job in jobs:
        remove_leftovers(run.folder(job))
        tidy(run.lake, job.partition)
        before = read_record(run.lake, job.partition) or Record()
        if before.segments != raw.segments(run.folder(job)):
            publish(run.lake, job.partition, _fold(run, job, before.wanted))
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
    if record.segments != raw.segments(run.folder(job)):
        record = _fold(run, job, record.wanted).record
    return job.dataset.proof.extend(record, job.wanted, run.terms(job))


async def _complete(run: Run, job: Job, record: Record) -> None:
    """Fetch what a partition lacks, look at what came, ask again for its holes, and publish."""
    async with run.ahead:
        started = time.monotonic()
        asks = run.due(job, record)
        for turn in range(TURNS):
            async with asyncio.TaskGroup() as tasks:
                for window in asks:
                    tasks.create_task(_fetch(run, job, window))
            is_last = turn == TURNS - 1 or run.has_given_up
            record, asks = await run.work(_settle, run, job, record.wanted, is_last=is_last)
            if not asks or is_last:
                break
            run.progress.expect(job.instrument.instrument_name, len(asks))
    words = "%s: %d rows in %.1f s, %d gaps unsettled"
    unsettled = sum(not gap.is_settled for gap in record.gaps)
    logger.info(words, job.partition, record.rows, time.monotonic() - started, unsettled)


def _settle(
    run: Run, job: Job, wanted: Sequence[Span], *, is_last: bool
) -> tuple[Record, list[Span]]:
    """Fold what came; publish it if nothing is left to ask, and return what is."""
    folded = _fold(run, job, wanted)
    asks = run.due(job, folded.record)
    if is_last or not asks:
        folder = run.folder(job)
        raw.merge(folder)
        record = msgspec.structs.replace(folded.record, segments=raw.segments(folder))
        folded = replace(folded, record=record)
        publish(run.lake, job.partition, folded)
    return folded.record, asks


async def _fetch(run: Run, job: Job, window: Span) -> None:
    """Fetch and stage one window; a refusal is noted, and shows in the ledger as a gap."""
    if run.has_given_up:
        return
    name, dataset = job.instrument.instrument_name, job.dataset
    params = dataset.params(name, window, run.listing.now_ms)
    folder = dataset.stage_folder(run.lake, job.partition, window)
    try:
        await run.client.call(Request(dataset.method, params, window, folder, dataset.check))
        run.unanswered = 0
        run.staged[job.partition] += 1
    except DeribitError as error:
        run.errors.append(f"{name}: {error}")
    except UnavailableError as error:
        run.errors.append(f"{name}: {error}")
        run.unanswered += 1
    run.progress.advance(name)
    if run.staged[job.partition] % MERGE_EVERY == 0:
        await run.work(raw.merge, run.folder(job))


def _fold(run: Run, job: Job, wanted: Sequence[Span]) -> Content:
    return fold(run.lake, job.dataset, job.partition, wanted, run.terms(job))


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the first error that is not itself a group."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
