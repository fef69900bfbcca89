"""Messages of sockets as raw Parquet: journals are settled into files by family, day and hour.

A journal may hold an hour of all there is. It is read once, in order, and what is gathered of a
family and hour becomes a file once there are `PIECE_BYTES` of it: so memory is bounded however
large the journal is, the files are a function of it, and settling it twice does no harm.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import CorruptFileError
from lake.journal import Damage, damage, read_journal
from lake.paths import SET_ASIDE, Lake
from lake.store.files import folders, matching, remove
from lake.store.parquet import open_parquet
from lake.store.place import Place
from lake.write import disk_errors, fsync_folder, publish_table

SCHEMA = pa.schema(
    [
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("connection", pa.int32(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("message", pa.binary(), nullable=False),
    ]
)
PIECE_BYTES = 64_000_000  # in memory; some 8 MB on disk
HELD_BYTES = 4 * PIECE_BYTES  # of all families together
ROW_GROUP_ROWS = 8_192  # rows are by channel: to read one channel takes one group or two
ZSTD_LEVEL = 6
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US

Thin = Callable[[pa.Table], pa.Table]
"""What of some messages is kept: of a part of them, and of what was kept of parts, the same."""
KEEP_ALL: Mapping[str, Thin] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a journal."""

    messages: int  # that it held
    kept: int
    damage: Damage
    files: tuple[Place, ...]


def settle(lake: Lake, journal: Path, thin: Mapping[str, Thin] = KEEP_ALL) -> Settled:
    """Make Parquet of a journal nobody writes any more, and delete it.

    Of a family that is in `thin`, what it keeps; of others, everything. A journal that is damaged
    before its end is set aside when all that can be read of it is settled.

    Raises
    ------
    DiskFullError
        If there is no room; settle the journal again when there is.
    NotWritableError
        If the lake's folder cannot be written.
    """
    piles: dict[tuple[str, int], _Pile] = {}
    messages = 0
    for batch in read_journal(journal):
        messages += batch.num_rows
        for (family, hour), part in _by_family_and_hour(batch):
            if (family, hour) not in piles:
                path = _folder(lake, family, hour) / f"{hour % 24:02}-{journal.stem}"
                piles[family, hour] = _Pile(path, thin.get(family))
            piles[family, hour].add(part)
        if sum(pile.bytes for pile in piles.values()) > HELD_BYTES:
            max(piles.values(), key=lambda pile: pile.bytes).publish()
    for pile in piles.values():
        pile.publish()
    files = tuple(path for pile in piles.values() for path in pile.files)
    _remove_others(lake, journal, {path.parent.name for path in files}, files)
    found = damage(journal)
    _dismiss(lake, journal, found)
    return Settled(messages, sum(pile.kept for pile in piles.values()), found, files)


def last_a_minute(messages: pa.Table) -> pa.Table:
    """Return the last message received of each channel and minute, in the order they were in."""
    return last_each(messages, 1)


def last_each(messages: pa.Table, minutes: int) -> pa.Table:
    """Return the last message received of each channel and so many minutes, counted since 1970."""
    at = messages["received_at"].cast(pa.int64()).to_numpy()
    codes = messages["channel"].combine_chunks().dictionary_encode().indices.to_numpy()
    stretches = at // (minutes * MINUTE_US)
    order = np.lexsort(
        (at, stretches, codes)
    )  # a stable sort: of equal times the later row is last
    ends = np.ones(len(order), bool)
    ends[:-1] = (np.diff(codes[order]) != 0) | (np.diff(stretches[order]) != 0)
    return messages.take(np.sort(order[ends]))


def socket_files(lake: Lake, family: str, day: date | str) -> list[Place]:
    """Return the files of a family's messages received on a day (UTC), hour by hour."""
    return sorted(socket_folder(lake, family).joinpath(f"day={day}").glob("*.parquet"))


def socket_folder(lake: Lake, family: str) -> Place:
    """Return the folder of a family's messages, with a folder of each day in it."""
    return lake.raw("socket", family=quote(family, safe=""))


