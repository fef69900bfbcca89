"""What came over sockets, in raw: which files a partition is folded from, and whose rows they have.

A file is named below ``raw`` and holds what came in one hour; `hour` counts them since 1970.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from lake.errors import CorruptFileError
from lake.ledger import Record, read_record, write_record
from lake.lock import locked
from lake.messages import socket_folder
from lake.partition import Partition
from lake.paths import Lake
from lake.span import PeriodKind, Span, period_of, period_span
from lake.store.files import names_below
from lake.store.parquet import open_parquet
from lake.store.place import Place
from lake.store.together import each

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


def paths_of(lake: Lake, names: Iterable[str]) -> list[Place]:
    """Return where files lie."""
    return [lake.root / "raw" / name for name in names]


def unfolded(
    lake: Lake, family: str, dataset: str, period: PeriodKind
) -> Iterator[tuple[str, Heard]]:
    """Yield ``(period, what is heard in it)`` of the files that no line of their period names.

    One that is named by one line is named by those of all it has rows of, or they are announced.
    """
    named: dict[str, set[str]] = {}
    partitions = list(lake.partitions(dataset))
    lines = each(lake.root, partial(_named_by, lake), partitions)
    for one, names in zip(partitions, lines, strict=True):
        named.setdefault(one.period, set()).update(names)
    for name in _all_names(lake, family):
        when = period_of(hour_of(name) * HOUR_MS, period)
        if name not in named.get(when, ()):
            yield when, heard_in(lake.root / "raw" / name)


def announce(lake: Lake, partitions: Iterable[Partition]) -> None:
    """Write lines that name nothing for partitions that have none, before files count as named.

    So a fold that a kill prevents is not forgotten. Call it under no lock.
    """
    for one in partitions:
        if not lake.ledger(one).is_file():
            with locked(lake, [one], wait=True):
                if not lake.ledger(one).is_file():
                    write_record(lake, one, Record())


def heard_in(path: Place) -> Heard:
    """Return what a file has.

    Raises
    ------
    CorruptFileError
        If it cannot be read.
    """
    # an object is not asked for its age: while a process lives, none gets other content
    return _heard(path, path.stat().st_mtime_ns if isinstance(path, Path) else 0)


@lru_cache(FILES_REMEMBERED)
def _heard(path: Place, changed_ns: int) -> Heard:
    del changed_ns
    try:
        with open_parquet(path, read_dictionary=["channel"]) as file:
            found = file.metadata
            chunks = file.read(["channel"])["channel"].chunks
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error
    groups = range(found.num_row_groups)
    stamps = [found.row_group(group).column(0).statistics.max for group in groups]
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
    folder = socket_folder(lake, family)
    below = lake.inside(folder).relative_to("raw")
    for day, file in names_below(folder, 2):
        if day.startswith("day=") and _is_hourly(file):
            yield f"{below}/{day}/{file}"


def _names_of(lake: Lake, family: str, day: str) -> Iterator[tuple[int, str]]:
    """Yield hour and name of the files of a day, sorted; by names alone, for there are many."""
    folder = socket_folder(lake, family) / f"day={day}"
    below = lake.inside(folder).relative_to("raw")
    for (file,) in names_below(folder, 1):
        if _is_hourly(file):
            yield int(file[:2]), f"{below}/{file}"


def _is_hourly(file: str) -> bool:
    return file.endswith(".parquet") and file[:2].isdecimal()
