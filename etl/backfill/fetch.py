"""Plan, fetch, stage, fold, publish: from a wish to what the lake holds of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from etl.backfill import window
from etl.backfill.between import hold_together
from etl.backfill.fold import is_folded
from etl.backfill.run import IN_TIME, Again, Run, rows_of, rules_of
from etl.backfill.wish import Job, Wish, jobs_of
from etl.config import Settings
from etl.dataset import Fetched
from etl.deribit.client import open_client
from etl.instruments.chain import named
from etl.instruments.lists import fetch_listing
from etl.instruments.names import kind_by_name
from etl.instruments.refresh import keep_up
from etl.instruments.selection import Choice
from etl.progress import Progress
from lake import raw
from lake.errors import DiskFullError
from lake.ledger import Record, read_record, records, write_record
from lake.lock import Wait, locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import publish, tidy, withdraw
from lake.store.files import free_bytes
from lake.store.place import Place
from lake.write import remove_leftovers

logger = logging.getLogger(__name__)

STAGED_AT_ONCE = 16  # pages on their way to a bucket: each takes as long as a request
TURNS = 6  # rounds of asking, folding and asking again for what came short, in one run

HeldPart = tuple[Fetched, Partition, Record]
"""A partition that is held, with its dataset and its line."""


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
    settings: Settings, lake: Lake, wish: Wish, progress: Progress, *, wait: Wait = False
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
    async with opened(settings, lake, progress, choice=wish.choice) as run:
        return await fill(run, wish, wait=wait)


async def fill(run: Run, wish: Wish, *, wait: Wait = False) -> Report:
    """Bring the lake up to what is wished for, in a run whose lists have it.

    Raises
    ------
    UsageError, PartitionBusyError, DiskFullError
        As `backfill`.
    """
    now_ms = run.listing.now_ms
    if wish.dataset.has_chain:
        until_ms = now_ms if wish.end_ms is None else min(wish.end_ms, now_ms)
        await keep_up(run.client, run.lake, wish.choice.currencies, until_ms, wait=wait)
    return await _complete_all(run, jobs_of(wish, run.listing, run.notes.append), wait=wait)


async def chain_at(
    settings: Settings,
    lake: Lake,
    progress: Progress,
    currencies: Sequence[str],
    end_ms: int | None,
) -> int:
    """Bring the lists of options up to a moment, or to now; return the exchange's clock [ms].

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    """
    async with opened(settings, lake, progress, choice=Choice(currencies=currencies)) as run:
        now_ms = run.listing.now_ms
        await keep_up(run.client, lake, currencies, min(end_ms or now_ms, now_ms))
        return now_ms


async def heal(
    settings: Settings,
    lake: Lake,
    datasets: Sequence[Fetched],
    progress: Progress,
    *,
    wait: Wait = False,
    again: Again = IN_TIME,
) -> Report:
    """Ask again for what the ledger holds unsettled, and for rows that may have been revised.

    What one answer alone speaks for is asked for once more, in windows cut differently. What waits
    for a later look is looked at now, and what is settled once more, where `again` says so.
    """
    held = [(each, *one) for each in datasets for one in records(lake, each.name)]
    names = sorted({one.part for each, one, _ in held if each.is_of_instruments})
    async with opened(settings, lake, progress, choice=Choice(names)) as run:
        run.again = replace(again, reasons=again.reasons | {"seen_once"})
        return await mend(run, held, wait=wait)


async def mend(run: Run, held: Sequence[HeldPart], *, wait: Wait = False) -> Report:
    """Ask again for what is due of some partitions, in a run whose lists have them."""
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
    async with opened(settings, lake, progress, dry=True, choice=wish.choice) as run:
        return cost(settings, run, wish)


def cost(settings: Settings, run: Run, wish: Wish) -> Estimate:
    """Return what `fill` would cost now, in a run whose lists have what is wished for."""
    jobs = jobs_of(wish, run.listing, run.notes.append)
    held = [(job, _current(run, job)) for job in jobs]
    asks = [(job, run.due(job, record)) for job, record in held]
    requests = sum(
        job.dataset.most_pages(window, run.listing.now_ms)
        for job, windows in asks
        for window in windows
    )
    rows = sum(rows_of(job, windows) for job, windows in asks)
    return Estimate(
        requests=requests,
        seconds=seconds_of(settings, requests),
        rows=rows,
        bytes=rows * wish.dataset.row_bytes,
        free_bytes=free_bytes(run.lake.root),
        rows_held=sum(record.rows for _, record in held),
        notes=run.notes,
    )


def seconds_of(settings: Settings, requests: int) -> float:
    """Return how long some requests take at the rate limit, with a full bucket [s]."""
    spent = requests * settings.credit_cost - settings.credit_capacity
    return max(0.0, spent) / settings.credit_refill


@asynccontextmanager
async def opened(
    settings: Settings,
    lake: Lake,
    progress: Progress,
    *,
    choice: Choice,
    dry: bool = False,
    is_known: bool = False,
) -> AsyncIterator[Run]:
    """Open the connection of a run, and fetch the lists of what it chooses.

    Parameters
    ----------
    dry
        Write nothing, and do not wait for an exchange that is away.
    is_known
        Whether the exchange is known to be there, as when it answered before: it is then waited
        for even where nothing answers yet.

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    """
    rules = rules_of(settings)

    def stage(attempt: raw.Attempt, folder: Place) -> None:
        if not dry:
            raw.stage([attempt], folder)

    at_once = 1 if isinstance(lake.root, Path) else STAGED_AT_ONCE
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(at_once, "stage"))
    async with open_client(settings, stage, is_patient=not dry, is_known=is_known) as client:
        names = (*choice.names, *choice.indices)
        listing = await fetch_listing(client, lake, choice.currencies, names)
        if options := named(lake, [name for name in names if kind_by_name(name) == "option"]):
            listing = replace(listing, instruments=listing.instruments | options)
        yield Run(lake, client, listing, rules, progress, notes=listing.notes())


async def _complete_all(run: Run, jobs: Sequence[Job], *, wait: Wait) -> Report:
    started = time.monotonic()
    with locked(run.lake, [job.partition for job in jobs], wait=wait):
        todo = await run.work(_open, run, jobs)
        try:
            async with asyncio.TaskGroup() as tasks:
                for job, record in todo:
                    tasks.create_task(_complete(run, job, record))
        except BaseExceptionGroup as group:
            raise window.first_of(group) from group
        else:
            refused = _forget_refused(run, jobs)
            await hold_together(run, jobs)
        finally:  # a fold under way may still publish: it ends before the locks are given up
            run.shut()
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
        before = held = read_record(run.lake, job.partition) or Record()
        if not is_folded(before, raw.segments(run.folder(job))):
            folded = run.fold(job, before.wanted)
            publish(run.lake, job.partition, folded)
            held = folded.record
            if folded.record.doubted > before.doubted:
                run.tell(folded.notes)
        record = job.dataset.proof.extend(held, job.wanted, run.terms(job))
        if record != held:
            write_record(run.lake, job.partition, record)
        if asks := run.due(job, record):
            run.progress.expect(job.instrument.instrument_name, len(asks))
            todo.append((job, record))
    todo.sort(key=lambda one: -run.due_rows(*one))  # the last to be folded is then a small one
    needed = sum(run.due_rows(job, record) * job.dataset.row_bytes for job, record in todo)
    if needed > free_bytes(run.lake.root):
        raise DiskFullError(run.lake.root, needed)
    return todo


def _current(run: Run, job: Job) -> Record:
    """Return the ledger's record with what is wanted now, folded anew where raw knows more."""
    record = read_record(run.lake, job.partition) or Record()
    if not is_folded(record, raw.segments(run.folder(job))):
        record = run.fold(job, record.wanted).record
    return job.dataset.proof.extend(record, job.wanted, run.terms(job))


async def _complete(run: Run, job: Job, before: Record) -> None:
    """Fetch what a partition lacks, look at what came, ask again for its holes, and publish."""
    async with run.ahead:
        started = time.monotonic()
        record, asks = before, run.due(job, before)
        for turn in range(TURNS):
            await window.fetch_all(run, job, asks)
            is_last = turn == TURNS - 1 or run.has_given_up or run.is_refused(job)
            record, asks = await run.settle(job, before, is_last=is_last)
            if not asks or is_last:
                break
            run.progress.expect(job.instrument.instrument_name, len(asks))
    words = "%s: %d rows in %.1f s, %d gaps unsettled"
    unsettled = sum(not gap.is_settled for gap in record.gaps)
    logger.info(words, job.partition, record.rows, time.monotonic() - started, unsettled)
