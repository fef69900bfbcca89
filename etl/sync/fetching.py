"""The stages that ask the exchange, on one connection: lists, backfills, what is to be healed."""

import asyncio
import time
from dataclasses import dataclass, replace

from etl.backfill.fetch import HeldPart, Report, fill, mend, opened
from etl.backfill.run import Again, Run
from etl.backfill.wish import Wish, narrowed
from etl.config import Settings
from etl.deribit.answer import OK
from etl.errors import UsageError
from etl.instruments import table
from etl.instruments.chain import chain, choose, named
from etl.instruments.lists import living_request
from etl.instruments.refresh import fetch_all, keep_up
from etl.outcome import EXPECTED
from etl.progress import Progress
from etl.sync.keep import Keeping, Kept
from etl.sync.stages import Course, Stage
from etl.sync.trailing import Trailing
from etl.when import format_moment
from lake import raw
from lake.ledger import records
from lake.paths import Lake

LISTS, HEAL = "instruments", "heal"


@dataclass(slots=True)
class Fetching:
    """What the stages that ask share; `now_ms` is the exchange's clock once it is heard.

    `parts` are the parts of each dataset that are kept, by its name, once the lists are there.
    """

    settings: Settings
    lake: Lake
    keeping: Keeping
    progress: Progress
    course: Course
    now_ms: int
    parts: dict[str, set[str]]

    @property
    def wait(self) -> float:
        """How long to wait for what another process is writing [s]."""
        return self.settings.keep.busy_minutes * 60

    def run(self) -> None:
        """Run the stages.

        Raises
        ------
        UsageError
            If something is kept that the exchange does not list.
        """
        if self.keeping.fetched or self.keeping.has_lists:
            asyncio.run(self._stages())

    async def _stages(self) -> None:
        began, lists = time.monotonic(), Stage(LISTS)
        self.course.stages.append(lists)
        try:
            async with opened(
                self.settings,
                self.lake,
                self.progress,
                choice=self.keeping.choice,
                is_known=is_known(self.settings, self.lake),
            ) as run:
                await self._lists(run, lists)
                lists.seconds = round(time.monotonic() - began, 3)
                await self._backfills(run)
                await self._heal(run)
        except UsageError:
            raise
        except EXPECTED as error:  # of the lists: what fails later is caught by its stage
            lists.state, lists.why = "failed", str(error)
            lists.seconds = round(time.monotonic() - began, 3)
            for one in self.keeping.fetched:
                self.course.skip(stage_of(one), [LISTS])
            self.course.skip(HEAL, [LISTS])

    async def _lists(self, run: Run, stage: Stage) -> None:
        """Fetch what else of the lists is needed, and refuse what is kept and is not in them."""
        if self.keeping.has_lists:
            stage.notes += (await fetch_all(run.client, self.lake)).notes
            await asyncio.to_thread(table.refold, self.lake, wait=self.wait)
            known = named(self.lake, self.keeping.choice.names)
            run.listing = replace(run.listing, instruments=run.listing.instruments | known)
        self.now_ms = run.listing.now_ms
        for one in self.keeping.fetched:
            self.parts[one.dataset.name] = parts_of(run, one)
        for one in self.keeping.fetched:
            if not one.options.is_empty:
                await keep_up(
                    run.client, self.lake, one.choice.currencies, self.now_ms, wait=self.wait
                )
                wish_of(self.lake, one, self.now_ms)
        stage.requests, stage.notes = run.client.sent, [*stage.notes, *run.listing.notes()]

    async def _backfills(self, run: Run) -> None:
        trailing = Trailing(self.lake, self.settings.keep.trailing_hours)
        for one in self.keeping.fetched:
            with self.course.stage(stage_of(one), lambda: run.client.sent) as stage:
                name = one.dataset.name
                held = rows_of(self.lake, name)
                since_ms = trailing.since_ms(name, self.now_ms)
                wish = wish_of(self.lake, one, self.now_ms)
                own = run.anew(Again(since_ms=since_ms))
                report = await fill(own, wish, wait=self.wait)
                _take(stage, report)
                stage.rows = rows_of(self.lake, name) - held
                if since_ms is not None and not report.errors:
                    trailing.was_read(name)

    async def _heal(self, run: Run) -> None:
        """Look again at what is due of all that is kept, what lies before its first day too."""
        with self.course.stage(HEAL, lambda: run.client.sent) as stage:
            held = self._held()
            before = sum(record.rows for _, _, record in held)
            own = run.anew(Again(reasons=frozenset({"seen_once"})))
            _take(stage, await mend(own, held, wait=self.wait))
            stage.rows = sum(record.rows for _, _, record in self._held()) - before

    def _held(self) -> list[HeldPart]:
        failed = {one.stage for one in self.course.failed}
        return [
            (one.dataset, partition, record)
            for one in self.keeping.fetched
            if stage_of(one) not in failed
            for partition, record in records(self.lake, one.dataset.name)
            if partition.part in self.parts[one.dataset.name]
        ]


def stage_of(one: Kept) -> str:
    """Return the name of the stage that fetches a dataset."""
    return f"backfill {one.dataset.name}"


def rows_of(lake: Lake, name: str) -> int:
    """Return how many rows of a dataset are held, by the ledger."""
    return sum(record.rows for _, record in records(lake, name))


def parts_of(run: Run, one: Kept) -> set[str]:
    """Return the parts of a dataset that are kept, as the lists have them.

    Raises
    ------
    UsageError
        If one is not listed, or the first day is still to come.
    """
    now_ms = run.listing.now_ms
    if one.start_ms is not None and one.start_ms > now_ms:
        day, clock = format_moment(one.start_ms), format_moment(now_ms)
        message = f"keep.since {day} is in the future: the exchange's clock says {clock} UTC"
        raise UsageError(message)
    since_ms = max(one.start_ms or 0, one.dataset.since_ms)
    chosen = one.dataset.choose(run.listing, one.choice)
    return {each.instrument_name for each in chosen if each.life.end_ms > since_ms}


def wish_of(lake: Lake, one: Kept, now_ms: int) -> Wish:
    """Return what is to be fetched of a dataset: no more than what some options lived, if chosen.

    Raises
    ------
    UsageError
        If no option is chosen, or none lived since the first day.
    """
    wish = Wish(one.dataset, one.choice, one.start_ms)
    if one.options.is_empty:
        return wish
    options = choose(chain(lake).collect(), one.choice.currencies, one.options, now_ms)
    return narrowed(wish, options, now_ms)


def is_known(settings: Settings, lake: Lake) -> bool:
    """Whether the host ever sent this lake a list: it is then waited for, even if nobody answers.

    Raises
    ------
    CorruptFileError
        If a list cannot be read.
    """
    folder = living_request(lake, "future").folder
    newest = raw.read(folder, raw.segments(folder)[-1:]).to_pylist()
    return any(one["outcome"] == OK and one["host"] == settings.base_url for one in newest)


def _take(stage: Stage, report: Report) -> None:
    """Take over what a run says."""
    stage.notes += report.notes
    stage.errors += report.errors
    stage.errors += [f"the exchange refuses {one}" for one in report.refused]
