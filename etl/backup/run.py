"""Back up a lake and its database: one snapshot of one moment, whatever is being written."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from etl.backup.damage import items
from etl.backup.frozen import DATABASE, FOLDER, LAKE, Frozen, frozen
from etl.backup.identity import check_lake, identity
from etl.backup.repository import Repository, newest
from etl.backup.restic import UNREADABLE, Done
from etl.errors import BackupError, EtlError
from etl.outcome import StopCode, ctrl_c, outcome_kept
from etl.pings import Check
from lake.errors import LakeError
from lake.lock import RUN, locked_here
from lake.paths import Lake

logger = logging.getLogger(__name__)

OPERATION = "backup"
DUMP = "database.dump"
LOCK = "backup.lock"
FAILED, INCOMPLETE = 1, 3

Dump = Callable[[Path], object]
"""Writes a dump of the database to a file, and a manifest beside it."""


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup took.

    Attributes
    ----------
    files, bytes
        Of the lake.
    read_files
        How many of them are new or changed, and were read.
    added_bytes
        What the repository had not; compressed where restic says so (from 0.17 on).
    database_bytes
        Of the dump; None where there is none.
    forgotten
        Older backups that were forgotten.
    copied
        Files that could not be linked.
    doubted
        Partitions that were being written all the while: a restore makes them again from raw.
    unreadable
        Files that could not be read, and are missing.
    database_error
        Why the database is not in it.
    """

    snapshot: str
    repository: str
    files: int
    bytes: int
    read_files: int
    added_bytes: int
    database_bytes: int | None
    forgotten: int
    seconds: float
    copied: int = 0
    doubted: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    database_error: str | None = None

    @property
    def exit_code(self) -> int:
        """The verdict: 1 where the database is missing, 3 where files are."""
        if self.database_error is not None:
            return FAILED
        return INCOMPLETE if self.unreadable else 0


def run(
    lake: Lake,
    repository: Repository,
    dump: Dump | None = None,
    *,
    check: Check | None = None,
    wait: bool = False,
    stop_code: StopCode = ctrl_c,
) -> BackupReport:
    """Back up a lake, and the database by `dump`; keep how that ended, and tell a check.

    Raises
    ------
    UsageError
        If there is no lake.
    PartitionBusyError
        If another backup of this lake runs, and `wait` is false.
    BackupError
        If restic refuses.
    DiskFullError
        If there is no room for the dump.
    """
    check_lake(lake)
    path = lake.on_disk / FOLDER / LOCK
    with (
        locked_here(path, f"a backup of {lake.root}", wait=wait, doing=RUN) as held,
        outcome_kept(lake, OPERATION, check or Check(None), stop_code=stop_code) as ending,
    ):
        report = _back_up(lake, repository, dump, held)
        ending.exit_code, ending.error = report.exit_code, report.database_error
        ending.summary, ending.told = msgspec.to_builtins(report), report_text(report)
    return report


def report_text(report: BackupReport) -> str:
    """Return a backup in a few lines."""
    size = f"{report.files:,} files, {report.bytes / 1e6:,.1f} MB"
    database = (
        "" if report.database_bytes is None else f", database {report.database_bytes:,} bytes"
    )
    new = f"{report.read_files:,} files and {report.added_bytes / 1e6:,.1f} MB are new"
    head = f"backup {report.snapshot[:8]} in {report.repository}: {size}{database}; {new}"
    lines = [
        f"{head}, {report.seconds:.1f} s",
        *_counted(report.forgotten, "older backups forgotten"),
        *_counted(report.copied, "files copied: the file system has no hard links for them"),
        *(f"{one} was being written: a restore makes it again from raw" for one in report.doubted),
        *(f"{one} could not be read and is missing" for one in report.unreadable),
    ]
    if report.database_error is not None:
        lines.append(f"the database is missing: {report.database_error}")
    return "\n".join(lines)


def _counted(number: int, what: str) -> list[str]:
    return [f"{number} {what}"] if number else []


def _back_up(lake: Lake, repository: Repository, dump: Dump | None, held: IO[Any]) -> BackupReport:
    began = time.monotonic()
    name = identity(lake, create=True)
    assert name is not None  # noqa: S101  it was made
    before = repository.ensure(name)
    failure: str | None = None

    def put_dump(root: Path) -> None:
        nonlocal failure
        if dump is not None:
            failure = _dump(dump, root / DATABASE)

    # The dump comes first: what is loaded was published before, so the lake has all of it.
    with frozen(lake, put_dump) as tree:
        database_bytes = _dumped_bytes(tree)
        names = [LAKE] if database_bytes is None else [LAKE, DATABASE]
        tags = [f"lake:{name}", f"files:{tree.files}", f"bytes:{tree.bytes}"]
        tags += [DATABASE] if database_bytes is not None else []
        parent = newest(before) if before else None
        copies = bool(tree.copied)
        done = repository.add(tree.root, names, tags, parent=parent, held=held, copies=copies)
    summary = _summary(done)
    snapshot = str(summary["snapshot_id"])
    unreadable = (*tree.unreadable, *_missing(repository, snapshot, _named(done, tree)))
    if unreadable:
        repository.mark(snapshot, "unreadable")
    # A backup that lacks something replaces none.
    is_whole = not unreadable and failure is None
    forgotten = repository.thin_out(name, before, held=held) if is_whole else 0
    logger.info("backup %s: %d files, %d bytes", snapshot[:8], tree.files, tree.bytes)
    return BackupReport(
        snapshot=snapshot,
        repository=repository.address,
        files=tree.files,
        bytes=tree.bytes,
        read_files=int(summary.get("files_new", 0)) + int(summary.get("files_changed", 0)),
        added_bytes=int(summary.get("data_added_packed") or summary.get("data_added") or 0),
        database_bytes=database_bytes,
        forgotten=forgotten,
        seconds=time.monotonic() - began,
        copied=tree.copied,
        doubted=tuple(map(str, tree.doubted)),
        unreadable=unreadable,
        database_error=failure,
    )


def _dump(dump: Dump, folder: Path) -> str | None:
    """Dump the database into a folder; return why it cannot be, which stops no backup."""
    folder.mkdir(exist_ok=True)
    try:
        dump(folder / DUMP)
    except (EtlError, LakeError) as error:
        for path in folder.iterdir():
            path.unlink()
        return str(error)
    return None


def _dumped_bytes(tree: Frozen) -> int | None:
    dump = tree.root / DATABASE / DUMP
    return dump.stat().st_size if dump.exists() else None


def _summary(done: Done) -> dict[str, Any]:
    found = [dict(one) for one in done.messages if one.get("message_type") == "summary"]
    if not found:
        message = f"restic did not say what it backed up: {done.said or 'it said nothing'}"
        raise BackupError(message)
    return found[-1]


def _named(done: Done, tree: Frozen) -> Sequence[str]:
    """Return what restic had trouble with, relative to the tree."""
    if done.code != UNREADABLE:
        return []
    top = f"{tree.root}/"
    return [path.removeprefix(top) for path in items(done)] or ["a file restic does not name"]


def _missing(repository: Repository, snapshot: str, named: Sequence[str]) -> Sequence[str]:
    """Return which of some files a backup lacks, as they are called in the lake.

    Restic names those, too, whose data the repository had lost and which it has stored again.
    """
    if not named:
        return []
    there = {path.lstrip("/") for path, _ in repository.files(snapshot)}
    return [name.removeprefix(f"{LAKE}/") for name in named if name not in there]