def read_socket(
    files: Place | Iterable[Place], channels: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the messages of some files, or of some channels in them, a few thousand at a time.

    By channel and time of reception in each file; of `SCHEMA`.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    for path in [files] if isinstance(files, Place) else files:
        try:
            with open_parquet(path, page_checksum_verification=True, pre_buffer=False) as file:
                groups = _groups_of(file.metadata, channels)
                for batch in file.iter_batches(ROW_GROUP_ROWS, groups, use_threads=False):
                    yield (
                        batch
                        if channels is None
                        else batch.filter(pc.field("channel").isin(channels))
                    )
        except (pa.ArrowInvalid, OSError) as error:
            raise CorruptFileError(path, error) from error


@dataclass(slots=True)
class _Pile:
    """What is gathered of a family and an hour, and the files that were made of it."""

    path: Place  # of the files, without number and ending
    thin: Thin | None
    files: list[Place] = field(default_factory=list)
    bytes: int = 0
    kept: int = 0
    _tables: list[pa.Table] = field(default_factory=list)

    def add(self, messages: pa.Table) -> None:
        self._tables.append(messages)
        self.bytes += messages.nbytes
        if self.bytes > PIECE_BYTES:
            self._gather()
            if self.bytes > PIECE_BYTES // 2:
                self.publish()

    def publish(self) -> None:
        if not self._tables:
            return
        table = self._gather().sort_by([("channel", "ascending"), ("received_at", "ascending")])
        path = self.path.with_name(f"{self.path.name}-{len(self.files):03}.parquet")
        publish_table(table, path, level=ZSTD_LEVEL, row_group=ROW_GROUP_ROWS)
        self.files.append(path)
        self.kept += table.num_rows
        self._tables, self.bytes = [], 0

    def _gather(self) -> pa.Table:
        table = pa.concat_tables(self._tables)
        table = (table if self.thin is None else self.thin(table)).combine_chunks()
        self._tables, self.bytes = [table], table.nbytes
        return table


def _by_family_and_hour(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    """Yield the messages of a batch by family and hour since 1970, as a table of `SCHEMA`."""
    hours = batch["received_us"].to_numpy() // HOUR_US
    families = batch["family"].dictionary_encode()
    codes = families.indices.to_numpy()
    table = pa.table(
        [batch["received_us"].cast(SCHEMA.types[0]), *(batch[name] for name in SCHEMA.names[1:])],
        schema=SCHEMA,
    )
    for code, hour in np.unique(np.stack([codes, hours], 1), axis=0).tolist():
        part = table.filter(pa.array((codes == code) & (hours == hour)))
        yield (families.dictionary[code].as_py(), hour), part


def _folder(lake: Lake, family: str, hour: int) -> Place:
    day = datetime.fromtimestamp(hour * HOUR_US // 1_000_000, UTC)
    return socket_folder(lake, family) / f"day={day:%Y-%m-%d}"


def _remove_others(
    lake: Lake, journal: Path, days: Iterable[str], files: Collection[Place]
) -> None:
    """Delete what an earlier try made of a journal and this one did not, as of another version."""
    top = lake.raw("socket")
    for family in folders(top):
        for day in days:  # not by one pattern: all that was ever received would be listed
            for path in matching(top / family / day, f"*-{journal.stem}-*"):
                if path not in files:
                    remove(path)


def _dismiss(lake: Lake, journal: Path, found: Damage) -> None:
    with disk_errors(journal):
        if found.inside:
            aside = lake.here.joinpath("quarantine", SET_ASIDE, "journal", journal.name)
            aside.parent.mkdir(parents=True, exist_ok=True)
            journal.replace(aside.with_name(aside.name + ".corrupt"))
        else:
            journal.unlink()
        fsync_folder(journal.parent)


def _groups_of(found: pq.FileMetaData, channels: Sequence[str] | None) -> list[int]:
    """Return the row groups of a file that may hold one of the channels."""
    groups = range(found.num_row_groups)
    if channels is None:
        return list(groups)
    place = SCHEMA.get_field_index("channel")
    told = [found.row_group(group).column(place).statistics for group in groups]
    return [
        group
        for group, known in zip(groups, told, strict=True)
        if any(known.min <= channel <= known.max for channel in channels)
    ]
