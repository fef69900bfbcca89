"""What all jobs of one run share, and what each of them still has to ask for."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import ParamSpec, TypeVar

import msgspec

from etl import workers
from etl.backfill.fold import fold
from etl.backfill.settle import Came, is_large, settle, settle_for
from etl.backfill.wish import Job
from etl.config import Settings
from etl.deribit.client import DeribitClient
from etl.errors import EtlError
from etl.instruments.record import Listing
from etl.progress import Progress
from etl.proof.protocol import Due, Numbers, Rules, Terms
from etl.when import clock_ms
from lake.ledger import Reading, Record
from lake.lock import lent
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content
from lake.span import DAY_MS, Span, clip
from lake.store.place import Place
from validators.outages import load_outages

P = ParamSpec("P")
T = TypeVar("T")

AHEAD = 3  # partitions fetched side by side, so that one is folded while the next arrives
SEATS = 64  # requests that wait for a connection, of 32 at most; others may yet be spared
LONG_SEATS = 12  # windows of several pages under way at once: 20 requests a second at half a second
REFUSED_AFTER = 3  # refusals for good, after which no more is asked of a part in this run
GIVE_UP_AFTER = 3  # requests in a row that got no usable answer after all their retries


def rules_of(settings: Settings) -> Rules:
    """Return how the settings say answers are judged."""
    return Rules(
        settle_ms=round(settings.settle_minutes * 60_000),
        confirm_after_ms=round(settings.confirm_after * 1000),
        outages=load_outages(settings.outages),
    )


@dataclass(frozen=True, slots=True)
class Again:
    """What is looked at before its time: all that waits for it, and what is settled so.

    Rows that are held from `since_ms` on are asked for once more: they may have been revised.
    """

    is_now: bool = False
    reasons: frozenset[str] = frozenset()
    since_ms: int | None = None


IN_TIME = Again()
"""Nothing is looked at before its time."""


@dataclass(slots=True)
class Run:
    """What the jobs of one run share, and what came of it so far."""

    lake: Lake
    client: DeribitClient
    listing: Listing
    rules: Rules
    progress: Progress
    again: Again = IN_TIME
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    started_ms: int = field(default_factory=clock_ms)
    unanswered: int = 0
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)  # by dataset and part
    on_history: set[str] = field(default_factory=set)  # expired ones only the history host has
    staged: Counter[Partition] = field(default_factory=Counter)
    seats: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SEATS))
    long_seats: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LONG_SEATS))
    ahead: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AHEAD))
    foundry: Executor | None = None
    workshop: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "fold"))

    @property
    def has_given_up(self) -> bool:
        """Whether the exchange went away."""
        return self.unanswered >= GIVE_UP_AFTER

    def is_refused(self, job: Job) -> bool:
        """Whether the exchange refuses whatever it is asked of a part."""
        return self.refusals[job.partition.dataset, job.partition.part] >= REFUSED_AFTER

    async def work(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do heavy work off the event loop, one piece at a time: two folds at once are memory."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.workshop, partial(task, *args, **kwargs))

    async def settle(self, job: Job, before: Record, *, is_last: bool) -> tuple[Record, list[Span]]:
        """Fold what came of a job; publish it if nothing is left to ask, and return what is."""
        came = Came(
            self.lake,
            job.partition,
            before.wanted,
            self.terms(job),
            within=self._within(job),
            due=self.what_is_due(is_first=False),
            is_last=is_last,
        )
        if await self.work(is_large, job.dataset, self.lake, job.partition):
            settled = await self._apart(settle_for, lent(self.lake, job.partition), came)
        else:
            settled = await self.work(settle, came, job.dataset)
        if settled.record.doubted > before.doubted:
            self.tell(settled.notes)
        return settled.record, settled.asks

    async def _apart(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do heavy work in a process of its own, one piece at a time."""
        if self.foundry is None:
            self.foundry = workers.apart()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.foundry, partial(task, *args, **kwargs))
        except BrokenProcessPool as error:
            message = "the process that folds was killed, perhaps for want of memory"
            raise EtlError(message) from error

    def shut(self) -> None:
        """End the work under way: it may still publish, and comes before the locks are given up."""
        self.workshop.shutdown(cancel_futures=True)
        if self.foundry is not None:
            self.foundry.shutdown(cancel_futures=True)

    def tell(self, notes: Sequence[str]) -> None:
        """Note what the user should know, each thing once."""
        self.notes += [note for note in notes if note not in self.notes]

    def terms(self, job: Job) -> Terms:
        """Return what the job's raw is judged by."""
        return Terms(job.instrument.life, self.listing.now_ms, self.rules)

    def folder(self, job: Job) -> Place:
        """Return where the raw attempts of a job are staged."""
        return job.dataset.raw_folder(self.lake, job.partition)

    def due(self, job: Job, record: Record, *, is_first: bool = True) -> list[Span]:
        """Return the windows to ask for now, so that the job's record may become complete."""
        within = self._within(job)
        due = self.what_is_due(is_first=is_first)
        asked = self._with_trailing(record) if is_first else record
        return job.dataset.proof.asks(asked, within=within, due=due)

    def _with_trailing(self, record: Record) -> Record:
        """Return a record whose rows from `again.since_ms` on count as read too long ago.

        The answers they came in stand: where a new one differs, others are asked for, and what
        most of the latest say is believed.
        """
        since_ms, last_ms = self.again.since_ms, record.last_ms
        if since_ms is None or last_ms is None:
            return record
        trailing = Span(since_ms // DAY_MS * DAY_MS, last_ms + 1)  # a page begins on any grid
        parts = [clip(one, trailing) for one in record.wanted]
        readings = [Reading(one.start_ms, one.end_ms, 0) for one in parts if _is_some(one)]
        return msgspec.structs.replace(record, provisional=(*record.provisional, *readings))

    def anew(self, again: Again = IN_TIME) -> "Run":
        """Return a run of its own on the same client and lists, begun when this one was."""
        return Run(
            self.lake,
            self.client,
            self.listing,
            self.rules,
            self.progress,
            again=again,
            started_ms=self.started_ms,
        )

    def _within(self, job: Job) -> Span:
        """Return the time a job may be asked for."""
        life = Span(job.instrument.first_asked_ms, job.instrument.life.end_ms)
        return clip(life, Span(0, self.listing.now_ms))

    def what_is_due(self, *, is_first: bool = True) -> Due:
        """Return what makes a gap due now."""
        return Due(
            clock_ms(),
            self.started_ms,
            is_now=self.again.is_now,
            again=self.again.reasons,
            is_first=is_first,
        )

    def fold(self, job: Job, wanted: Sequence[Span]) -> Content:
        """Return what the raw attempts of a job amount to."""
        return fold(self.lake, job.dataset, job.partition, wanted, self.terms(job))

    def due_rows(self, job: Job, record: Record) -> int:
        """Return how many rows the windows that are due can bring at most."""
        return rows_of(job, self.due(job, record))


def _is_some(span: Span) -> bool:
    return span.start_ms < span.end_ms


def rows_of(job: Job, windows: Sequence[Span]) -> int:
    """Return how many rows some windows can bring at most; what two of them share counts once."""
    numbered = sum(one.last - one.first + 1 for one in windows if isinstance(one, Numbers))
    ordered = sorted(one for one in windows if not isinstance(one, Numbers))
    ends = accumulate((one.end_ms for one in ordered), max, initial=0)
    own = (
        Span(max(one.start_ms, end), one.end_ms) for one, end in zip(ordered, ends, strict=False)
    )
    most = job.dataset.proof.most_rows
    return numbered + sum(most(one) for one in own if one.start_ms < one.end_ms)
