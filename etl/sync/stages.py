"""The stages of a sync: what each did; one that fails stops none but those that need it."""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from etl.errors import EtlError
from etl.outcome import EXPECTED

logger = logging.getLogger(__name__)

MOST_NOTES = 20  # of one stage in a summary; all of them stand in the log


class Stage(msgspec.Struct):
    """One stage: how it ended, what it sent, the rows it brought, loaded or read, how long it took.

    `errors` of one that is done are of some of its instruments: the verdict tells what they cost.
    """

    stage: str
    state: Literal["done", "failed", "skipped"] = "done"
    requests: int = 0
    rows: int = 0
    seconds: float = 0.0
    why: str = ""
    notes: list[str] = []
    errors: list[str] = []


class Course:
    """The stages so far."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @property
    def requests(self) -> int:
        """How many requests all stages sent."""
        return sum(one.requests for one in self.stages)

    @property
    def failed(self) -> list[Stage]:
        """The stages that failed."""
        return [one for one in self.stages if one.state == "failed"]

    @contextmanager
    def stage(self, name: str, sent: Callable[[], int] = int) -> Iterator[Stage]:
        """Run a stage; an error that is to be expected ends it, and it alone.

        `sent` says how many requests the connection it asks on sent so far.
        """
        one, began, before = Stage(name), time.monotonic(), sent()
        self.stages.append(one)
        try:
            yield one
        except EXPECTED as error:
            one.state, one.why = "failed", str(error)
        finally:
            one.seconds = round(time.monotonic() - began, 3)
            one.requests += sent() - before
        self._log(one)

    def run(self, name: str, work: Callable[[Stage], None], needs: Collection[str] = ()) -> None:
        """Run a stage of its own, unless one that it needs came to nothing."""
        if not self.skip(name, needs):
            with self.stage(name) as one:
                work(one)

    def skip(self, name: str, needs: Collection[str]) -> bool:
        """Whether a stage is not run, for one that it needs came to nothing; it is then noted."""
        lost = [one for one in self.stages if one.stage in needs and one.state != "done"]
        if lost:
            one = Stage(name, "skipped", why=f"{lost[0].stage} {lost[0].state}")
            self.stages.append(one)
            self._log(one)
        return bool(lost)

    def _log(self, one: Stage) -> None:
        words = "%s %s: %d requests, %d rows, %.1f s"
        logger.info(words, one.stage, one.state, one.requests, one.rows, one.seconds)
        for note in [*one.notes, *one.errors]:
            logger.info("%s: %s", one.stage, note)
        if one.why:
            logger.warning("%s %s: %s", one.stage, one.state, one.why)
        more = len(one.notes) - MOST_NOTES
        if more > 0:
            one.notes = [*one.notes[:MOST_NOTES], f"{more:,} more, in the log"]


def fail_by(faults: list[str], what: str) -> None:
    """Let a stage fail by what it found, in one line.

    Raises
    ------
    EtlError
        If it found anything.
    """
    if faults:
        message = f"{len(faults):,} {what}; the first: {faults[0]}"
        raise EtlError(message)
