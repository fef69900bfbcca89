"""Fold what was staged of a day and currency into `option_tickers`: a pure function of raw.

Raw is answers, of chains and of tickers one by one, and messages of sockets. A partition is a day:
a snapshot made every minute is folded in with those of its day alone, and what a day holds stays as
it is when the next begins.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.deribit.answer import OK
from etl.proof.protocol import ticks_of
from etl.snapshots.answers import decode_chain
from etl.snapshots.blocks import Block, Judged, assemble, blocks_of, has_minutes, judge
from etl.snapshots.keeping import Keeping
from etl.snapshots.published import Published
from etl.snapshots.quotes import instant_of, transform
from etl.snapshots.sent import CHAIN, METHODS, attempts_of, folder_of, sent
from etl.snapshots.socket import hours_of, names_in, unfolded
from etl.snapshots.ticker_messages import FAMILY, MINUTE_MS, currencies_of
from lake import raw
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content
from lake.read import checksum
from lake.span import is_period, period_of, period_span
from lake.store.files import matching
from lake.write import remove_leftovers
from validators import contract
from validators.schemas.option_tickers import OptionTickers

DATASET = "option_tickers"
JUDGED = 1  # raised when the same raw would be folded otherwise


def day_of(attempt: raw.Attempt) -> str:
    """Return the day an attempt is staged under: that of its snapshot, else when it was heard.

    That is by the exchange's clock, so far as it told it.
    """
    heard_ms = (attempt.us_out or attempt.fetched_at) // 1000
    if attempt.window_start:  # a ticker says what snapshot it is of
        return period_of(attempt.window_start // 1000, "day")
    if attempt.outcome == OK and attempt.body:
        quotes = decode_chain(attempt.body)
        return period_of(instant_of(quotes["quoted_ms"], heard_ms), "day")
    return period_of(heard_ms, "day")


def staged(lake: Lake) -> Iterator[Partition]:
    """Yield the partitions that a chain was staged of, or tickers came of, sorted."""
    found = {*_new(lake)}
    for folder in matching(lake.raw(CHAIN), "currency=*/kind=option/day=*"):
        keys = dict(part.split("=", 1) for part in lake.inside(folder).parts[-3:])
        if is_period(keys["day"]):
            one = Partition(DATASET, keys["currency"], keys["day"])
            if lake.ledger(one).is_file() or OK in raw.read(folder)["outcome"].to_pylist():
                found.add(one)
    found |= {one for one in lake.partitions(DATASET) if one not in found and _heard(lake, one)}
    yield from sorted(found)


def _new(lake: Lake) -> Iterator[Partition]:
    """Yield the partitions that no fold has looked for in some file of messages."""
    for day, heard in unfolded(lake, FAMILY, DATASET, "day"):
        next_ms = period_span(day).end_ms
        days = [day] if heard.last_ms < next_ms - MINUTE_MS else [day, period_of(next_ms, "day")]
        for currency in currencies_of(heard.channels):
            yield from (Partition(DATASET, currency, each) for each in days)


def _heard(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the files of messages a partition is made from: of its day, and of the hour before."""
    hours = hours_of(partition.span)
    return names_in(lake, FAMILY, range(hours.start - 1, hours.stop))


def segments(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the raw files of a partition, by their names below the folder of their method."""
    answers = tuple(
        f"{method}/{name}"
        for method in METHODS
        for name in raw.segments(folder_of(lake, method, partition.part, partition.period))
    )
    return answers + _heard(lake, partition)


def fold(lake: Lake, partition: Partition, held: Record | None = None) -> Content:
    """Return what was staged of a partition amounts to.

    Of two rows of one option and instant that of the latest answer is kept, a ticker's before a
    chain's, and what came over a socket before both. With the line of what is `held`, only what
    was staged since is decoded; the same comes out. It is made hour by hour: a day of tickers does
    not fit into memory.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    found = segments(lake, partition)
    known = held.segments if held and _is_onto(lake, partition, held, found) else ()
    added = sorted({*found} - {*known})
    asked = judge(transform(sent(lake, partition, added), partition.part))
    blocks = blocks_of(partition, found, known)
    attempts = sum(attempts_of(lake, partition, method, added).num_rows for method in METHODS)
    if held and known:
        if not _can_add(lake, partition, held, asked, blocks):
            return fold(lake, partition)  # what is held was altered, or more came of its instants
        attempts += held.attempts
    rows, aside = assemble(lake, partition, blocks, asked)
    return _content(rows, aside, found, attempts)


def _is_onto(lake: Lake, partition: Partition, held: Record, found: Sequence[str]) -> bool:
    """Whether what is published can stand as it is, and what was staged since be added."""
    is_there = lake.clean(partition).is_file() == bool(held.rows)
    return is_there and held.judged == JUDGED and {*held.segments} <= {*found}


def _can_add(
    lake: Lake, partition: Partition, held: Record, asked: Judged, blocks: Sequence[Block]
) -> bool:
    """Whether nothing of what was staged since is of an instant that is folded, and kept."""
    published = Published(lake, partition)
    if not published.is_as_told(held):
        return False
    instants = published.instants()
    coming = np.concatenate([ticks_of(frame) for frame in asked])
    return not np.isin(coming, instants).any() and not any(
        block.names and block.keeps and has_minutes(instants, block.span) for block in blocks
    )


def _content(rows: pa.Table, aside: pa.Table, found: tuple[str, ...], attempts: int) -> Content:
    """Return rows as they are published, with their line."""
    stamps = pc.min_max(rows["timestamp"].cast(pa.int64())).as_py()
    record = Record(
        rows=rows.num_rows,
        first_ms=stamps["min"] // 1000 if rows.num_rows else None,
        last_ms=stamps["max"] // 1000 if rows.num_rows else None,
        checksum=checksum(rows) if rows.num_rows else None,
        quarantined=aside.num_rows,
        attempts=attempts,
        judged=JUDGED,
        segments=found,
    )
    return Content(record, rows, aside, layout=contract.layout_of(OptionTickers))


def _tidied(lake: Lake, partition: Partition) -> None:
    for method in METHODS:
        remove_leftovers(folder_of(lake, method, partition.part, partition.period))


_KEEPING = Keeping(
    judged=JUDGED,
    staged=staged,
    new=lambda lake, _: _new(lake),
    segments=segments,
    fold=fold,
    tidied=_tidied,
)
is_folded, rebuild = _KEEPING.is_folded, _KEEPING.rebuild
refresh, refresh_all = _KEEPING.refresh, _KEEPING.refresh_all
