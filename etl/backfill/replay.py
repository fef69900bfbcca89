"""Rebuild clean data, quarantine and ledger from raw alone, offline."""

import logging
import time
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from etl.backfill.fold import Folded, Terms, fold, publish, raw_folder
from etl.config import Settings
from etl.datasets import Dataset
from etl.instruments.lists import Universe, staged_universe
from etl.proof import grid as plan
from lake import raw
from lake.errors import CorruptFileError
from lake.ledger import Record, Span, read_record
from lake.lock import locked
from lake.paths import Lake, Partition, open_lake
from lake.write import remove_leftovers
from validators.outages import load_outages

logger = logging.getLogger(__name__)


def replay(
    settings: Settings, datasets: Sequence[Dataset], *, wait: bool = False
) -> list[tuple[Partition, Record]]:
    """Rebuild every partition that has raw data and return what each amounts to.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    PartitionBusyError
        If another process writes one of the partitions and `wait` is false.
    """
    lake = open_lake(settings.root)
    universe = staged_universe(lake)
    outages = load_outages(settings.outages)
    rebuilt = []
    for dataset in datasets:
        for partition in staged_partitions(lake, dataset):
            with locked(lake, [partition], wait=wait):
                started = time.perf_counter()
                terms = Terms(
                    life=_life(universe, partition.instrument),
                    now_ms=_last_heard_ms(lake, dataset, partition, universe),
                    settle_ms=round(settings.settle_minutes * 60_000),
                    confirm_after_ms=round(settings.confirm_after * 1000),
                    outages=outages,
                )
                folded = _rebuild(lake, dataset, partition, terms)
                seconds = time.perf_counter() - started
                logger.info("%s: %d rows in %.2f s", partition, folded.record.rows, seconds)
                rebuilt.append((partition, folded.record))
    return rebuilt


def staged_partitions(lake: Lake, dataset: Dataset) -> Iterator[Partition]:
    """Yield the partitions of a dataset that have raw data, sorted."""
    method = lake.raw(dataset.method.removeprefix("public/"))
    for folder in sorted(method.glob(f"instrument=*/resolution={dataset.resolution}/year=*")):
        instrument = folder.parts[-3].removeprefix("instrument=")
        if dataset.holds(instrument):
            yield Partition(dataset.name, instrument, int(folder.name.removeprefix("year=")))


def _rebuild(lake: Lake, dataset: Dataset, partition: Partition, terms: Terms) -> Folded:
    raw_files = raw_folder(lake, dataset, partition.instrument, partition.year)
    for path in (raw_files, *lake.files(partition)):
        remove_leftovers(path)
    folded = fold(lake, dataset, partition, _wanted(lake, dataset, partition), terms)
    lake.clean(partition).unlink(missing_ok=True)
    lake.ledger(partition).unlink(missing_ok=True)
    publish(lake, partition, folded)
    return folded


def _wanted(lake: Lake, dataset: Dataset, partition: Partition) -> list[Span]:
    """Return what the ledger says was wanted; without one, what was asked for."""
    try:
        record = read_record(lake, partition)
    except CorruptFileError:
        logger.warning("the ledger of %s is corrupt: what was asked is taken as wanted", partition)
        record = None
    if record is not None:
        return list(record.wanted)
    folder = raw_folder(lake, dataset, partition.instrument, partition.year)
    attempts = raw.read(folder)
    starts, ends = (
        (attempts[name].cast(pa.int64()).to_numpy() // 1000).tolist()
        for name in ("window_start", "window_end")
    )
    year = plan.year_span(partition.year)
    asked = (Span(start, end) for start, end in zip(starts, ends, strict=True))
    return plan.union(plan.clip(span, year) for span in asked)


def _last_heard_ms(lake: Lake, dataset: Dataset, partition: Partition, universe: Universe) -> int:
    """Return the exchange's clock when it was last heard of this partition."""
    folder = raw_folder(lake, dataset, partition.instrument, partition.year)
    heard = pc.max(raw.read(folder)["us_out"]).as_py()
    return universe.now_ms if heard is None else heard // 1000


def _life(universe: Universe, instrument: str) -> Span:
    """Return the instrument's life; all of time where no list of instruments was staged."""
    known = universe.find(instrument)
    return known.life if known else Span(0, 2**53)
