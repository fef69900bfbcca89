"""What a side has: its ledger lines and its raw files, by as few looks as can be."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from etl.mirror.known import Known
from etl.mirror.plan import Line
from lake.partition import Partition
from lake.paths import TOPS, Lake
from lake.span import is_period
from lake.store.files import entries
from lake.store.place import ObjectPlace, Place

LEDGER, RAW, QUARANTINE = "ledger", "raw", "quarantine"
KINDS = (*TOPS, QUARANTINE)
"""Folders of the files beside a partition's line."""
PARTS = 2  # of a ledger file's folder: dataset and part
Chosen = Callable[[Partition], bool]


def lines(lake: Lake, known: Known, is_chosen: Chosen) -> dict[str, Line]:
    """Return the ledger lines of a side, those that are chosen, by name.

    In a bucket one request lists a thousand. On this machine only those are read that changed
    since they were last copied.
    """
    found = _there(lake.root) if isinstance(lake.root, ObjectPlace) else _here(lake.root, known)
    told: dict[str, Line] = {}
    for file, line in found:
        name = file.removesuffix(".json")
        *inside, period = name.split("/")
        if len(inside) == PARTS and is_period(period) and is_chosen(partition_of(name)):
            told[name] = line
    return told


def digest_of(data: bytes) -> str:
    """Return the digest of a ledger line, written as most stores tag an object that has it."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def raw_files(lake: Lake) -> dict[str, int]:
    """Return the raw files of a side and their sizes [bytes], by name below raw."""
    return {one.name: one.size for one in entries(lake.root / RAW) if one.name.endswith(".parquet")}


def files_beside(lake: Lake, datasets: Iterable[str]) -> dict[str, int]:
    """Return the published files of some datasets and what they set aside, with sizes [bytes].

    By name below the root.
    """
    return {
        f"{kind}/{dataset}/{one.name}": one.size
        for dataset in sorted({*datasets})
        for kind in KINDS
        for one in entries(lake.root.joinpath(kind, dataset))
        if one.name.endswith(".parquet")
    }


def partition_of(name: str) -> Partition:
    """Return the partition of that name."""
    return Partition(*name.split("/"))


def line_of(lake: Lake, name: str) -> Place:
    """Return the ledger file of the partition of that name."""
    return lake.root / LEDGER / f"{name}.json"


def beside(lake: Lake, kind: str, name: str) -> Place:
    """Return the file of a kind of the partition of that name."""
    return lake.root / kind / f"{name}.parquet"


def _there(root: ObjectPlace) -> Iterator[tuple[str, Line]]:
    skip = len(LEDGER) + 1
    for one in root.store.below(LEDGER):
        if one.key.endswith(".json"):
            yield one.key[skip:], Line(one.etag, int(one.changed_s * 1e9))


def _here(root: Path, known: Known) -> Iterator[tuple[str, Line]]:
    for one in entries(root / LEDGER):
        held = known.lines.get(one.name.removesuffix(".json"))
        if held is not None and (held.changed_ns, held.size) == (one.changed_ns, one.size):
            yield one.name, Line(held.digest, one.changed_ns)
        elif one.name.endswith(".json"):
            with suppress(FileNotFoundError):  # withdrawn meanwhile
                digest = digest_of((root / LEDGER / one.name).read_bytes())
                yield one.name, Line(digest, one.changed_ns)
