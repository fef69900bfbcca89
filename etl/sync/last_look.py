"""The verdict a sync ends with: what is kept is looked at again where somebody was writing it.

A collector folds its days beside a sync. Between what it wants or stages and the line it writes in
the end, and until what follows is computed of that, a look finds INCOMPLETE or UNKNOWN although
nothing is amiss: whoever writes is waited for, and what is computed is brought up to it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from etl.check.books import Books
from etl.instruments.lists import staged_listing
from etl.pipeline import derive_one
from etl.progress import Progress
from etl.sync.keep import Keeping
from etl.sync.stages import Stage
from etl.sync.verdict import Verdicts, verdicts, worst
from lake.errors import PartitionBusyError
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake


@dataclass(frozen=True, slots=True)
class LastLook:
    """A look at what is kept; `parts` and `now_ms` are those of `verdicts`.

    `wait` is for how long others that write are waited for, in all [s].
    """

    lake: Lake
    keeping: Keeping
    parts: Mapping[str, Collection[str]]
    now_ms: int
    progress: Progress
    wait: float

    def once(self) -> list[Verdicts]:
        """Return the verdict on each dataset as it stands, whoever writes."""
        return verdicts(self.lake, self.keeping, self.parts, self.now_ms)

    def settled(self, stage: Stage) -> list[Verdicts]:
        """Return the verdict on each dataset once two looks agree and nobody wrote in between.

        Whoever writes for longer than is waited is noted, and the verdict is that of the moment.
        """
        ends, found, is_over = time.monotonic() + self.wait, self.once(), False
        while worst(found) != "COMPLETE" and not is_over:
            try:
                has_changed = self._catch_up(found, stage, ends)
            except PartitionBusyError as error:
                stage.notes.append(f"the verdict is of this moment: {error}")
                return self.once()
            before, found = found, self.once()
            is_over = (found == before and not has_changed) or time.monotonic() >= ends
        return found

    def _catch_up(self, found: Sequence[Verdicts], stage: Stage, ends: float) -> bool:
        """Wait for whoever writes what is not complete, and compute what then is behind.

        Returns whether there was any of either.

        Raises
        ------
        PartitionBusyError
            If somebody writes for too long.
        """
        names = {one.dataset for one in found if one.verdict != "COMPLETE"}
        has_changed = self._await({one for name in names for one in self._open(name)}, ends)
        for dataset in self.keeping.computed:
            if dataset.name in names:
                listing, left = staged_listing(self.lake), max(0.0, ends - time.monotonic())
                done = derive_one(self.lake, dataset, listing, self.progress, wait=left)
                stage.rows += done.rows
                has_changed |= done.computed > 0
        return has_changed

    def _open(self, name: str) -> list[Partition]:
        """Return what is not whole of a dataset and what it is made from, so far as it is kept."""
        return [one for one in Books(self.lake.listed(), name).open() if self._is_kept(one)]

    def _is_kept(self, one: Partition) -> bool:
        return one.dataset not in self.parts or one.part in self.parts[one.dataset]

    def _await(self, partitions: set[Partition], ends: float) -> bool:
        """Wait until nobody writes any of some partitions; return whether somebody did."""
        was_busy = False
        for one in sorted(partitions):
            try:
                with locked(self.lake, [one]):
                    continue
            except PartitionBusyError:
                was_busy = True
            with locked(self.lake, [one], wait=max(0.0, ends - time.monotonic())):
                pass
        return was_busy
