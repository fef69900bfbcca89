"""What all jobs of one run share, and what each of them still has to ask for."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import ParamSpec, TypeVar

from etl.backfill.wish import Job
from etl.config import Settings
from etl.deribit.client import DeribitClient
from etl.instruments.record import Listing
from etl.progress import Progress
from etl.proof.protocol import Due, Rules, Terms
from etl.when import clock_ms
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.span import Span, clip
from validators.outages import load_outages

P = ParamSpec("P")
T = TypeVar("T")

AHEAD = 3  # partitions fetched side by side, so that one is folded while the next arrives
SEATS = 64  # requests that wait for a connection, of 32 at most; others may yet be spared
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
    """What is looked at before its time: all that waits for it, and what is settled so."""

    is_now: bool = False
    reasons: frozenset[str] = frozenset()


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
    ahead: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AHEAD))
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

    def tell(self, notes: Sequence[str]) -> None:
        """Note what the user should know, each thing once."""
        self.notes += [note for note in notes if note not in self.notes]

    def terms(self, job: Job) -> Terms:
        """Return what the job's raw is judged by."""
        return Terms(job.instrument.life, self.listing.now_ms, self.rules)

    def folder(self, job: Job) -> Path:
        """Return where the raw attempts of a job are staged."""
        return job.dataset.raw_folder(self.lake, job.partition)

    def due(self, job: Job, record: Record, *, is_first: bool = True) -> list[Span]:
        """Return the windows to ask for now, so that the job's record may become complete."""
        life = Span(job.instrument.first_asked_ms, job.instrument.life.end_ms)
        return job.dataset.proof.asks(
            record,
            within=clip(life, Span(0, self.listing.now_ms)),
            due=Due(
                clock_ms(),
                self.started_ms,
                is_now=self.again.is_now,
                again=self.again.reasons,
                is_first=is_first,
            ),
        )

    def due_rows(self, job: Job, record: Record) -> int:
        """Return how many rows the windows that are due can bring at most."""
        return rows_of(job, self.due(job, record))


def rows_of(job: Job, windows: Sequence[Span]) -> int:
    """Return how many rows some windows can bring at most; what two of them share counts once."""
    ordered = sorted(windows)
    ends = accumulate((one.end_ms for one in ordered), max, initial=0)
    own = (
        Span(max(one.start_ms, end), one.end_ms) for one, end in zip(ordered, ends, strict=False)
    )
    return sum(job.dataset.proof.most_rows(one) for one in own if one.start_ms < one.end_ms)
