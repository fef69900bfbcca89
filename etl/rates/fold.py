"""Fold what was staged of a year into `treasury_bills`: a pure function of raw and the wish."""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from etl.rates.answers import told_by
from etl.rates.curves import CONFLICT, Curves, merge
from etl.rates.days import Evidence, calendar, gaps
from etl.rates.pages import METHODS, SOURCES, folder_of
from lake import raw
from lake.arrow import arrow
from lake.errors import CorruptFileError
from lake.ledger import Record, read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content, publish, tidy
from lake.read import checksum
from lake.span import Span, clip, union
from lake.write import remove_leftovers
from validators import contract
from validators.schemas.treasury_bills import TreasuryBills

JUDGED = 2  # raised when the same raw would be folded otherwise


def segments(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the raw files of a year, by their names below the folder of their method."""
    return tuple(
        f"{METHODS[source]}/{name}"
        for source in SOURCES
        for name in raw.segments(folder_of(lake, source, partition))
    )


def is_folded(lake: Lake, partition: Partition) -> bool:
    """Whether the line says all that the raw files of a year amount to, by the rules of today.

    It does not where days are wanted since that no fold has looked for in what was staged.
    """
    record = read_record(lake, partition)
    if record is None or record.judged != JUDGED:
        return False
    is_there = lake.clean(partition).is_file() == bool(record.rows)
    is_new = bool(record.segments) and any(gap.reason == "not_asked" for gap in record.gaps)
    return is_there and not is_new and record.segments == segments(lake, partition)


def rebuild(lake: Lake, partition: Partition) -> Record:
    """Fold a year and publish it, whatever is published already.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    PartitionBusyError
        If another process writes it.
    """
    with locked(lake, [partition]):
        return refold(lake, partition, anew=True).record


def refold(lake: Lake, partition: Partition, *, anew: bool = False) -> Content:
    """Fold a year and publish it; call it under its lock.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    """
    tidy(lake, partition)
    for source in SOURCES:
        folder = folder_of(lake, source, partition)
        remove_leftovers(folder)
        raw.merge(folder)
    content = fold(lake, partition, wanted_of(lake, partition))
    publish(lake, partition, content, anew=anew)
    return content


def wanted_of(lake: Lake, partition: Partition) -> tuple[Span, ...]:
    """Return the days the ledger says were wanted; without a line, those that were asked for.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    """
    try:
        record = read_record(lake, partition)
    except CorruptFileError:
        record = None  # a rebuild mends it: what was asked is taken as wanted
    if record is not None:
        return record.wanted
    tables = [raw.read(folder_of(lake, source, partition)) for source in SOURCES]
    asked = [
        Span(start // 1000, end // 1000)
        for table in tables
        for start, end in zip(
            table["window_start"].cast(pa.int64()).to_pylist(),
            table["window_end"].cast(pa.int64()).to_pylist(),
            strict=True,
        )
    ]
    return tuple(union(clip(span, partition.span) for span in asked))


def fold(lake: Lake, partition: Partition, wanted: Sequence[Span]) -> Content:
    """Return what was staged of a year amounts to.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    """
    found = segments(lake, partition)
    told = tuple(told_by(lake, source, partition) for source in SOURCES)
    curves = merge(*told)
    evidence = Evidence(
        frozenset(curves.published["published_on"].dt.date()),
        frozenset(_not_believed(curves)),
        told,
    )
    rows = calendar(curves.published, wanted, evidence.came_ms or 0)
    contract.check_key(rows, contract.key_of(TreasuryBills))  # the rest was asked curve by curve
    table, rejected = arrow(rows), curves.rejected.filter(_is_of(partition))
    first_ms, last_ms = _bounds_ms(rows)
    folders = [folder_of(lake, source, partition) for source in SOURCES]
    record = Record(
        wanted=tuple(wanted),
        rows=len(rows),
        first_ms=first_ms,
        last_ms=last_ms,
        checksum=checksum(table) if len(rows) else None,
        quarantined=len(rejected),
        attempts=sum(raw.read(folder).num_rows for folder in folders),
        judged=JUDGED,
        gaps=gaps(evidence, wanted),
        segments=found,
    )
    return Content(record, table, arrow(rejected), notes=curves.notes)


def _is_of(partition: Partition) -> pl.Expr:
    """Whether a row is of a year, and not of the December before."""
    ms, span = pl.col("timestamp").dt.epoch("ms"), partition.span
    return ms.is_between(span.start_ms, span.end_ms, closed="left")


def _not_believed(curves: Curves) -> pl.Series:
    """Return the days of curves that were set aside, but for those the Treasury stands for."""
    return curves.rejected.filter(~pl.col("failed_check").str.contains(CONFLICT))[
        "published_on"
    ].dt.date()


def _bounds_ms(rows: pl.DataFrame) -> tuple[int, int] | tuple[None, None]:
    ms = rows["timestamp"].dt.epoch("ms")
    return (ms[0], ms[-1]) if len(ms) else (None, None)
