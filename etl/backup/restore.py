"""Bring a backup back: beside the place it is for, held against its ledger, then moved there.

What is restored lies in a folder of its own until it is whole, or until it is known what of it is
not. A restore that is killed leaves that folder, which the next one takes away.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from etl.backup.damage import items
from etl.backup.frozen import DATABASE, LAKE
from etl.backup.mend import mend
from etl.backup.place import beside, check_place, move
from etl.backup.refusal import refusal
from etl.backup.repository import Repository, Snapshot
from etl.backup.restic import DONE
from etl.backup.run import DUMP
from etl.errors import DamagedError, NoSnapshotError, RepositoryFullError
from etl.progress import Progress
from etl.proof.protocol import Rules
from lake.errors import DiskFullError
from lake.paths import Lake
from lake.store.files import free_bytes

logger = logging.getLogger(__name__)

Part = Literal["lake", "database"]
FAILED, INCOMPLETE = 1, 3

Load = Callable[[Path], object]
"""Makes the database of a dump, which has its manifest beside it."""


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore brought back.

    Attributes
    ----------
    folder
        Where the lake is now; None where none was asked for.
    set_aside
        Where the one is that was there before.
    damaged
        Files of the lake that the repository could not give.
    rebuilt
        Partitions that were not in the backup as their lines say, and were made again.
    lost
        What the backup does not bring back, a line each.
    database
        Whether the database was made.
    """

    snapshot: str
    time: datetime
    files: int
    seconds: float
    folder: Path | None = None
    set_aside: Path | None = None
    damaged: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    database: bool = False

    @property
    def exit_code(self) -> int:
        """0 where everything is back, 3 where something is lost."""
        return INCOMPLETE if self.lost else 0


def restore(  # noqa: PLR0913  what is brought back, to where, and by whom
    repository: Repository,
    snapshot: Snapshot,
    folder: Path,
    *,
    parts: Sequence[Part],
    load: Load | None,
    rules: Rules,
    progress: Progress,
    missing: Sequence[str] = (),
    force: bool = False,
) -> RestoreReport:
    """Bring a backup back.

    Parameters
    ----------
    folder : Path
        Where the lake goes. What is there is set aside if `force` is true, else nothing may be.
    load : callable, optional
        What makes the database; needed where that is one of the parts.
    missing : sequence of str
        What is known to be in no part of the backup, and lost so far: a line each.

    Raises
    ------
    UsageError
        If the folder is not empty, or the backup has no database that was asked for.
    DiskFullError
        If there is no room; nothing is changed.
    DamagedError
        If so little of the backup can be read that nobody can say what is lost.
    """
    began = time.monotonic()
    _check(snapshot, folder, parts, force=force)
    with beside(folder) as made:
        damaged = _fetched(repository, snapshot, made, parts, folder)
        names = {part: _of(part, damaged) for part in (LAKE, DATABASE)}
        lost, rebuilt = list(missing), list[str]()
        files = sum(1 for path in (made / LAKE).rglob("*") if path.is_file())
        if "lake" in parts:
            mended = mend(Lake(made / LAKE), names[LAKE], rules, progress)
            lost += mended.lost
            rebuilt = [str(one) for one in mended.rebuilt]
        has_database = "database" in parts and not names[DATABASE]
        if names[DATABASE]:
            lost.append("the database: its dump is damaged; `load` fills a new one from the lake")
        aside = move(made / LAKE, folder) if "lake" in parts else None
        if has_database and load is not None:
            load(made / DATABASE / DUMP)
    return RestoreReport(
        snapshot=snapshot.id,
        time=snapshot.time,
        files=files,
        seconds=time.monotonic() - began,
        folder=folder if "lake" in parts else None,
        set_aside=aside,
        damaged=tuple(names[LAKE]),
        rebuilt=tuple(rebuilt),
        lost=tuple(lost),
        database=has_database and load is not None,
    )


def report_text(report: RestoreReport) -> str:
    """Return a restore in a few lines."""
    when = report.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    what = [f"backup {report.snapshot[:8]} of {when}: {report.seconds:.1f} s"]
    if report.folder is not None:
        what.append(f"{report.files:,} files in {report.folder}, held against the ledger")
    if report.set_aside is not None:
        what.append(f"what was there before is in {report.set_aside}")
    if report.database:
        what.append("the database is back")
    what += [f"damaged in the repository: {one}" for one in report.damaged]
    what += [f"made again: {one}" for one in report.rebuilt]
    what += [f"lost: {one}" for one in report.lost]
    return "\n".join(what)


def _check(snapshot: Snapshot, folder: Path, parts: Sequence[Part], *, force: bool) -> None:
    if "database" in parts and not snapshot.has_database:
        message = f"the backup {snapshot.short} holds no database: give --only lake"
        raise NoSnapshotError(message)
    if "lake" not in parts:
        return
    check_place(folder, force=force)
    if snapshot.bytes > free_bytes(folder):
        raise DiskFullError(folder, snapshot.bytes)


def _fetched(
    repository: Repository, snapshot: Snapshot, made: Path, parts: Sequence[Part], folder: Path
) -> list[str]:
    """Restore beside a folder; return the files, by their paths in the backup, that are damaged.

    They are taken away: restic leaves them at their full size, with holes.
    """
    wanted = [f"--include=/{part}" for part in parts] if len(parts) == 1 else []
    done = repository.restore(snapshot, made, wanted)
    if done.code == DONE:
        return []
    failure = refusal(done.code, done.said, repository.address)
    if isinstance(failure, RepositoryFullError):
        raise DiskFullError(folder)
    damaged = set(items(done))
    there = _listed(repository, snapshot, parts)
    for path in damaged:
        _remove(made / path.lstrip("/"))
    damaged |= {path for path, size in there.items() if _size(made / path.lstrip("/")) != size}
    damaged = {path for path in damaged if path in there} if there else damaged
    if not damaged:
        raise failure
    return sorted(damaged)


def _listed(repository: Repository, snapshot: Snapshot, parts: Sequence[Part]) -> dict[str, int]:
    """Return all files of a backup with their sizes [bytes].

    Raises
    ------
    DamagedError
        If the list itself is damaged: then nobody can say what is lost.
    """
    tops = tuple(f"/{part}/" for part in parts)
    try:
        nodes = repository.files(snapshot.id)
    except DamagedError as error:
        message = f"{error}; what backup {snapshot.short} holds cannot be listed: try an older one"
        raise DamagedError(message) from error
    return {path: size for path, size in nodes if path.startswith(tops)}


def _of(part: str, damaged: Sequence[str]) -> list[str]:
    """Return what of some paths in a backup is in a part of it, relative to that."""
    return [path.removeprefix(f"/{part}/") for path in damaged if path.startswith(f"/{part}/")]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _remove(path: Path) -> None:
    if path.is_dir():
        return  # what it lacks is found file by file
    path.unlink(missing_ok=True)
