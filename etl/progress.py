"""Show how far a run is: bars with an estimated end on a terminal, log lines elsewhere."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.progress

logger = logging.getLogger(__name__)

LINE_EVERY_SECONDS = 10.0
MOST_SHOWN = 12  # instruments by name


class Progress(Protocol):
    """What a run tells of itself, by instrument and in requests."""

    def expect(self, instrument: str, requests: int) -> None:
        """Add requests to come."""

    def advance(self, instrument: str) -> None:
        """Count one request as answered."""


class LogProgress:
    """A log line every few seconds."""

    def __init__(self) -> None:
        self._expected: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._last = time.monotonic()

    def expect(self, instrument: str, requests: int) -> None:
        """Add requests to come."""
        self._expected[instrument] += requests

    def advance(self, instrument: str) -> None:
        """Count one request as answered."""
        self._done[instrument] += 1
        if time.monotonic() - self._last >= LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            logger.info("requests answered: %s", self._line())

    def _line(self) -> str:
        if len(self._expected) > MOST_SHOWN:
            total = f"{self._done.total():,}/{self._expected.total():,}"
            return f"{total} of {len(self._expected)} instruments"
        return ", ".join(f"{name} {self._done[name]}/{n}" for name, n in self._expected.items())


class BarProgress:
    """One bar an instrument; where they are many, one for all that come after the first."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars
        self._tasks: dict[str, rich.progress.TaskID] = {}
        self._expected: Counter[str] = Counter()

    def expect(self, instrument: str, requests: int) -> None:
        """Add requests to come."""
        name = self._name(instrument)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=0)
        self._expected[name] += requests
        self._bars.update(self._tasks[name], total=self._expected[name])

    def advance(self, instrument: str) -> None:
        """Count one request as answered."""
        self._bars.advance(self._tasks[self._name(instrument)])

    def _name(self, instrument: str) -> str:
        is_shown = instrument in self._tasks or len(self._tasks) < MOST_SHOWN
        return instrument if is_shown else "others"


@contextmanager
def progress_on(*, is_terminal: bool) -> Iterator[Progress]:
    """Show progress in the way that suits where it is read; it goes to stderr."""
    if not is_terminal:
        yield LogProgress()
        return
    import rich.console  # noqa: PLC0415  (60 ms nobody without a terminal should pay)
    import rich.progress  # noqa: PLC0415

    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(*columns, console=console) as bars:
        yield BarProgress(bars)
