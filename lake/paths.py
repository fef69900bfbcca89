"""Where every file of a lake lies."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import msgspec

from lake.errors import LakeFormatError, NotOnDiskError, NotWritableError
from lake.partition import Partition
from lake.span import is_period
from lake.store.conditions import check_conditional
from lake.store.files import LOCKS, names_below
from lake.store.listing import Listing
from lake.store.place import ObjectPlace, Place
from lake.write import publish_bytes

FORMAT = 4  # raised when an older version could misread what this one writes
MARKER = "lake.json"
Top = Literal["clean", "derived"]
"""What is made from raw is clean, what is computed from published data is derived."""
LEDGER = "ledger"
EVERYTHING = ""
"""The whole lake, as a folder of it."""
EMPTY = "empty"  # a file without rows of each dataset, for stored views
SET_ASIDE = "files"  # below quarantine: corrupt files that were moved away
TOPS: tuple[Top, ...] = get_args(Top)


class Marker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `lake.json` says; older versions read the format alone."""

    format: int = FORMAT
    lake: str = ""  # the name it has in common with its copies; empty: it was never copied
    without_raw: bool = False  # a copy to read from
    unfinished: bool = False  # a copy that is being made

    @property
    def doubt(self) -> str:
        """Why nothing it holds can be vouched for, empty where nothing is said against it."""
        if self.unfinished:
            return "a copy that is not finished: run the same `push` or `pull` again"
        if self.without_raw:
            return "a copy without raw, to read from: the lake it was copied from can say"
        return ""


@dataclass(frozen=True, slots=True)
class Lake:
    """Where a lake lies, a folder or a part of a bucket; open one with `open_lake`.

    A folder is absolute: to pyarrow and polars `s3:` or `~` at a path's start are no folders.
    """

    root: Place

    def __post_init__(self) -> None:
        """Make the root absolute."""
        object.__setattr__(self, "root", self.root.absolute())

    @property
    def on_disk(self) -> Path:
        """The folder of a lake that lies on this machine.

        Raises
        ------
        NotOnDiskError
            If it lies in a bucket.
        """
        if isinstance(self.root, Path):
            return self.root
        raise NotOnDiskError(self.root)

    @property
    def here(self) -> Path:
        """The folder of this machine for what cannot lie in a bucket: journals, files in work."""
        if isinstance(self.root, Path):
            return self.root
        return work_folder(self.root)

    def listed(self, *folders: str) -> "Lake":
        """Return the lake for one look at much of it: in a bucket, what is listed is listed once.

        Parameters
        ----------
        *folders
            Are listed at once, as wholes; others when they are asked for, a dataset at a time. An
            object that is missing is looked for all the same: it may have come since.
        """
        if isinstance(self.root, Path):
            return self
        root = replace(self.root, store=replace(self.root.store, listing=Listing()))
        for folder in folders:
            list(root.store.below(folder))
        return Lake(root)

    def inside(self, place: Place) -> PurePosixPath:
        """Return the name of a place of this lake as seen from its root.

        Raises
        ------
        ValueError
            If it is not in this lake.
        """
        if isinstance(place, Path) and isinstance(self.root, Path):
            return PurePosixPath(place.relative_to(self.root).as_posix())
        if isinstance(place, ObjectPlace) and isinstance(self.root, ObjectPlace):
            return place.relative_to(self.root)
        message = f"{place} is not in the lake at {self.root}"
        raise ValueError(message)

    def folder(self, top: Top, dataset: str) -> Place:
        """Return the folder that holds the published Parquet of a dataset."""
        return self.root.joinpath(top, dataset)

    def published(self, top: Top, partition: Partition) -> Place:
        """Return the one published file of a partition."""
        return self._below(top, partition, "parquet")

    def clean(self, partition: Partition) -> Place:
        """Return the published file of a partition that is made from raw."""
        return self.published("clean", partition)

    def derived(self, partition: Partition) -> Place:
        """Return the published file of a partition that is computed."""
        return self.published("derived", partition)

    def files(self, dataset: str) -> list[Place]:
        """Return the published files of a dataset, sorted, whoever vouches for them."""
        return [
            self.root.joinpath(top, dataset, part, name)
            for top in TOPS
            for _, part, name in self._below_top(top, dataset, ".parquet")
        ]

    def held(self) -> dict[str, list[Place]]:
        """Return the published files of every dataset, as `files` does of one, by one look."""
        found: dict[str, list[Place]] = {}
        for top in TOPS:
            for dataset, part, name in self._below_top(top, None, ".parquet"):
                path = self.root.joinpath(top, dataset, part, name)
                found.setdefault(dataset, []).append(path)
        return found

    def quarantine(self, partition: Partition) -> Place:
        """Return the file of rows that failed their contract."""
        return self._below("quarantine", partition, "parquet")

    def ledger(self, partition: Partition) -> Place:
        """Return the ledger file of a partition."""
        return self._below(LEDGER, partition, "json")

    def lock(self, partition: Partition) -> Place:
        """Return the lock file of a partition; in a bucket locks lie apart, not to be listed."""
        if isinstance(self.root, ObjectPlace):
            return self._below(LOCKS, partition, "lock")
        return self.ledger(partition).with_suffix(".lock")

    def raw(self, method: str, **keys: object) -> Place:
        """Return the folder of raw segments of one method, e.g. ``instrument=…/year=…``."""
        return self.root.joinpath("raw", method, *(f"{key}={keys[key]}" for key in keys))

    def partitions(self, dataset: str | None = None) -> Iterator[Partition]:
        """Yield every partition the ledger knows, sorted."""
        for held, part, name in self._below_top(LEDGER, dataset, ".json"):
            if is_period(period := name.removesuffix(".json")):
                yield Partition(held, part, period)

    def datasets(self) -> list[str]:
        """Return the names of the datasets that have at least one published file."""
        held = (self._below_top(top, None, ".parquet") for top in TOPS)
        return sorted({dataset for each in held for dataset, _, _ in each})

    def _below(self, top: str, one: Partition, ending: str) -> Place:
        return self.root.joinpath(top, one.dataset, one.part, f"{one.period}.{ending}")

    def _below_top(
        self, top: str, dataset: str | None, ending: str
    ) -> Iterator[tuple[str, str, str]]:
        """Yield dataset, part and name of the files with some ending, sorted."""
        folder = self.root / top
        if dataset is None:
            found = names_below(folder, 3)
        else:
            found = ((dataset, *inside) for inside in names_below(folder / dataset, 2))
        for held, part, name in found:
            if name.endswith(ending):
                yield held, part, name


