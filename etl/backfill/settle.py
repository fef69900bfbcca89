"""Fold what came of a partition, publish it when nothing is left to ask, and say what is.

A large partition is folded in a process of its own: its pages are decoded there while the next
ones arrive here.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from etl.backfill.fold import fold
from etl.catalog import find_fetched
from etl.dataset import Fetched
from etl.proof.protocol import Due, Terms
from lake import raw
from lake.ledger import Record
from lake.lock import Loan, borrowed, check_held
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import publish
from lake.span import Span

LARGE_BYTES = 8_000_000  # of raw: 250,000 trades, more than a year of candles


@dataclass(frozen=True, slots=True)
class Came:
    """A partition some of whose windows were asked for, and by what it is judged."""

    lake: Lake
    partition: Partition
    wanted: tuple[Span, ...]
    terms: Terms
    within: Span
    due: Due
    is_last: bool


class Settled(NamedTuple):
    """What a partition amounts to, what is left to ask for, and what the user should know."""

    record: Record
    asks: list[Span]
    notes: tuple[str, ...]


def settle(came: Came, dataset: Fetched | None = None) -> Settled:
    """Fold a partition; publish it if nothing is left to ask, or nothing will be asked."""
    one = dataset or find_fetched(came.partition.dataset)
    folded = fold(came.lake, one, came.partition, came.wanted, came.terms)
    asks = one.proof.asks(folded.record, within=came.within, due=came.due)
    if came.is_last or not asks:
        check_held(came.lake, came.partition)
        folder = one.raw_folder(came.lake, came.partition)
        segments = raw.merge(folder, {*folded.record.segments})
        record = msgspec.structs.replace(folded.record, segments=segments)
        folded = replace(folded, record=record)
        publish(came.lake, came.partition, folded)
    return Settled(folded.record, asks, folded.notes)


def settle_for(loan: Loan | None, came: Came) -> Settled:
    """Fold a partition in a process of its own, under the lock of the one that began it."""
    with borrowed(loan):
        return settle(came)


def is_large(dataset: Fetched, lake: Lake, partition: Partition) -> bool:
    """Whether a partition is so large that a process of its own pays."""
    return raw.staged_bytes(dataset.raw_folder(lake, partition)) >= LARGE_BYTES
