"""Fold index prices that came over sockets into `index_minutes`: a pure function of raw.

A month is a partition: a year of ticks would take too long to read again. An hour's minutes are
made of what came in it and in the hours beside: a tick may be heard up to a minute late. With a
line of what is held, only the hours that something was staged for since are made again.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import polars as pl

from etl.proof.protocol import ticks_of
from etl.snapshots.index_ticks import decode, frame_of, judged, minutes, set_aside
from etl.snapshots.keeping import Keeping
from etl.snapshots.socket import HOUR_MS, hour_of, hours_of, names_in, paths_of, unfolded
from lake.arrow import arrow
from lake.ledger import Record
from lake.messages import read_socket
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content
from lake.read import checksum, read_table
from validators import contract
from validators.schemas.index_minutes import IndexMinutes

DATASET, FAMILY = "index_minutes", "deribit_price_index"
JUDGED = 1  # raised when the same raw would be folded otherwise


def staged(lake: Lake) -> Iterator[Partition]:
    """Yield the partitions that have a line, or prices that came over a socket, sorted."""
    yield from sorted({*lake.partitions(DATASET), *_new(lake)})


def segments(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the raw files of a partition, by names below raw: of its hours and those beside."""
    hours = hours_of(partition.span)
    return names_in(lake, FAMILY, range(hours.start - 1, hours.stop + 1))


def fold(lake: Lake, partition: Partition, held: Record | None = None) -> Content:
    """Return what was staged of a partition amounts to; the same whether something is held or not.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    found, hours = segments(lake, partition), {*hours_of(partition.span)}
    known = held.segments if held and _is_onto(lake, partition, held, found) else ()
    if known:
        hours &= {hour_of(name) + beside for name in {*found} - {*known} for beside in (-1, 0, 1)}
    clean, aside = _made(lake, partition, found, hours)
    if held and known:
        kept, kept_aside = _published(lake, partition, aside)
        if held.checksum != _digest(kept):
            return fold(lake, partition)
        clean, aside = (
            pl.concat([before.filter(~_is_in(hours)), made])
            for before, made in ((kept, clean), (kept_aside, aside))
        )
    return _content(clean, aside, found)


def _new(lake: Lake) -> Iterator[Partition]:
    """Yield the partitions that no fold has looked for in some raw file."""
    for month, heard in unfolded(lake, FAMILY, DATASET, "month"):
        for channel in heard.channels:
            yield Partition(DATASET, channel.removeprefix(f"{FAMILY}."), month)


def _made(
    lake: Lake, partition: Partition, found: Sequence[str], hours: AbstractSet[int]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the minutes of some hours as raw tells them, and what is set aside of these hours."""
    index = partition.part
    names = [name for name in found if not hours.isdisjoint(_told_by(name))]
    batches = read_socket(paths_of(lake, names), [f"{FAMILY}.{index}"])
    ticks = judged(frame_of([decode(batch) for batch in batches]), index)
    mine = ticks.filter((pl.col("placed_ms") // HOUR_MS).is_in(list(hours)))
    is_refused = pl.col("refused").is_not_null()
    split = contract.split(minutes(mine.filter(~is_refused), index), IndexMinutes)
    broken = split.rejected.with_columns(attempt_id=pl.lit(""))
    return split.valid, pl.concat([set_aside(mine.filter(is_refused), index), broken])


def _told_by(name: str) -> tuple[int, ...]:
    """Return the hours that what is in a file may be of."""
    hour = hour_of(name)
    return hour - 1, hour, hour + 1


def _is_in(hours: AbstractSet[int]) -> pl.Expr:
    return (pl.col("timestamp").dt.epoch("ms") // HOUR_MS).is_in(list(hours))


def _is_onto(lake: Lake, partition: Partition, held: Record, found: Sequence[str]) -> bool:
    """Whether what is published can stand as it is, and what was staged since be added."""
    is_there = lake.clean(partition).is_file() == bool(held.rows)
    return is_there and held.judged == JUDGED and {*held.segments} <= {*found}


def _published(
    lake: Lake, partition: Partition, none: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is published of a partition, and what is set aside of it."""
    columns = list(IndexMinutes.to_schema().columns)
    clean, aside = (
        pl.DataFrame(read_table(path)) if path.is_file() else none.clear()
        for path in (lake.clean(partition), lake.quarantine(partition))
    )
    return clean.select(columns), aside


def _digest(clean: pl.DataFrame) -> str | None:
    return checksum(arrow(clean)) if len(clean) else None


def _content(clean: pl.DataFrame, aside: pl.DataFrame, found: tuple[str, ...]) -> Content:
    """Return rows as they are published, with their line."""
    rows = clean.sort("timestamp")
    contract.check_key(rows, contract.key_of(IndexMinutes))  # the rest was asked row by row
    ticks = ticks_of(rows)
    record = Record(
        rows=len(rows),
        first_ms=int(ticks[0]) if ticks.size else None,
        last_ms=int(ticks[-1]) if ticks.size else None,
        checksum=_digest(rows),
        quarantined=len(aside),
        judged=JUDGED,
        segments=found,
    )
    told = aside.sort("timestamp", "attempt_id", "failed_check", maintain_order=True)
    return Content(record, arrow(rows), arrow(told))


_KEEPING = Keeping(
    judged=JUDGED,
    staged=staged,
    new=lambda lake, mine: (one for one in _new(lake) if one.period == mine.period),
    segments=segments,
    fold=fold,
)
is_folded, rebuild = _KEEPING.is_folded, _KEEPING.rebuild
refresh, refresh_all = _KEEPING.refresh, _KEEPING.refresh_all
