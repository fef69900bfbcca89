"""Bring a lake up to what is kept: ask, compute, load, verify, and say what came of it."""

import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import msgspec

from etl.compute.run import held_of
from etl.config import Settings
from etl.database.parts import has_table
from etl.dataset import Computed, Dataset
from etl.errors import EtlError
from etl.instruments.lists import staged_listing
from etl.outcome import StopCode, ctrl_c, outcome_kept
from etl.pings import Check
from etl.pipeline import derive_one, open_to_write
from etl.progress import Progress
from etl.rates.fetch import days_asked
from etl.rates.fetch import fetch as fetch_rates
from etl.sources.treasury_bills import TREASURY_BILLS
from etl.sync.database import Database
from etl.sync.fetching import Fetching
from etl.sync.keep import Keeping
from etl.sync.last_look import LastLook
from etl.sync.lock import sync_lock
from etl.sync.stages import Course, Stage, fail_by
from etl.sync.summary import Summary, exit_code_of, total
from etl.sync.verdict import worst
from etl.when import clock_ms
from lake.errors import LakeError
from lake.ledger import Record, read_record
from lake.lock import Wait
from lake.partition import Partition
from lake.paths import Lake
from lake.span import DAY_MS
from lake.verify import verify_partitions

SYNC, USAGE = "sync", 2
RATES, LOAD, VERIFY_DB = "rates", "load", "verify-db"
NIGHTS = 7  # in which every file that is kept is read at least once

Lines = Mapping[Partition, Record | None]


def sync(
    settings: Settings,
    keeping: Keeping,
    progress: Progress,
    *,
    wait: Wait = False,
    stop_code: StopCode = ctrl_c,
) -> Summary:
    """Bring the lake up to what is kept, and return what came of it.

    How it ended is kept in the lake, and `keep.ping_url` is told. A stage that fails keeps none but
    those that need it from being run.

    Raises
    ------
    UsageError
        If something is kept that the exchange does not list.
    PartitionBusyError
        If another sync is under way and `wait` is false.
    """
    lake = open_to_write(settings, progress, create=True)
    check = Check(settings.keep.ping_url)
    with (
        sync_lock(lake, wait=wait),
        outcome_kept(lake, SYNC, check, stop_code=stop_code, usage_code=USAGE) as ending,
    ):
        done = _Sync(settings, lake, keeping, progress).run()
        ending.exit_code, ending.error = done.exit_code, "; ".join(done.errors) or None
        ending.summary, ending.told = msgspec.to_builtins(done), total(done)
    return done


@dataclass(slots=True)
class _Sync:
    """One sync: what its stages share."""

    settings: Settings
    lake: Lake
    keeping: Keeping
    progress: Progress

    @property
    def _wait(self) -> float:
        """How long to wait for what another process is writing [s]."""
        return self.settings.keep.busy_minutes * 60

    def run(self) -> Summary:
        """Run the stages in the order of what needs what."""
        started, began, course = clock_ms(), time.monotonic(), Course()
        names = [one.name for one in self.keeping.datasets]
        before = _lines(self.lake, names)
        asking = Fetching(
            self.settings, self.lake, self.keeping, self.progress, course, clock_ms(), {}
        )
        asking.run()
        if self.keeping.rates_ms is not None:
            course.run(RATES, lambda stage: self._rates(stage, asking.now_ms))
        self._compute(course)
        tables = [one for one in self.keeping.datasets if has_table(one)]
        database = Database(self.settings, self.lake, tables, self.progress, self._wait)
        if self.settings.keep.database:
            course.run(LOAD, database.load)
        course.run("verify", lambda stage: self._verify(stage, before, names))
        if self.settings.keep.database:
            course.run(VERIFY_DB, database.compare, [LOAD])
        return self._summary(course, asking, started, began)

    def _summary(self, course: Course, asking: Fetching, started: int, began: float) -> Summary:
        look = LastLook(
            self.lake, self.keeping, asking.parts, asking.now_ms, self.progress, self._wait
        )
        is_whole = all(one.state == "done" for one in course.stages)
        with course.stage("status") as stage:
            found = look.settled(stage) if is_whole else look.once()
        if course.failed and course.failed[-1].stage == "status":
            found = []
        verdict = worst(found)
        return Summary(
            verdict=verdict,
            exit_code=exit_code_of(verdict, course.stages),
            started_ms=started,
            finished_ms=clock_ms(),
            seconds=round(time.monotonic() - began, 3),
            requests=course.requests,
            rows=sum(one.rows for one in course.stages if _is_asking(one)),
            stages=course.stages,
            datasets=found,
        )

    def _rates(self, stage: Stage, now_ms: int) -> None:
        days = days_asked(self.keeping.rates_ms or 0, None, now_ms)
        before = _rows(self.lake, TREASURY_BILLS)
        report = fetch_rates(self.settings, self.lake, days, self.progress, wait=self._wait)
        stage.requests, stage.rows = report.requests, _rows(self.lake, TREASURY_BILLS) - before
        stage.notes += report.notes
        if report.errors:  # no source answered
            raise EtlError("; ".join(report.errors))

    def _compute(self, course: Course) -> None:
        """Run a stage for each computed dataset, unless what it is made from was not brought."""
        listing = cache(partial(staged_listing, self.lake))
        for dataset in self.keeping.computed:

            def work(stage: Stage, dataset: Computed = dataset) -> None:
                done = derive_one(self.lake, dataset, listing(), self.progress, wait=self._wait)
                stage.rows, stage.notes = done.rows, done.notes

            course.run(f"compute {dataset.name}", work, _needs(dataset))

    def _verify(self, stage: Stage, before: Lines, names: list[str]) -> None:
        """Read what this sync changed, and a seventh of the rest: all of it once a week.

        Reading all of a large lake every night costs more than all other stages, and a file that
        nobody wrote changes only where a disk fails.
        """
        now = _lines(self.lake, names)
        chosen = [
            one
            for one, record in now.items()
            if record is None or before.get(one) != record or is_turn(one, clock_ms() // DAY_MS)
        ]
        faults = [fault.reason for fault in verify_partitions(self.lake, chosen)]
        stage.rows = sum(record.rows for one in chosen if (record := now[one]) is not None)
        fail_by(faults, "files are not what the ledger says")


def _needs(dataset: Computed) -> list[str]:
    """Return the stages that bring what a dataset is made from."""
    names = [*dataset.inputs]
    made = [f"{verb} {name}" for name in names for verb in ("backfill", "compute")]
    return [*made, *([RATES] if TREASURY_BILLS.name in names else [])]


def _is_asking(stage: Stage) -> bool:
    """Whether the rows of a stage are new ones of the exchange."""
    return stage.stage.startswith("backfill ") or stage.stage in {"heal", RATES}


def is_turn(one: Partition, day: int) -> bool:
    """Whether a partition is read on a day; periods that follow each other are on days that do."""
    period = one.period.replace("-", "")
    number = int(period) if period.isdigit() else 0
    return (zlib.crc32(f"{one.dataset} {one.part}".encode()) + number + day) % NIGHTS == 0


def _lines(lake: Lake, names: Iterable[str]) -> Lines:
    """Return what the ledger says of some datasets, None where a line cannot be read."""
    lines: dict[Partition, Record | None] = {}
    for name in names:
        for one in lake.partitions(name):
            try:
                lines[one] = read_record(lake, one)
            except LakeError:
                lines[one] = None
    return lines


def _rows(lake: Lake, dataset: Dataset) -> int:
    return sum(record.rows for record in held_of(lake, [dataset.name]).values())
