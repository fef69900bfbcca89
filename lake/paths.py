"""Where every file of a lake lies."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lake.errors import LakeFormatError, NotWritableError
from lake.partition import Partition
from lake.span import is_period
from lake.write import publish_bytes

FORMAT = 4  # raised when an older version could misread what this one writes
MARKER = "lake.json"
Top = Literal["clean", "derived"]
"""What is made from raw is clean, what is computed from published data is derived."""
EMPTY = "empty"  # a file without rows of each dataset, for stored views
SET_ASIDE = "files"  # below quarantine: corrupt files that were moved away
TOPS: tuple[Top, ...] = get_args(Top)


@dataclass(frozen=True, slots=True)
class Lake:
    """The root folder of a lake; open one with `open_lake`.

    The root is absolute: to pyarrow and polars `s3:` or `~` at a path's start are no folders.
    """

    root: Path

    def __post_init__(self) -> None:
        """Make the root absolute."""
        object.__setattr__(self, "root", self.root.absolute())

    def folder(self, top: Top, dataset: str) -> Path:
        """Return the folder that holds the published Parquet of a dataset."""
        return self.root.joinpath(top, dataset)

    def published(self, top: Top, partition: Partition) -> Path:
        """Return the one published file of a partition."""
        return self._below(top, partition, "parquet")

    def clean(self, partition: Partition) -> Path:
        """Return the published file of a partition that is made from raw."""
        return self.published("clean", partition)

    def derived(self, partition: Partition) -> Path:
        """Return the published file of a partition that is computed."""
        return self.published("derived", partition)

    def files(self, dataset: str) -> list[Path]:
        """Return the published files of a dataset, sorted, whoever vouches for them."""
        return [
            self.root.joinpath(top, dataset, part, name)
            for top in TOPS
            for _, part, name in self._below_top(top, dataset, ".parquet")
        ]

    def quarantine(self, partition: Partition) -> Path:
        """Return the file of rows that failed their contract."""
        return self._below("quarantine", partition, "parquet")

    def ledger(self, partition: Partition) -> Path:
        """Return the ledger file of a partition."""
        return self._below("ledger", partition, "json")

    def lock(self, partition: Partition) -> Path:
        """Return the lock file of a partition."""
        return self.ledger(partition).with_suffix(".lock")

    def raw(self, method: str, **keys: object) -> Path:
        """Return the folder of raw segments of one method, e.g. ``instrument=…/year=…``."""
        return self.root.joinpath("raw", method, *(f"{key}={keys[key]}" for key in keys))

    def partitions(self, dataset: str | None = None) -> Iterator[Partition]:
        """Yield every partition the ledger knows, sorted."""
        for held, part, name in self._below_top("ledger", dataset, ".json"):
            if is_period(period := name.removesuffix(".json")):
                yield Partition(held, part, period)

    def datasets(self) -> list[str]:
        """Return the names of the datasets that have at least one published file."""
        held = (self._below_top(top, None, ".parquet") for top in TOPS)
        return sorted({dataset for each in held for dataset, _, _ in each})

    def _below(self, top: str, one: Partition, ending: str) -> Path:
        return self.root.joinpath(top, one.dataset, one.part, f"{one.period}.{ending}")

    def _below_top(
        self, top: str, dataset: str | None, ending: str
    ) -> Iterator[tuple[str, str, str]]:
        """Yield dataset, part and name of the files with some ending, sorted.

        By names alone: to make a path of each takes longer than to read a ledger.
        """
        folder = f"{self.root}/{top}"
        for held in [dataset] if dataset else _names(folder):
            for part in _names(f"{folder}/{held}"):
                for name in _names(f"{folder}/{held}/{part}"):
                    if name.endswith(ending):
                        yield held, part, name


def _names(folder: str) -> list[str]:
    """Return what is in a folder, sorted; nothing where there is none."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  (names, not paths)
    except (FileNotFoundError, NotADirectoryError):
        return []


def open_lake(root: Path, *, create: bool = False) -> Lake:
    """Return the lake at `root`.

    Raises
    ------
    LakeFormatError
        If a newer version wrote the lake.
    NotWritableError
        If the lake has to be made and cannot be.
    """
    marker = root / MARKER
    if marker.exists():
        format_of(Lake(root))
    elif create:
        _make(root)
    return Lake(root)


def write_format(lake: Lake) -> None:
    """Say that the lake is of this version's format."""
    publish_bytes(json.dumps({"format": FORMAT}).encode() + b"\n", lake.root / MARKER)


def format_of(lake: Lake) -> int:
    """Return the number of the lake's format; that of a lake not made yet is this version's.

    Raises
    ------
    LakeFormatError
        If a newer version wrote the lake.
    """
    marker = lake.root / MARKER
    return _read_format(marker) if marker.exists() else FORMAT


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritableError(root, error) from error
    write_format(Lake(root))


def _read_format(marker: Path) -> int:
    try:
        found = int(json.loads(marker.read_bytes())["format"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"{marker} does not say the lake's format: expected {{'format': {FORMAT}}}"
        raise LakeFormatError(message) from error
    if found > FORMAT:
        message = (
            f"{marker.parent} has format {found}, written by a newer deribit-lake; "
            f"this one reads up to format {FORMAT}: upgrade it"
        )
        raise LakeFormatError(message)
    return found
