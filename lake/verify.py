"""Read every file of a lake and hold it against the ledger; set aside what is corrupt."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import CorruptFileError, LakeFormatError
from lake.ledger import Record, read_record
from lake.partition import Partition
from lake.paths import SET_ASIDE, Lake
from lake.read import checksum_of, read_table


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not what it should be."""

    path: Path
    reason: str
    is_corrupt: bool


def verify(lake: Lake, dataset: str | None = None) -> Iterator[Fault]:
    """Yield what is wrong with the files of a lake, or of one dataset, reading every byte of them.

    Raw is of no dataset: it is read where all of the lake is.
    """
    if dataset is None:
        yield from _unreadable((lake.root / "raw").glob("**/*.parquet"))
    yield from _unreadable((lake.root / "quarantine").glob(f"{dataset or '*'}/*/*.parquet"))
    yield from _unreadable((lake.root / "live").glob(f"{dataset or '*'}/*.parquet"))
    vouched: set[Path] = set()
    for partition in lake.partitions(dataset):
        paths, faults = _examined(lake, partition)
        vouched |= paths
        yield from faults
    for name in [dataset] if dataset else lake.datasets():
        yield from _strays(lake, name, vouched)


def verify_partitions(lake: Lake, partitions: Iterable[Partition]) -> Iterator[Fault]:
    """Yield what is wrong with the published files of some partitions, reading every byte."""
    for partition in partitions:
        yield from _examined(lake, partition)[1]


def _examined(lake: Lake, partition: Partition) -> tuple[set[Path], Iterator[Fault]]:
    """Return the files a partition's line vouches for, and what is wrong with them or with it."""
    try:
        record = read_record(lake, partition) or Record()
    except (CorruptFileError, LakeFormatError) as error:
        is_corrupt = isinstance(error, CorruptFileError)
        fault = Fault(lake.ledger(partition), str(error), is_corrupt=is_corrupt)
        return {lake.clean(partition), lake.derived(partition)}, iter([fault])
    path = lake.published(record.top, partition)
    return {path}, _against_record(path, record)


def set_aside(lake: Lake, fault: Fault) -> Path:
    """Move a corrupt file under ``quarantine/files`` and return where it lies now."""
    target = lake.root / "quarantine" / SET_ASIDE / fault.path.relative_to(lake.root)
    target = target.with_name(target.name + ".corrupt")
    target.parent.mkdir(parents=True, exist_ok=True)
    return fault.path.replace(target)


def _unreadable(paths: Iterable[Path]) -> Iterator[Fault]:
    for path in sorted(paths):
        try:
            read_table(path)
        except CorruptFileError as error:
            yield Fault(path, str(error), is_corrupt=True)


def _against_record(path: Path, record: Record) -> Iterator[Fault]:
    """Yield what is wrong with a published file by the ledger line that vouches for it."""
    try:
        found = checksum_of(path) if path.exists() else None
    except CorruptFileError as error:
        yield Fault(path, str(error), is_corrupt=True)
        return
    if found != record.checksum:
        reason = f"content checksum {found}, and the ledger says {record.checksum}"
        yield Fault(path, f"{path}: {reason}; run `replay`", is_corrupt=False)


def _strays(lake: Lake, dataset: str, vouched: Collection[Path]) -> Iterator[Fault]:
    for path in lake.files(dataset):
        if path not in vouched:
            reason = f"{path}: no ledger vouches for it; run `replay`"
            yield Fault(path, reason, is_corrupt=False)
            yield from _unreadable([path])
