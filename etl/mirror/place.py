"""Whether a place may become a copy of a lake: empty, or a copy of that lake already."""

import uuid
from dataclasses import dataclass

import msgspec

from etl.backup.identity import identity
from etl.errors import UsageError
from etl.mirror.known import FOLDER
from lake.errors import UnconditionalStoreError
from lake.paths import MARKER, Lake, Marker, check_bucket, read_marker, write_marker
from lake.store.conditions import check_conditional, forget_trials
from lake.store.files import names, remove
from lake.store.place import ObjectPlace, Place

WITHOUT_RAW = "is a copy without raw"


class OtherMarkerError(Exception):
    """A copy says something else of itself than it did when it was last written."""


@dataclass(frozen=True, slots=True)
class Ends:
    """A lake and its copy to be.

    Attributes
    ----------
    before
        What the copy says of itself, None where there is none yet.
    after
        What it is to say in the end; its name is that of both.
    is_believed
        Whether `before` is what the copy was left with, and was not asked for.
    """

    source: Lake
    target: Lake
    before: Marker | None
    after: Marker
    is_believed: bool = False

    @property
    def is_push(self) -> bool:
        """Whether the copy is in a bucket."""
        return isinstance(self.target.root, ObjectPlace)

    @property
    def here(self) -> Lake:
        """The one on this machine."""
        return self.source if self.is_push else self.target

    def confirm(self) -> None:
        """See to it that the copy says of itself what it was believed to, before it is written.

        Raises
        ------
        OtherMarkerError
            If it does not.
        """
        if self.is_believed and read_marker(self.target) != self.before:
            raise OtherMarkerError

    def begin(self) -> None:
        """Say of the copy what it is; of a new one that it is not finished.

        Raises
        ------
        LakeError
            If it cannot be written.
        """
        if self.before is None:
            write_marker(self.target, msgspec.structs.replace(self.after, unfinished=True))
            self._check_store()
        elif self.before.lake != self.after.lake:
            write_marker(self.target, msgspec.structs.replace(self.before, lake=self.after.lake))

    def _check_store(self) -> None:
        """Refuse a store for a new lake whose locks would not hold."""
        root = self.target.root
        if isinstance(root, ObjectPlace):
            try:
                check_conditional(root.store)
            except UnconditionalStoreError:
                remove(root / MARKER)
                raise

    def finish(self) -> None:
        """Say of the copy that it is finished, where it did not say so."""
        root = self.target.root
        if isinstance(root, ObjectPlace) and (self.before is None or self.before.unfinished):
            forget_trials(root.store)
        if self.before != self.after:
            write_marker(self.target, self.after)


def name_of(source: Lake, *, without_raw: bool, name_it: bool) -> Marker:
    """Return what a copy of a lake is to say of itself; the lake gets a name where it may.

    Parameters
    ----------
    name_it : bool
        Whether a lake on this machine that has no name gets one.

    Raises
    ------
    LakeFormatError
        If a newer version wrote it.
    RefusedByStoreError
        If there is no such bucket.
    UsageError
        If it is no lake, or has not what is to be copied.
    """
    found = read_marker(source)
    if found is None:
        check_bucket(source.root)
        message = f"no lake at {source.root}: expected one with {MARKER}"
        raise UsageError(message)
    if found.unfinished:
        message = f"{source.root} is {found.doubt}"
        raise UsageError(message)
    if found.without_raw and not without_raw:
        message = f"{source.root} {WITHOUT_RAW}: give --no-raw"
        raise UsageError(message)
    name = found.lake or _named(source, found, write=name_it)
    return Marker(format=found.format, lake=name, without_raw=without_raw)


def ends(source: Lake, target: Lake, after: Marker) -> Ends:
    """Return the two ends of a copy.

    Raises
    ------
    LakeFormatError
        If a newer version wrote what is at the target.
    RefusedByStoreError
        If there is no such bucket.
    UsageError
        If the target is another's.
    """
    before = read_marker(target)
    _check_target(target, before, after.lake)
    if before is not None and after.without_raw and not before.doubt:
        message = f"{target.root} holds raw: leave --no-raw away, or name another place"
        raise UsageError(message)
    return Ends(source, target, before, after)


def _named(lake: Lake, marker: Marker, *, write: bool) -> str:
    """Return the name of a lake that does not say it; one in a bucket goes by its address."""
    if isinstance(lake.root, ObjectPlace):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, str(lake.root)))
    name = identity(lake) or str(uuid.uuid4())
    if write:
        write_marker(lake, msgspec.structs.replace(marker, lake=name))
    return name


def _check_target(target: Lake, before: Marker | None, name: str) -> None:
    """Refuse to write over what is no copy of the lake of that name."""
    if before is None:
        if (other := _something_in(target.root)) is not None:
            message = f"{target.root} has no {MARKER} and is not empty: there is {other}"
            raise UsageError(message)
        return
    own = before.lake or (_named(target, before, write=False) if _has_lines(target) else name)
    if own != name:
        message = f"{target.root} is another lake: expected a copy of {name}, got {own}"
        raise UsageError(message)


def _something_in(root: Place) -> str | None:
    """Return the name of something that is at a place, None where there is nothing."""
    if isinstance(root, ObjectPlace):
        found = root.store.first()
        return None if found is None else found.key
    return next((one for one in names(root) if not one.startswith(f"{FOLDER}/")), None)


def _has_lines(lake: Lake) -> bool:
    return next(lake.partitions(), None) is not None
