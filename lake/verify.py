"""Read every file of a lake and hold it against the ledger; set aside what is corrupt."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import CorruptFileError, LakeFormatError
from lake.ledger import read_record
from lake.paths import Lake, Partition
from lake.read import partition_checksum, read_table


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not what it should be."""

    path: Path
    reason: str
    is_corrupt: bool


def verify(lake: Lake) -> Iterator[Fault]:
    """Yield what is wrong with the lake's files, reading every byte of them."""
    yield from _unreadable(lake)
    known = list(lake.partitions())
    for partition in known:
        yield from _against_ledger(lake, partition)
    vouched = {lake.clean(partition) for partition in known}
    for path in sorted((lake.root / "clean").glob("**/*.parquet")):
        if path not in vouched:
            yield Fault(path, f"{path}: no ledger vouches for it; run `replay`", is_corrupt=False)


def set_aside(lake: Lake, fault: Fault) -> Path:
    """Move a corrupt file under ``quarantine/files`` and return where it lies now."""
    target = lake.root / "quarantine" / "files" / fault.path.relative_to(lake.root)
    target = target.with_name(target.name + ".corrupt")
    target.parent.mkdir(parents=True, exist_ok=True)
    return fault.path.replace(target)


def _unreadable(lake: Lake) -> Iterator[Fault]:
    for top in ("raw", "quarantine", "derived"):
        for path in sorted((lake.root / top).glob("**/*.parquet")):
            try:
                read_table(path)
            except CorruptFileError as error:
                yield Fault(path, str(error), is_corrupt=True)


def _against_ledger(lake: Lake, partition: Partition) -> Iterator[Fault]:
    ledger, clean = lake.ledger(partition), lake.clean(partition)
    try:
        record = read_record(lake, partition)
    except (CorruptFileError, LakeFormatError) as error:
        yield Fault(ledger, str(error), is_corrupt=isinstance(error, CorruptFileError))
        return
    try:
        found = partition_checksum(lake, partition)
    except CorruptFileError as error:
        yield Fault(clean, str(error), is_corrupt=True)
        return
    expected = record.checksum if record else None
    if found != expected:
        reason = f"{clean}: content checksum {found}, and the ledger says {expected}; run `replay`"
        yield Fault(clean, reason, is_corrupt=False)
