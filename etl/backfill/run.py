"""One partition to be completed is a job; what all jobs of a run share is the run."""

import asyncio
import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from etl.backfill.fold import Terms, raw_folder
from etl.config import Settings
from etl.datasets import Dataset
from etl.deribit.client import DeribitClient
from etl.errors import UsageError
from etl.instruments.lists import Instrument, Universe
from etl.progress import Progress
from etl.proof import grid as plan
from etl.when import clock_ms, format_moment, parse_moment
from lake.ledger import Record, Span
from lake.paths import Lake, Partition
from validators.outages import Outage

P = ParamSpec("P")
T = TypeVar("T")

AHEAD = 3  # partitions fetched side by side, so that one is folded while the next arrives
GIVE_UP_AFTER = 3  # requests in a row that got no usable answer after all their retries


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for, in Unix milliseconds; a bound that is None is open.

    Dated futures are asked for by `currencies` and settlement `periods`; `instruments` then picks
    some of them, or all where it is empty. Perpetuals may be asked for by the index they follow.
    """

    dataset: Dataset
    instruments: Sequence[str]
    start_ms: int | None = None
    end_ms: int | None = None
    currencies: Sequence[str] = ()
    periods: Sequence[str] = ()
    indices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One partition to be completed."""

    partition: Partition
    dataset: Dataset
    instrument: Instrument
    wanted: tuple[Span, ...]


@dataclass(slots=True)
class Run:
    """What the jobs of one run share, and what came of it so far."""

    settings: Settings
    lake: Lake
    client: DeribitClient
    universe: Universe
    outages: tuple[Outage, ...]
    progress: Progress
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    started_ms: int = field(default_factory=clock_ms)
    unanswered: int = 0
    staged: Counter[Partition] = field(default_factory=Counter)
    ahead: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AHEAD))
    workshop: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "fold"))

    @property
    def has_given_up(self) -> bool:
        """Whether the exchange went away."""
        return self.unanswered >= GIVE_UP_AFTER

    async def work(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do heavy work off the event loop, one piece at a time: two folds at once are memory."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.workshop, partial(task, *args, **kwargs))

    def terms(self, job: Job) -> Terms:
        """Return what the job's raw is judged by."""
        return Terms(
            life=job.instrument.life,
            now_ms=self.universe.now_ms,
            settle_ms=round(self.settings.settle_minutes * 60_000),
            confirm_after_ms=round(self.settings.confirm_after * 1000),
            outages=self.outages,
        )


def wish_for(dataset: Dataset, instruments: str, start: str | None, end: str | None) -> Wish:
    """Return the wish a user's words amount to: names by commas, UTC dates or nothing.

    Raises
    ------
    UsageError
        If no instrument is named, or a date cannot be read or lies behind the other.
    """
    names = words(instruments)
    first = parse_moment(start, "--start") if start else None
    last = parse_moment(end, "--end") if end else None
    if not names:
        message = f"--instruments {instruments!r} names no instrument"
        raise UsageError(message)
    if first is not None and last is not None and first >= last:
        message = f"--start {start} is not before --end {end}"
        raise UsageError(message)
    return Wish(dataset, names, first, last)


def futures_wish(
    dataset: Dataset,
    currency: str,
    *,
    start: str | None = None,
    end: str | None = None,
    periods: str | None = None,
    instruments: str | None = None,
) -> Wish:
    """Return the wish for dated futures: words by commas, UTC dates or nothing.

    Raises
    ------
    UsageError
        If no currency is named, or a date cannot be read or lies behind the other.
    """
    currencies = words(currency)
    if not currencies:
        message = f"--currency {currency!r} names no currency"
        raise UsageError(message)
    bounds = wish_for(dataset, instruments or "all", start, end)
    return replace(
        bounds,
        instruments=words(instruments or ""),
        currencies=currencies,
        periods=words(periods or ""),
    )


def words(text: str) -> list[str]:
    """Return the words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def jobs_of(run: Run, wish: Wish) -> list[Job]:
    """Return the partitions a wish covers, each with the part of it that is wanted."""
    now = run.universe.now_ms
    _check_past("--start", wish.start_ms, now)
    _check_past("--end", wish.end_ms, now)
    since_ms = max(wish.start_ms or 0, wish.dataset.since_ms)
    span = Span(since_ms, now if wish.end_ms is None else wish.end_ms)
    jobs = []
    for instrument in _CHOSEN[wish.dataset.of](run, wish):
        name = instrument.instrument_name
        if name in run.universe.missing:
            run.notes.append(f"{name} is in no list and has not expired: taken as last listed")
        owed = plan.clip(span, Span(instrument.first_asked_ms, min(now, instrument.life.end_ms)))
        jobs += [
            Job(Partition(wish.dataset.name, name, year), wish.dataset, instrument, (part,))
            for year, part in plan.by_year(owed).items()
        ]
    return jobs


def _perpetuals(run: Run, wish: Wish) -> list[Instrument]:
    followers = (one for index in wish.indices for one in run.universe.followers(index))
    names = [*wish.instruments, *(one.instrument_name for one in followers)]
    found = [run.universe.perpetual(name) for name in dict.fromkeys(names)]
    for instrument in found:
        if wish.start_ms is not None and wish.start_ms < instrument.creation_timestamp:
            listed = format_moment(instrument.creation_timestamp)
            name = instrument.instrument_name
            run.notes.append(f"{name} was listed {listed} UTC: there is nothing before to fetch")
    return found


def _futures(run: Run, wish: Wish) -> list[Instrument]:
    futures = run.universe.futures(wish.currencies, wish.periods)
    known = {future.instrument_name: future for future in futures}
    for name in wish.instruments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or [futures[-1].instrument_name]
            message = f"no such future {name!r} was listed; nearest: {', '.join(near)}"
            raise UsageError(message)
    return (
        [known[name] for name in dict.fromkeys(wish.instruments)] if wish.instruments else futures
    )


def _indices(run: Run, wish: Wish) -> list[Instrument]:
    return [run.universe.index(name) for name in dict.fromkeys(wish.instruments)]


_CHOSEN = {"perpetual": _perpetuals, "future": _futures, "index": _indices}


def _check_past(name: str, ms: int | None, now_ms: int) -> None:
    if ms is not None and ms > now_ms:
        moment, clock = format_moment(ms), format_moment(now_ms)
        message = f"{name} {moment} is in the future: the exchange's clock says {clock} UTC"
        raise UsageError(message)


def due(run: Run, job: Job, record: Record) -> list[Span]:
    """Return the windows to ask for now, so that the job's record may become complete."""
    life = Span(job.instrument.first_asked_ms, job.instrument.life.end_ms)
    return plan.windows(
        record,
        job.dataset.grid,
        rows=job.dataset.page_rows,
        within=plan.clip(life, Span(0, run.universe.now_ms)),
        clock_ms=clock_ms(),
        read_since_ms=run.started_ms,
    )


def due_rows(run: Run, job: Job, record: Record) -> int:
    """Return how many rows the windows that are due can bring at most."""
    windows = due(run, job, record)
    return sum(window.end_ms - window.start_ms for window in windows) // job.dataset.grid.step_ms


def folder_of(lake: Lake, job: Job) -> Path:
    """Return where the raw attempts of a job are staged."""
    return raw_folder(lake, job.dataset, job.partition.instrument, job.partition.year)
