"""A file of the lake on its way into the database: what it holds, beside what is held of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.database.ahead import ahead
from etl.database.ledger import Held, confirm, note
from etl.database.months import is_touched
from etl.database.parts import Batch, Entry, bars, models_of
from lake.read import checksum
from lake.span import Span


@dataclass(frozen=True, slots=True)
class File:
    """One file of the lake on its way into the database; this run has sent `sent` of it before."""

    connection: Connection
    batch: Batch
    held: Mapping[Entry, Held]
    span: Span | None
    full: bool
    sent: AbstractSet[Entry] = frozenset()

    @property
    def name(self) -> str:
        """The dataset, and its own table."""
        return self.batch.dataset.name

    def note(self, rows: Mapping[Entry, int], sums: Mapping[Entry, str]) -> None:
        """Write what months now hold into the database's ledger, in the open transaction."""
        note(self.connection, self.batch.source, rows, sums)

    def confirm(self, held: Mapping[Entry, Held]) -> None:
        """Write that months are those of this file, in the open transaction."""
        confirm(self.connection, self.batch.source, held)

    @property
    def is_due(self) -> bool:
        """Whether there is something of it to compare, or to send."""
        return not is_unchanged(self) or (self.full and not self.held.keys() <= self.sent)

    def owes(self, entry: Entry, total: str) -> bool:
        """Whether a month of that checksum is to be compared or sent, with its bars."""
        if entry in self.sent or not is_touched(entry.month, self.span):
            return False
        tables = models_of(self.batch.dataset)
        has_all = all(entry._replace(table=name) in self.held for name in tables)
        return self.full or not has_all or self.held[entry].checksum != total

    def own(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those of the dataset's own table."""
        return [entry for entry in entries if entry.table == self.name]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds, with the bars of months that are owed, and the checksum of each part."""

    parts: dict[Entry, pa.Table]
    sums: dict[Entry, str]


def _read(file: File) -> Contents:
    parts = dict(file.batch.read())
    sums = {entry: checksum(part) for entry, part in parts.items()}
    owed = {entry: part for entry, part in parts.items() if file.owes(entry, sums[entry])}
    made = bars(file.batch.dataset, owed)
    return Contents(parts | made, sums | {entry: checksum(part) for entry, part in made.items()})


def read_ahead(files: Sequence[File]) -> Iterator[tuple[File, Contents]]:
    """Yield files with their contents; the next is read while one is sent."""
    yield from zip(files, ahead([partial(_read, file) for file in files]), strict=True)


def is_unchanged(file: File) -> bool:
    """Whether the database was loaded, whole, from the very content the lake has."""
    rows = sum(file.held[entry].rows for entry in file.own(file.held))
    from_here = all(held.source == file.batch.source for held in file.held.values())
    lines = Counter((entry.subject, entry.month) for entry in file.held)
    has_bars = set(lines.values()) <= {len(models_of(file.batch.dataset))}
    return from_here and has_bars and rows == file.batch.rows
