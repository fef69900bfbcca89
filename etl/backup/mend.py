"""Hold a restored lake against its ledger, make again what differs, and say what is lost."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.backfill.replay import replay
from etl.catalog import DATASETS, computed, fetched
from etl.compute.run import Ask, as_told, compute
from etl.dataset import Computed
from etl.errors import EtlError
from etl.instruments.lists import staged_listing
from etl.progress import Progress
from etl.proof.protocol import Rules
from lake.errors import LakeError
from lake.partition import Partition
from lake.paths import TOPS, Lake
from lake.span import is_period
from lake.verify import verify

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of what was not as it should be.

    Attributes
    ----------
    rebuilt
        Partitions that were made again, from raw or from others, and agree with their lines.
    lost
        What is missing for good as far as the backup goes, a line each.
    """

    rebuilt: tuple[Partition, ...]
    lost: tuple[str, ...]


def mend(lake: Lake, missing: Collection[str], rules: Rules, progress: Progress) -> Mended:
    """Make again what a restored lake lacks, as far as it can be.

    A partition some of whose raw is missing keeps the rows it has: to make it again from what is
    left would lose them, too.

    Parameters
    ----------
    lake : Lake
        Nobody else writes it.
    missing : collection of str
        Files the restore could not bring, relative to the lake.
    """
    gone = [*missing, *_removed(lake)]
    broken = {one for name in gone if (one := _partition_of(name)) is not None}
    staged_for = _staged_for(lake, [name for name in gone if name.startswith("raw/")])
    if broken:
        _rebuild(lake, broken, rules, progress)
        broken_still = {one for name in _removed(lake) if (one := _partition_of(name))}
        unmade = broken_still | {one for one in broken if not lake.ledger(one).exists()}
    else:
        unmade = set()
    lost = [
        *_of_raw(staged_for, broken, unmade),
        *(f"{one}: could not be made again; `heal` fetches it" for one in sorted(unmade)),
        *(
            f"{name}: lost"
            for name in sorted(set(gone))
            if _partition_of(name) is None and name not in staged_for
        ),
    ]
    return Mended(tuple(sorted(broken - unmade)), tuple(lost))


def _rebuild(lake: Lake, broken: Collection[Partition], rules: Rules, progress: Progress) -> None:
    """Make partitions again, each by itself: one that cannot be made stops no other."""
    names = {one.dataset for one in broken}
    staged = [
        one for one in DATASETS.values() if one.name in names and not isinstance(one, Computed)
    ]
    if staged:
        for partition in sorted(broken):
            try:
                list(replay(lake, staged, rules, count=1, only={partition}))
            except (EtlError, LakeError) as error:
                logger.warning("%s cannot be made again: %s", partition, error)
    listing = staged_listing(lake)
    for dataset in computed():
        if dataset.name not in names:
            continue
        mine = {one for one in broken if one.dataset == dataset.name}
        try:
            for options, parts in as_told(lake, dataset, listing):
                ask = Ask(parts, partitions=mine, options=options, anew=True)
                compute(lake, dataset, listing, progress, ask)
        except (EtlError, LakeError) as error:
            logger.warning("%s cannot be computed again: %s", dataset.name, error)


def _removed(lake: Lake) -> list[str]:
    """Return the files that are not as their lines say; those that cannot be read are removed."""
    faults = list(verify(lake))
    for fault in faults:
        if fault.is_corrupt:
            fault.path.unlink(missing_ok=True)
    return [str(lake.inside(fault.path)) for fault in faults]


def _partition_of(name: str) -> Partition | None:
    """Return the partition a published file or a line belongs to; None where it is of none."""
    parts = Path(name).parts
    if len(parts) != 4 or parts[0] not in {"ledger", "quarantine", *TOPS}:  # noqa: PLR2004
        return None
    period = Path(parts[3]).stem
    return Partition(parts[1], parts[2], period) if is_period(period) else None


def _staged_for(lake: Lake, names: Collection[str]) -> dict[str, Partition]:
    """Return the partitions raw files were staged for, by the file; others are of none."""
    folders = {
        dataset.raw_folder(lake, one): one
        for dataset in fetched()
        for one in lake.partitions(dataset.name)
    }
    found = ((name, folder) for name in names for folder in (lake.on_disk / name).parents)
    return {name: folders[folder] for name, folder in found if folder in folders}


def _of_raw(
    staged_for: Mapping[str, Partition],
    broken: Collection[Partition],
    unmade: Collection[Partition],
) -> Iterator[str]:
    """Yield what the loss of raw files means for each partition."""
    for partition, count in sorted(Counter(staged_for.values()).items()):
        if partition in unmade:
            rest = "and so are its rows"
        elif partition in broken:
            rest = "its rows were made again from those that are left"
        else:
            rest = "its published rows are whole"
        again = f"`replay --dataset {partition.dataset}`, then `heal` fetch it again"
        yield f"{partition}: {count} raw files are lost, {rest}; {again}"
