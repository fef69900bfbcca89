"""Ask for rows that are missing between two partitions of a part, and publish what comes.

Where such a row lies is not known: its number is asked for into every partition it may belong to.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from etl.backfill import seams, window
from etl.backfill.run import Run
from etl.backfill.wish import Job
from etl.dataset import Fetched
from etl.instruments.record import TOLD, always
from etl.proof.holes import numbers_to_ask
from etl.proof.protocol import Numbers
from lake.errors import PartitionBusyError
from lake.ledger import Record
from lake.lock import locked
from lake.partition import Partition
from lake.publish import publish
from lake.span import Span, clip

TURNS = 3  # rounds of holding numbers against each other and asking for what is missing


async def hold_together(run: Run, jobs: Sequence[Job]) -> None:
    """Hold the numbers of each part against each other, call it under the locks of the jobs."""
    mine = {job.partition for job in jobs}
    parts = {(job.partition.dataset, job.partition.part): job.dataset for job in jobs}
    for (name, part), dataset in sorted(parts.items()):
        if seams.is_numbered(dataset):
            with ExitStack() as locks:
                held = [one for one, _ in seams.held_of(run.lake, name, part)]
                busy = _locked(run, locks, [one for one in held if one not in mine])
                await _hold(run, dataset, part, busy)


def _locked(run: Run, locks: ExitStack, partitions: Sequence[Partition]) -> set[Partition]:
    """Take the locks of some partitions, and return those that another process writes.

    They are not waited for: it may wait for one of ours.
    """
    busy = set()
    for one in partitions:
        try:
            locks.enter_context(locked(run.lake, [one]))
        except PartitionBusyError:
            busy.add(one)
    return busy


async def _hold(run: Run, dataset: Fetched, part: str, busy: set[Partition]) -> None:
    held = seams.held_of(run.lake, dataset.name, part)
    if not held:
        return
    terms = run.terms(_job(dataset, *held[0]))
    for turn in range(TURNS + 1):
        unlisted = await run.work(seams.judge, run.lake, dataset, part, terms, busy)
        if turn == TURNS or run.has_given_up:
            break
        held = seams.held_of(run.lake, dataset.name, part)
        asks = {one: list(_asks(run, dataset, one, held)) for one, _ in held if one not in busy}
        if not any(asks.values()):
            break
        for one, record in held:
            if asks.get(one):
                await _complete(run, _job(dataset, one, record), asks[one])
    if unlisted:
        few = ", ".join(unlisted[:TOLD])
        number = f"{len(unlisted):,} of {part} in {dataset.name}"
        run.notes.append(f"{number} are in no list of instruments, as {few}")


def _asks(run: Run, dataset: Fetched, partition: Partition, held: seams.Held) -> Iterable[Numbers]:
    """Yield the numbers that may be missing in a partition, as a later one tells."""
    due = run.what_is_due()
    chosen = [
        gap
        for _, record in held
        for gap in record.gaps
        if gap.is_before and gap.reason != "renumbered" and due.has(gap)
        if Span(gap.start_ms, gap.end_ms).meets(partition.span)
    ]
    for one in numbers_to_ask(chosen, dataset.proof.page_rows):
        inside = clip(one, partition.span)
        yield Numbers(inside.start_ms, inside.end_ms, one.of, one.first, one.last)


async def _complete(run: Run, job: Job, asks: Sequence[Span]) -> None:
    """Ask for numbers, and then again for the time whose answers lack what came."""
    for _ in range(TURNS):
        run.progress.expect(job.instrument.instrument_name, len(asks))
        await window.fetch_all(run, job, asks)
        content = await run.work(run.fold, job, job.wanted)
        await run.work(publish, run.lake, job.partition, content)
        asks = run.due(job, content.record, is_first=False)
        if not asks or run.has_given_up:
            break


def _job(dataset: Fetched, partition: Partition, record: Record) -> Job:
    return Job(partition, dataset, always(partition.part), record.wanted)
