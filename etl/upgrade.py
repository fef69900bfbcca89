"""Bring a lake of an older format to this version's, by itself, at the first command that writes.

Format 1 kept no ledger line of what is computed, and index prices among what is made from raw.
Files are moved, and what has no line is computed anew, which leaves a file as it is whose content
comes out the same. Formats 2 and 3 knew fewer reasons why rows are missing; nothing has to be done.
The number of the format is written last: killed at any moment, the next command begins again where
this one ended.
"""

import logging
from pathlib import Path

from etl.catalog import computed
from etl.compute.run import Ask, compute
from etl.dataset import Computed
from etl.instruments import table
from etl.instruments.lists import staged_listing
from etl.progress import Progress
from lake.errors import LakeFormatError
from lake.lock import locked_file
from lake.partition import Partition
from lake.paths import FORMAT, Lake, format_of, write_format
from lake.span import is_period
from lake.store.files import matching, move

logger = logging.getLogger(__name__)

LINES_SINCE = 2  # format from which on what is computed has ledger lines
FIRST_IN_BUCKETS = 4


def bring_up(lake: Lake, progress: Progress) -> str | None:
    """Bring a lake to this version's format; return what was done in one line, None for nothing.

    Raises
    ------
    PartitionBusyError
        If another process is doing so.
    LakeFormatError
        If it lies in a bucket.
    """
    if format_of(lake) == FORMAT:
        return None
    _check_on_disk(lake)
    with locked_file(lake.on_disk / "lake.lock", "the lake's format"):
        before = format_of(lake)
        if before == FORMAT:
            return None
        lines = 0
        if before < LINES_SINCE:
            lines = _bring_instruments(lake) + sum(
                _bring(lake, one, progress) for one in computed()
            )
        write_format(lake)
    words = f"{lake.root} is of format {FORMAT} now (it was {before}): {lines} ledger lines are new"
    logger.warning(words)
    return words


def _check_on_disk(lake: Lake) -> None:
    """Refuse a lake in a bucket: they began with this format, so something else made its number."""
    if not isinstance(lake.root, Path):
        message = (
            f"{lake.root} has format {format_of(lake)}, and no lake in a bucket is of one before "
            f"{FIRST_IN_BUCKETS}: bring a lake on this machine up, and push it to another prefix"
        )
        raise LakeFormatError(message)


def _bring_instruments(lake: Lake) -> int:
    old = lake.on_disk.joinpath("derived", "instruments", "all", "universe.parquet")
    if not old.exists():
        return 0
    table.rebuild(lake, table.PARTITION)
    old.unlink()
    old.parent.rmdir()
    old.parent.parent.rmdir()
    return 1


def _bring(lake: Lake, dataset: Computed, progress: Progress) -> int:
    """Move what a dataset has among what is made from raw, and compute what has no line."""
    for path in matching(lake.folder("clean", dataset.name), "*/*.parquet"):
        move(path, lake.derived(Partition(dataset.name, path.parent.name, path.stem)))
    held = {
        Partition(dataset.name, path.parent.name, path.stem)
        for path in lake.folder("derived", dataset.name).glob("*/*.parquet")
        if is_period(path.stem)
    }
    if not held:
        return 0
    ask = Ask(partitions=held)
    return compute(lake, dataset, staged_listing(lake), progress, ask).computed
