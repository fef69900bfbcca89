"""Rebuild clean data, quarantine and ledger from raw alone, offline."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import pyarrow as pa

from etl import workers
from etl.backfill import seams
from etl.backfill.fold import fold
from etl.catalog import find_fetched
from etl.dataset import Fetched, Snapshot
from etl.instruments.chain import named
from etl.instruments.lists import staged_listing
from etl.instruments.names import kind_by_name
from etl.instruments.record import Listing
from etl.proof.protocol import Rules, Terms
from lake import raw
from lake.errors import CorruptFileError
from lake.ledger import Record, read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import publish, tidy
from lake.span import FOREVER, Span, clip, union
from lake.write import remove_leftovers

logger = logging.getLogger(__name__)

Rebuilt = tuple[Partition, Record]
BYTES_A_SECOND = 10_000_000  # of raw, on one core: some 600,000 candles


def replay(
    lake: Lake,
    datasets: Sequence[Fetched | Snapshot],
    rules: Rules,
    *,
    count: int | None = None,
    wait: bool = False,
    only: Collection[Partition] | None = None,
) -> Iterator[Rebuilt]:
    """Rebuild every partition that has raw data, as many at once as `count` or there are cores.

    With `only`, those alone.

    Yields
    ------
    tuple of Partition and Record
        What each amounts to, in the order they are done.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    PartitionBusyError
        If another process writes one of the partitions and `wait` is false.
    """
    listing = staged_listing(lake)
    parts = {one.part for each in datasets for one in lake.partitions(each.name)}
    options = named(lake, [part for part in parts if kind_by_name(part) == "option"])
    listing = dataclasses.replace(listing, instruments=listing.instruments | options)
    staged = [
        one
        for dataset in datasets
        if isinstance(dataset, Fetched)
        for one in dataset.staged(lake, listing)
        if (only is None or one in only) and not _was_refused(lake, one)
    ]
    sizes = {one: _staged_bytes(lake, one) for one in staged}
    staged.sort(key=lambda one: -sizes[one])  # the longest are not left to the end
    calls: list[Callable[[], Rebuilt]] = [
        partial(_refolded, dataset.rebuild, lake, one)
        for dataset in datasets
        if isinstance(dataset, Snapshot)
        for one in dataset.staged(lake)
        if only is None or one in only
    ]
    for one in staged:
        terms = Terms(_life(find_fetched(one.dataset), listing, one.part), listing.now_ms, rules)
        calls.append(partial(rebuild, lake, one, terms, wait=wait))
    seconds = sum(sizes.values()) / BYTES_A_SECOND
    with workers.executor(count, len(calls), seconds) as pool:
        for partition, record in workers.done(pool, calls):
            logger.info("%s: %d rows", partition, record.rows)  # a worker's own log nobody reads
            yield partition, record
    for name, part in sorted({(one.dataset, one.part) for one in staged}):
        if seams.is_numbered(dataset := find_fetched(name)):
            terms = Terms(_life(dataset, listing, part), listing.now_ms, rules)
            others = [one for one, _ in seams.held_of(lake, name, part)]
            with locked(lake, others, wait=wait):
                seams.judge(lake, dataset, part, terms)


def _refolded(
    fold_anew: Callable[[Lake, Partition], Record], lake: Lake, partition: Partition
) -> Rebuilt:
    return partition, fold_anew(lake, partition)


def rebuild(lake: Lake, partition: Partition, terms: Terms, *, wait: bool) -> Rebuilt:
    """Rebuild one partition; where its raw never heard the exchange's clock, `terms` has it."""
    dataset = find_fetched(partition.dataset)
    with locked(lake, [partition], wait=wait):
        folder = dataset.raw_folder(lake, partition)
        remove_leftovers(folder)
        tidy(lake, partition)
        heard = Terms(terms.life, _last_heard_ms(lake, partition) or terms.now_ms, terms.rules)
        content = fold(lake, dataset, partition, _wanted(lake, partition), heard)
        publish(lake, partition, content, anew=True)
    return partition, content.record


def _wanted(lake: Lake, partition: Partition) -> list[Span]:
    """Return what the ledger says was wanted; without one, what was asked for."""
    try:
        record = read_record(lake, partition)
    except CorruptFileError:
        logger.warning("the ledger of %s is corrupt: what was asked is taken as wanted", partition)
        record = None
    if record is not None:
        return list(record.wanted)
    attempts = raw.read(find_fetched(partition.dataset).raw_folder(lake, partition))
    starts, ends = (
        (attempts[name].cast(pa.int64()).to_numpy() // 1000).tolist()
        for name in ("window_start", "window_end")
    )
    asked = (Span(start, end) for start, end in zip(starts, ends, strict=True))
    return union(clip(span, partition.span) for span in asked)


def _last_heard_ms(lake: Lake, partition: Partition) -> int | None:
    """Return the exchange's clock when it was last heard of this partition."""
    folder = find_fetched(partition.dataset).raw_folder(lake, partition)
    heard = raw.last_heard_us(folder)
    return None if heard is None else heard // 1000


def _was_refused(lake: Lake, partition: Partition) -> bool:
    """Whether the exchange refused all that was asked of a partition, which has no line then."""
    if lake.ledger(partition).is_file():
        return False
    attempts = raw.read(find_fetched(partition.dataset).raw_folder(lake, partition))
    return all(" was refused: " in outcome for outcome in attempts["outcome"].to_pylist())


def _staged_bytes(lake: Lake, partition: Partition) -> int:
    return raw.staged_bytes(find_fetched(partition.dataset).raw_folder(lake, partition))


def _life(dataset: Fetched, listing: Listing, part: str) -> Span:
    """Return the life of a part; all of time where no list of instruments was staged."""
    known = dataset.find(listing, part)
    return known.life if known else FOREVER