def open_lake(root: Place, *, create: bool = False) -> Lake:
    """Return the lake at `root`.

    Raises
    ------
    LakeFormatError
        If a newer version wrote the lake.
    NotWritableError
        If the lake has to be made and cannot be.
    UnconditionalStoreError
        If it has to be made in a store whose locks would not hold.
    """
    lake = Lake(root)
    if read_marker(lake) is None:
        check_bucket(root)
        if create:
            _make(root)
    return lake


def write_format(lake: Lake) -> None:
    """Say that the lake is of this version's format."""
    found = read_marker(lake) or Marker()
    write_marker(lake, msgspec.structs.replace(found, format=FORMAT))


def read_marker(lake: Lake) -> Marker | None:
    """Return what a lake says of itself, None where there is none.

    Raises
    ------
    LakeFormatError
        If a newer version wrote the lake.
    """
    return _read_marker(lake.root / MARKER)


def write_marker(lake: Lake, marker: Marker) -> None:
    """Replace what a lake says of itself."""
    told = {"format": marker.format} | msgspec.to_builtins(marker)
    publish_bytes(json.dumps(told).encode() + b"\n", lake.root / MARKER)


def format_of(lake: Lake) -> int:
    """Return the number of the lake's format; that of a lake not made yet is this version's.

    Raises
    ------
    LakeFormatError
        If a newer version wrote the lake.
    """
    found = read_marker(lake)
    return FORMAT if found is None else found.format


def check_bucket(root: Place) -> None:
    """Ask the store of a lake that is not there whether its bucket is.

    Raises
    ------
    RefusedByStoreError
        If there is no bucket of that name, or the keys may not list it.
    """
    if isinstance(root, ObjectPlace):
        root.store.folders()


def work_folder(root: ObjectPlace) -> Path:
    """Return the folder of this machine for what of a lake in a bucket cannot lie there."""
    store = root.store
    digest = hashlib.blake2b(f"{store.endpoint} {store.url}".encode(), digest_size=6).hexdigest()
    return store.work_dir.absolute() / f"{store.bucket}-{digest}"


def _make(root: Place) -> None:
    if isinstance(root, Path):
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritableError(root, error) from error
    else:
        check_conditional(root.store)
    write_format(Lake(root))


def _read_marker(path: Place) -> Marker | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = int(json.loads(data)["format"])
        if found <= FORMAT:
            return msgspec.json.decode(data, type=Marker)
    except (ValueError, KeyError, TypeError) as error:  # DecodeError is a ValueError
        message = f"{path} does not say the lake's format: expected {{'format': {FORMAT}}}"
        raise LakeFormatError(message) from error
    message = (
        f"{path.parent} has format {found}, written by a newer deribit-lake; "
        f"this one reads up to format {FORMAT}: upgrade it"
    )
    raise LakeFormatError(message)
