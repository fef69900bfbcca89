"""Keep what is folded of lists and messages up with its raw: when to fold, and under a lock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from etl.snapshots.socket import announce
from lake.ledger import Record, read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content, publish, tidy
from lake.store.together import each


def _nothing(_lake: Lake, _partition: Partition) -> None:
    """Leave nothing to be tidied but what every partition has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How one dataset is kept up.

    Attributes
    ----------
    judged
        By which rules it is folded: raised when the same raw would be folded otherwise.
    staged, new
        The partitions that there is anything to fold of, and those that no fold has looked for yet.
    segments
        The raw files of a partition.
    fold
        What was staged of a partition amounts to, given the line of what is held.
    tidied
        Removes what a killed process left besides.
    """

    judged: int
    staged: Callable[[Lake], Iterator[Partition]]
    new: Callable[[Lake, Partition], Iterator[Partition]]
    segments: Callable[[Lake, Partition], tuple[str, ...]]
    fold: Callable[[Lake, Partition, Record | None], Content]
    tidied: Callable[[Lake, Partition], None] = _nothing

    def is_folded(self, record: Record | None, found: tuple[str, ...]) -> bool:
        """Whether a line says all that these raw files amount to, by the rules of today."""
        return record is not None and record.segments == found and record.judged == self.judged

    def rebuild(self, lake: Lake, partition: Partition) -> Record:
        """Fold a partition and publish it, whatever is published already.

        Raises
        ------
        CorruptFileError
            If a raw file cannot be read.
        PartitionBusyError
            If another process writes it.
        """
        return self.refresh(lake, partition, anew=True)

    def refresh_all(self, lake: Lake, *, wait: bool = False) -> list[tuple[Partition, Record]]:
        """Fold whatever was staged and is not folded yet, and return what that amounts to.

        Raises
        ------
        CorruptFileError
            If a raw file cannot be read.
        PartitionBusyError
            If another process writes one of the partitions and `wait` is false.
        """
        look = lake.listed()  # each day held would be listed, every hour; a fold looks for itself
        there = list(self.staged(look))
        lines = each(lake.root, partial(read_record, lake), there)
        todo = [
            one
            for one, record in zip(there, lines, strict=True)
            if not self.is_folded(record, self.segments(look, one))
        ]
        return [(one, self.refresh(lake, one, wait=wait)) for one in todo]

    def refresh(
        self, lake: Lake, partition: Partition, *, anew: bool = False, wait: bool = False
    ) -> Record:
        """Fold what was staged of a partition, publish it, and return its line.

        Raises
        ------
        CorruptFileError
            If a raw file cannot be read.
        PartitionBusyError
            If another process writes it and `wait` is false.
        """
        announce(lake, self.new(lake, partition))
        with locked(lake, [partition], wait=wait):
            tidy(lake, partition)
            self.tidied(lake, partition)
            held = None if anew else read_record(lake, partition)
            if held is not None and self.is_folded(held, self.segments(lake, partition)):
                return held
            content = self.fold(lake, partition, held)
            publish(lake, partition, content, anew=anew)
            return content.record
