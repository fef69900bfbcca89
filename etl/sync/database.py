"""The stages of the database: what is kept is loaded, and held against the lake.

Another may publish meanwhile, as a collector that folds: what then is not as it was listed is
listed, loaded and compared again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from etl.compute.run import held_of
from etl.config import Settings
from etl.database.load import load
from etl.database.verify import Comparison, compare
from etl.dataset import Dataset, Held
from etl.errors import LoaderBusyError, LoadError
from etl.progress import Progress
from etl.sync.stages import Stage, fail_by
from lake.paths import Lake

T = TypeVar("T")

POLL_SECONDS = 1.0
TURNS = 3  # of what came to nothing because another published meanwhile


@dataclass(slots=True)
class Database:
    """The database of what is kept; others that load, too, are waited for up to `wait` [s]."""

    settings: Settings
    lake: Lake
    datasets: Sequence[Dataset]
    progress: Progress
    wait: float
    _listed: Held = field(default_factory=dict)  # by the ledger, when it was loaded last

    def load(self, stage: Stage) -> None:
        """Load what changed; a load of the collector's is waited for, as its partitions are."""
        ends = time.monotonic() + self.wait
        while True:
            self._listed = self._lines()
            try:
                done = _again(
                    lambda: load(self.settings, self.lake, self.progress, datasets=self.datasets)
                )
            except LoaderBusyError:
                if time.monotonic() >= ends:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                break
        stage.rows += done.inserted + done.updated + done.deleted
        stage.notes += done.notes

    def compare(self, stage: Stage) -> None:
        """Hold the two against each other; what another published since is loaded first.

        Raises
        ------
        EtlError
            If they differ though nobody published since the load.
        """
        found = self._compared()
        for _ in range(TURNS):
            if not found.differences or self._lines() == self._listed:
                break
            self.load(stage)
            found = self._compared()
        stage.rows = found.rows
        different = [
            f"{one.dataset} {one.instrument} {one.month}: the lake has {one.lake}, "
            f"the database {one.database}"
            for one in found.differences
        ]
        fail_by(different, "months differ")

    def _compared(self) -> Comparison:
        return _again(lambda: compare(self.settings, self.lake, self.datasets))

    def _lines(self) -> Held:
        return held_of(self.lake, [one.name for one in self.datasets])


def _again(work: Callable[[], T]) -> T:
    """Do work on files as the ledger lists them, anew where one is not what it says any more.

    Raises
    ------
    LoadError
        If it says so each time, or another load is running.
    """
    for _ in range(TURNS - 1):
        try:
            return work()
        except LoaderBusyError:
            raise
        except LoadError:
            time.sleep(POLL_SECONDS)
    return work()
