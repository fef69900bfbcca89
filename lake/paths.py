"""Where every file of a lake lies."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import LakeFormatError, NotWritableError
from lake.write import publish_bytes

FORMAT = 1  # raised when an older version could misread what this one writes
MARKER = "lake.json"


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One dataset, instrument and year: the unit that is locked, folded and published."""

    dataset: str
    instrument: str
    year: int

    def __str__(self) -> str:
        """Return the words a message names the partition with."""
        return f"{self.dataset} {self.instrument} {self.year}"


@dataclass(frozen=True, slots=True)
class Lake:
    """The root folder of a lake; open one with `open_lake`."""

    root: Path

    def clean_folder(self, dataset: str) -> Path:
        """Return the folder that holds the published Parquet of a dataset."""
        return self.root / "clean" / dataset

    def clean(self, partition: Partition) -> Path:
        """Return the one published file of a partition."""
        return (
            self.clean_folder(partition.dataset)
            / partition.instrument
            / f"{partition.year}.parquet"
        )

    def derived(self, dataset: str, part: str, month: str) -> Path:
        """Return the file of a month (``2024-05``) of a derived dataset."""
        return self.root / "derived" / dataset / part / f"{month}.parquet"

    def derived_files(self, dataset: str) -> list[Path]:
        """Return the files of a derived dataset, sorted."""
        return sorted((self.root / "derived" / dataset).glob("*/*.parquet"))

    def quarantine(self, partition: Partition) -> Path:
        """Return the file of rows that failed their contract."""
        folder = self.root / "quarantine" / partition.dataset
        return folder / partition.instrument / f"{partition.year}.parquet"

    def ledger(self, partition: Partition) -> Path:
        """Return the ledger file of a partition."""
        folder = self.root / "ledger" / partition.dataset
        return folder / partition.instrument / f"{partition.year}.json"

    def files(self, partition: Partition) -> tuple[Path, Path, Path]:
        """Return all a fold publishes of a partition: clean, quarantine, ledger."""
        return self.clean(partition), self.quarantine(partition), self.ledger(partition)

    def lock(self, partition: Partition) -> Path:
        """Return the lock file of a partition."""
        return self.ledger(partition).with_suffix(".lock")

    def raw(self, method: str, **keys: object) -> Path:
        """Return the folder of raw segments of one method, e.g. ``instrument=…/year=…``."""
        folder = self.root / "raw" / method
        return folder.joinpath(*(f"{key}={value}" for key, value in keys.items()))

    def partitions(self, dataset: str | None = None) -> Iterator[Partition]:
        """Yield every partition the ledger knows, sorted."""
        for path in sorted((self.root / "ledger").glob(f"{dataset or '*'}/*/*.json")):
            if path.stem.isdecimal():
                yield Partition(path.parts[-3], path.parts[-2], int(path.stem))

    def datasets(self) -> list[str]:
        """Return the names of the published datasets that hold at least one file."""
        names = {path.parts[-3] for path in (self.root / "clean").glob("*/*/*.parquet")}
        return sorted(names)


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
        _check_format(marker)
    elif create:
        _make(root, marker)
    return Lake(root)


def _make(root: Path, marker: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritableError(root, error) from error
    publish_bytes(json.dumps({"format": FORMAT}).encode() + b"\n", marker)


def _check_format(marker: Path) -> None:
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
