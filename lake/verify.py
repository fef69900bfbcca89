"""Read every file of a lake and hold it against the ledger; set aside what is corrupt."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from lake.errors import ConflictError, CorruptFileError, LakeError, LakeFormatError
from lake.ledger import Record, read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import SET_ASIDE, TOPS, Lake
from lake.read import checksum_of, read_table
from lake.store.files import move
from lake.store.place import Place
from lake.store.together import each

AT_ONCE = 8  # files of a bucket that are read side by side, each in memory as a whole
PUBLISHED_SECONDS = 5.0  # no writer takes longer from a partition's rows to its line


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not what it should be."""

    path: Place
    reason: str
    is_corrupt: bool


def verify(lake: Lake, dataset: str | None = None) -> Iterator[Fault]:
    """Yield what is wrong with the files of a lake, or of one dataset, reading every byte of them.

    Raw is of no dataset: it is read where all of the lake is. Files of a bucket are read several
    at a time.
    """
    lake = lake.listed(*(TOPS if dataset is None else ()))
    if dataset is None:
        yield from _unreadable(lake, (lake.root / "raw").glob("**/*.parquet"))
    yield from _unreadable(lake, (lake.root / "quarantine").glob(f"{dataset or '*'}/*/*.parquet"))
    yield from _unreadable(lake, (lake.root / "live").glob(f"{dataset or '*'}/*.parquet"))
    vouched: set[Place] = set()
    for paths, faults in _all_examined(lake, lake.partitions(dataset)):
        vouched |= paths
        yield from faults
    for name in [dataset] if dataset else lake.datasets():
        yield from _strays(lake, name, vouched)


def verify_partitions(lake: Lake, partitions: Iterable[Partition]) -> Iterator[Fault]:
    """Yield what is wrong with the published files of some partitions, reading every byte."""
    for _, faults in _all_examined(lake, partitions):
        yield from faults


def _all_examined(
    lake: Lake, partitions: Iterable[Partition]
) -> Iterator[tuple[set[Place], list[Fault]]]:
    yield from each(lake.root, partial(_examined, lake), partitions, at_once=AT_ONCE)


def _examined(lake: Lake, partition: Partition) -> tuple[set[Place], list[Fault]]:
    """Return the files a partition's line vouches for, and what is wrong with them or with it.

    Rows are published before their line: what is wrong is looked at again when nobody writes, or
    after so long that whoever does is past that step.
    """
    with suppress(ConflictError):  # it was replaced while it was read
        paths, faults = _seen(lake, partition)
        if not faults:
            return paths, faults
    with ExitStack() as held:
        with suppress(LakeError):  # whoever may not lock may still look
            held.enter_context(locked(lake, [partition], wait=PUBLISHED_SECONDS))
        return _seen(lake, partition)


def _seen(lake: Lake, partition: Partition) -> tuple[set[Place], list[Fault]]:
    """Return the same as one look finds it."""
    try:
        record = read_record(lake, partition) or Record()
    except (CorruptFileError, LakeFormatError) as error:
        is_corrupt = isinstance(error, CorruptFileError)
        fault = Fault(lake.ledger(partition), str(error), is_corrupt=is_corrupt)
        return {lake.clean(partition), lake.derived(partition)}, [fault]
    path = lake.published(record.top, partition)
    return {path}, [*_against_record(path, record)]


def set_aside(lake: Lake, fault: Fault) -> Place | None:
    """Move a corrupt file under ``quarantine/files``.

    Returns
    -------
    Place or None
        Where it lies now; None where it was removed since.
    """
    target = lake.root / "quarantine" / SET_ASIDE / lake.inside(fault.path)
    try:
        return move(fault.path, target.with_name(target.name + ".corrupt"))
    except FileNotFoundError:
        return None


def _unreadable(lake: Lake, paths: Iterable[Place]) -> Iterator[Fault]:
    yield from filter(None, each(lake.root, _why_unreadable, sorted(paths), at_once=AT_ONCE))


def _why_unreadable(path: Place) -> Fault | None:
    """Return what is wrong with a file that was listed; nothing with one that writers took since.

    Segments of raw are merged, and live days replaced, under no lock of ours.
    """
    try:
        read_table(path)
    except CorruptFileError as error:
        return None if _is_gone(error) else Fault(path, str(error), is_corrupt=True)
    except ConflictError:
        return None
    return None


def _is_gone(error: CorruptFileError) -> bool:
    return isinstance(error.__cause__, FileNotFoundError)


def _against_record(path: Place, record: Record) -> Iterator[Fault]:
    """Yield what is wrong with a published file by the ledger line that vouches for it."""
    try:
        found = checksum_of(path) if path.exists() else None
    except CorruptFileError as error:
        if not _is_gone(error):
            yield Fault(path, str(error), is_corrupt=True)
            return
        found = None  # it was listed, and removed since
    if found != record.checksum:
        reason = f"content checksum {found}, and the ledger says {record.checksum}"
        yield Fault(path, f"{path}: {reason}; run `replay`", is_corrupt=False)


def _strays(lake: Lake, dataset: str, vouched: Collection[Place]) -> Iterator[Fault]:
    for path in lake.files(dataset):
        if path not in vouched:
            reason = f"{path}: no ledger vouches for it; run `replay`"
            yield Fault(path, reason, is_corrupt=False)
            yield from _unreadable(lake, [path])
