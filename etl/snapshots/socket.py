"""What came over sockets, in raw: which files a partition is folded from, and whose rows they have.

A file is named below ``raw`` and holds what came in one hour; `hour` counts them since 1970.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from lake.errors import CorruptFileError
from lake.ledger import Record, read_record, write_record
from lake.lock import locked
from lake.messages import socket_folder
from lake.partition import Partition
from lake.paths import Lake
from lake.read import footer
from lake.span import PeriodKind, Span, period_of, period_span

HOUR_MS = 3_600_000
DAY_HOURS = 24
FILES_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Heard:
    """What a file of messages has: of which channels, and until when [ms]."""

    channels: frozenset[str]
    last_ms: int


def hour_of(name: str) -> int:
    """Return the hour a file's messages came in, counted since 1970, by its name below raw."""
    folder, _, file = name.rpartition("/")
    day_ms = period_span(folder.rpartition("day=")[2]).start_ms
    return day_ms // HOUR_MS + int(file[:2])


def names_in(lake: Lake, family: str, hours: range) -> tuple[str, ...]:
    """Return the files of a family's messages that came in some hours, by name below raw."""
    return tuple(
        name
        for day in range(hours.start // DAY_HOURS, -(-hours.stop // DAY_HOURS))
        for hour, name in _names_of(lake, family, period_of(day * DAY_HOURS * HOUR_MS, "day"))
        if day * DAY_HOURS + hour in hours
    )


def hours_of(span: Span) -> range:
    """Return the hours that begin in a span of whole ones."""
    return range(span.start_ms // HOUR_MS, span.end_ms // HOUR_MS)


def paths_of(lake: Lake, names: Iterable[str]) -> list[Path]:
    """Return where files lie."""
    return [lake.root / "raw" / name for name in names]


def unfolded(
    lake: Lake, family: str, dataset: str, period: PeriodKind
) -> Iterator[tuple[str, Heard]]:
    """Yield ``(period, what is heard in it)`` of the files that no line of their period names.

    One that is named by one line is named by those of all it has rows of, or they are announced.
    """
    named: dict[str, set[str]] = {}
    for one in lake.partitions(dataset):
        named.setdefault(one.period, set()).update(_named_by(lake, one))
    for name in _all_names(lake, family):
        when = period_of(hour_of(name) * HOUR_MS, period)
        if name not in named.get(when, ()):
            path = lake.root / "raw" / name
            yield when, heard(path, path.stat().st_mtime_ns)


def announce(lake: Lake, partitions: Iterable[Partition]) -> None:
    """Write lines that name nothing for partitions that have none, before files count as named.

    So a fold that a kill prevents is not forgotten. Call it under no lock.
    """
    for one in partitions:
        if not lake.ledger(one).exists():
            with locked(lake, [one], wait=True):
                if not lake.ledger(one).exists():
                    write_record(lake, one, Record())


@lru_cache(FILES_REMEMBERED)
def heard(path: Path, changed_ns: int) -> Heard:
    """Return what a file has that was last changed then.

    Raises
    ------
    CorruptFileError
        If it cannot be read.
    """
    del changed_ns
    found = footer(path)
    groups = range(found.num_row_groups)
    stamps = [found.row_group(group).column(0).statistics.max for group in groups]
    with pq.ParquetFile(path, read_dictionary=["channel"]) as file:
        chunks = file.read(["channel"])["channel"].chunks
    channels = frozenset(name for chunk in chunks for name in chunk.dictionary.to_pylist())
    return Heard(channels, max((_ms(one) for one in stamps), default=0))


def _ms(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _named_by(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the files a line names: none, where it cannot be read until a replay mends it."""
    try:
        record = read_record(lake, partition)
    except CorruptFileError:
        return ()
    return record.segments if record else ()


def _all_names(lake: Lake, family: str) -> Iterator[str]:
    for folder in sorted(socket_folder(lake, family).glob("day=*")):
        for _, name in _names_of(lake, family, folder.name.removeprefix("day=")):
            yield name


def _names_of(lake: Lake, family: str, day: str) -> Iterator[tuple[int, str]]:
    """Yield hour and name of the files of a day, sorted; by names alone, for there are many."""
    folder = socket_folder(lake, family) / f"day={day}"
    below = folder.relative_to(lake.root / "raw").as_posix()
    if folder.is_dir():
        for file in sorted(os.listdir(folder)):  # noqa: PTH208  (names, not paths)
            if file.endswith(".parquet") and file[:2].isdecimal():
                yield int(file[:2]), f"{below}/{file}"
