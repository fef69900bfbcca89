"""A day of `option_tickers` in stretches that fit into memory, each judged, merged and sorted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from etl.proof.protocol import Ticks
from etl.snapshots.published import Published
from etl.snapshots.quotes import transform
from etl.snapshots.socket import HOUR_MS, hour_of, hours_of, paths_of
from etl.snapshots.ticker_messages import MINUTE_MS, sampled
from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import Lake
from lake.scratch import Scratch
from lake.span import FOREVER, Span
from validators import contract
from validators.schemas.option_tickers import OptionTickers

KEY = contract.key_of(OptionTickers)
SOCKET = "socket/"
"""What the names of messages' files begin with."""


class Judged(NamedTuple):
    """Rows that are kept, one an option and instant, and those set aside, and why."""

    valid: pl.DataFrame
    rejected: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of instants: the files of messages it is made from, if what `keeps` is not all."""

    span: Span
    names: tuple[str, ...]
    keeps: bool  # what is published of it


def blocks_of(partition: Partition, found: Sequence[str], known: Sequence[str]) -> list[Block]:
    """Return the blocks of a day: its hours where messages came, and else the day as one.

    What came in an hour is of the instants behind its beginning, up to its end. Where some of its
    files are not `known`, it is made of all of them again: nothing is kept of what is published,
    unless that may be of answers.
    """
    heard = [name for name in found if name.startswith(SOCKET)]
    if not heard:
        return [Block(FOREVER, (), keeps=bool(known))]
    has_answers = any(not name.startswith(SOCKET) for name in known)
    hours = hours_of(partition.span)
    blocks = []
    for hour in range(hours.start - 1, hours.stop):
        start, end = hour * HOUR_MS + 1, (hour + 1) * HOUR_MS + 1
        span = Span(
            start if hour >= hours.start else FOREVER.start_ms,
            end if hour + 1 < hours.stop else FOREVER.end_ms,
        )
        names = tuple(name for name in heard if hour_of(name) == hour)
        if {*names} <= {*known}:
            blocks.append(Block(span, (), keeps=bool(known)))
        else:
            blocks.append(Block(span, names, keeps=has_answers))
    return blocks


def has_minutes(instants: Ticks, span: Span) -> bool:
    """Whether some instant of a stretch is a full minute, as those of messages are."""
    inside = (instants >= span.start_ms) & (instants < span.end_ms)
    return bool((instants[inside] % MINUTE_MS == 0).any())


def judge(told: pl.DataFrame) -> Judged:
    """Return the rows that are kept, one an option and instant, and those set aside, and why."""
    is_refused = pl.col("refused").is_not_null()
    split = contract.split(told.filter(~is_refused).drop("refused"), OptionTickers)
    refused = told.filter(is_refused).rename({"refused": "failed_check"})
    rejected = pl.concat([split.rejected, refused.select(split.rejected.columns)])
    latest = split.valid.sort(*KEY, "is_ticker", "attempt_id", maintain_order=True)
    valid = latest.unique(KEY, keep="last", maintain_order=True)
    return Judged(valid.drop("is_ticker", "attempt_id"), rejected.drop("is_ticker"))


def assemble(
    lake: Lake, partition: Partition, blocks: Sequence[Block], asked: Judged
) -> tuple[pa.Table, pa.Table]:
    """Return the rows of a day and those set aside of it, sorted; they lie on disk.

    Parameters
    ----------
    asked
        What of answers is to be added to the blocks.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    folder = lake.here / lake.inside(lake.clean(partition).parent)
    with Scratch(folder) as rows, Scratch(folder) as aside:
        for block in blocks:
            clean, rejected = _merged(list(_parts(lake, partition, block, asked)))
            rows.add(arrow(clean))
            aside.add(arrow(rejected))
        return rows.table(), aside.table()


def _merged(parts: Sequence[Judged]) -> Judged:
    """Return the parts of a block as one, sorted; of two rows of one key the later part's."""
    valid = pl.concat([part.valid for part in parts])
    clean = valid.unique(KEY, keep="last", maintain_order=True).sort(KEY)
    contract.check_key(clean, KEY)  # the rest was asked row by row
    rejected = pl.concat([part.rejected for part in parts])
    aside = rejected.sort(*KEY, "attempt_id", "failed_check", maintain_order=True)
    return Judged(clean, aside)


def _parts(lake: Lake, partition: Partition, block: Block, asked: Judged) -> Iterator[Judged]:
    """Yield what a block is made of, the most believed last."""
    yield Judged(*(frame.filter(_is_in(block.span)) for frame in asked))
    if block.keeps:
        published = Published(lake, partition)
        yield Judged(
            published.rows(block.span, asked.valid), published.aside(block.span, asked.rejected)
        )
    if block.names:
        files = paths_of(lake, block.names)
        told = sampled(files, partition.part, partition.span)
        yield judge(transform(told, partition.part))


def _is_in(span: Span) -> pl.Expr:
    return pl.col("timestamp").dt.epoch("ms").is_between(span.start_ms, span.end_ms, closed="left")
