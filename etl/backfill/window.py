"""Fetch and stage one window, page by page, from the host that has it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from etl.backfill.run import Run
from etl.backfill.wish import Job
from etl.deribit.request import ON_HISTORY, Request
from etl.errors import DeribitError, RateLimitedError, TransientError, UnavailableError
from etl.proof.protocol import Numbers
from lake import raw
from lake.lock import check_held
from lake.span import Span

MERGE_EVERY = 32  # pages staged: while the next arrive there is time


@dataclass
class Reading:
    """The check of an answer, and what it read last: a page is not decoded again to go on."""

    check: Callable[[msgspec.Raw], object]
    page: Any = None

    def __call__(self, result: msgspec.Raw) -> None:
        """Read a result; raise msgspec.ValidationError where it is not of the expected shape."""
        self.page = self.check(result)


async def fetch_all(run: Run, job: Job, windows: Iterable[Span]) -> None:
    """Fetch and stage some windows of a job side by side; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for each in windows:
                tasks.create_task(fetch(run, job, each))
    except BaseExceptionGroup as group:
        raise first_of(group) from group


def first_of(group: BaseExceptionGroup) -> BaseException:
    """Return the first error that is not itself a group."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


async def fetch(run: Run, job: Job, window: Span) -> None:
    """Fetch and stage one window; a refusal is noted, and shows in the ledger as a gap."""
    name = job.instrument.instrument_name
    async with run.long_seats if job.dataset.has_pages else run.seats:
        if not (run.has_given_up or run.is_refused(job)):
            await fetch_window(run, job, window)
    run.progress.advance(name)
    if run.staged[job.partition] % MERGE_EVERY == 0:
        await run.work(_merge, run, job)


def _merge(run: Run, job: Job) -> None:
    """Merge what is staged of a job, unless another process may be folding it by now."""
    check_held(run.lake, job.partition)
    raw.merge(run.folder(job))


async def fetch_window(run: Run, job: Job, window: Span) -> None:
    """Fetch and stage one window; one wider than a page, if it is refused, page by page."""
    name, dataset = job.instrument.instrument_name, job.dataset
    params: dict[str, Any] | None = dataset.params(name, window, run.listing.now_ms)
    folder = dataset.stage_folder(run.lake, job.partition, window)
    try:
        while params is not None:
            method = dataset.method_of(params) if dataset.method_of else dataset.method
            read = Reading(dataset.check)
            request = Request(method, params, window, folder, read, on_history=dataset.on_history)
            await _ask(run, job, request)
            run.unanswered = 0
            run.staged[job.partition] += 1
            params = dataset.onward(params, read.page, window)
    except DeribitError as error:
        is_passing = isinstance(error, RateLimitedError | TransientError)
        pages = dataset.proof.parts(window)
        if len(pages) > 1 and not is_passing:
            for page in pages:
                await fetch_window(run, job, page)
            return
        run.errors.append(f"{name}: {error}")
        if not is_passing and not isinstance(window, Numbers):
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
