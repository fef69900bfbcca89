"""The drill: restore the newest backup beside what lives, and hold the one against the other.

A backup that was never restored is a hope. The lake is restored into a scratch folder and the
database under a scratch name; every partition's file is read on both sides, every table and month
added up on both servers, and a quarter of the repository's data read, another one each week. What
was made for it is taken away again; what a killed drill left, by the next one.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from etl.backfill.run import rules_of
from etl.backup.compare import Compared, compare_partitions, compare_raw
from etl.backup.compare_database import compare_databases
from etl.backup.drill_report import DrillReport, summary
from etl.backup.frozen import FOLDER
from etl.backup.identity import check_lake, identity
from etl.backup.repository import LATEST, Repository, Snapshot
from etl.backup.restore import Part, RestoreReport, restore
from etl.backup.room import check_room
from etl.config import Settings
from etl.database import restore as database
from etl.database.connection import target
from etl.database.dsn import with_database
from etl.database.maintenance import drop, maintaining, named_like
from etl.errors import BackupError, DatabaseError, LockedError, NoSnapshotError
from etl.outcome import StopCode, ctrl_c, outcome_kept
from etl.pings import Check
from etl.progress import Progress
from lake.lock import NO_WAIT, RUN, locked_file
from lake.paths import Lake
from lake.write import disk_errors

logger = logging.getLogger(__name__)

OPERATION = "drill"
PREFIX = "deribit_lake_drill_"
PARTS = 4
"""Of the repository's data one is read each week: all of them within a month."""
WEEK_S = 7 * 86_400
T = TypeVar("T")


def drill(
    settings: Settings,
    repository: Repository,
    progress: Progress,
    *,
    stop_code: StopCode = ctrl_c,
) -> DrillReport:
    """Restore the newest backup of a lake, compare, and say what came of it.

    How it ended is kept in the lake, and `backup.drill_ping_url` is told.

    Raises
    ------
    UsageError
        If there is no lake.
    PartitionBusyError, DumpError
        If another drill runs, of this lake or on this server.
    BackupError
        If restic refuses, or there is no backup.
    DiskFullError
        If there is no room to restore into.
    """
    lake = Lake(settings.place)
    check_lake(lake)
    lock, name = lake.root / FOLDER / f"{OPERATION}.lock", f"a drill of {lake.root}"
    with locked_file(lock, name, doing=RUN, cure=NO_WAIT):
        check = Check(settings.backup.drill_ping_url)
        with outcome_kept(lake, OPERATION, check, stop_code=stop_code) as ending:
            report = _drill(settings, lake, repository, progress)
            ending.exit_code, ending.told = report.exit_code, report.verdict
            ending.error = report.verdict if report.exit_code else None
            ending.summary = summary(report)
        return report


def data_part(now_s: float) -> int:
    """Return which part of the repository's data is this week's, from 1 to `PARTS`."""
    return int(now_s // WEEK_S) % PARTS + 1


def _drill(
    settings: Settings, lake: Lake, repository: Repository, progress: Progress
) -> DrillReport:
    started = time.monotonic()
    snapshot = repository.choose(LATEST, _identity(lake))
    folder, since_s = _scratch(lake), snapshot.time.timestamp()
    notes, compared = list[str](), dict[str, Compared]()
    with ExitStack() as stack:
        stack.enter_context(_emptied(folder))
        name = _database(settings, snapshot, notes, stack)
        check_room(settings, folder, snapshot.bytes, has_database=name is not None)
        restored, failed = _restored(settings, repository, snapshot, folder, name, progress)
        old = Lake(restored.folder or folder)
        compared["lake"] = interruptible(lambda: compare_partitions(lake, old, since_s))
        compared["raw"] = interruptible(lambda: compare_raw(lake, old, since_s))
        if name is not None and not failed:
            there = with_database(_server_of(settings), name)
            live = target(settings)
            compared["database"] = interruptible(lambda: compare_databases(live, there))
    part = data_part(time.time())
    checked = read_data(repository, part, notes)
    faults = [f"lost in the backup: {one}" for one in restored.lost]
    faults += [f"{one}: not in the backup as its line says; made again" for one in restored.rebuilt]
    faults += failed + checked
    own = compared.get("database")
    return DrillReport(
        snapshot=snapshot.id,
        time=snapshot.time,
        seconds=time.monotonic() - started,
        partitions=compared["lake"].same,
        rows=compared["lake"].rows,
        raw_files=compared["raw"].same,
        months=own.same if own else None,
        database_rows=own.rows if own else None,
        data_part=f"{part}/{PARTS}",
        newer=tuple(one for each in compared.values() for one in each.newer),
        notes=tuple(notes),
        faults=(*faults, *(one for each in compared.values() for one in each.faults)),
    )


def _identity(lake: Lake) -> str:
    """Return what a lake's backups go by.

    Raises
    ------
    NoSnapshotError
        If it was never backed up: what the repository holds of others says nothing of it.
    """
    found = identity(lake)
    if found is None:
        message = f"{lake.root} was never backed up: `deribit-lake backup run` does it"
        raise NoSnapshotError(message)
    return found


def _restored(
    settings: Settings,
    repository: Repository,
    snapshot: Snapshot,
    folder: Path,
    name: str | None,
    progress: Progress,
) -> tuple[RestoreReport, list[str]]:
    """Restore lake and database; return what came of the one, and what failed of the other."""
    failed: list[str] = []

    def load(dump: Path) -> None:
        dsn = _server_of(settings)
        try:
            interruptible(lambda: database.restore(dsn, dump, database=str(name)))
        except DatabaseError as error:  # the lake is compared all the same
            failed.append(f"database: {error}")

    parts: list[Part] = ["lake"] if name is None else ["lake", "database"]
    report = restore(
        repository,
        snapshot,
        folder / "lake",
        parts=parts,
        load=None if name is None else load,
        rules=rules_of(settings),
        progress=progress,
    )
    return report, failed


def _database(
    settings: Settings, snapshot: Snapshot, notes: list[str], stack: ExitStack
) -> str | None:
    """Return the name of the drill's database, None where there is none to restore."""
    if settings.dsn is None or not settings.backup.database:
        notes.append("no database is backed up here: none was restored")
        return None
    if not snapshot.has_database:
        message = f"the backup {snapshot.short} holds no database: run `deribit-lake backup run`"
        raise BackupError(message)
    return stack.enter_context(_scratch_database(_server_of(settings)))


@contextmanager
def _scratch_database(dsn: str) -> Iterator[str]:
    """Yield a name for a database, and drop what has it; first what drills before left."""
    with maintaining(dsn, PREFIX) as server:
        for one in named_like(server, PREFIX):
            logger.warning("dropping database %s, which a drill that was killed left", one)
            drop(server, one)
        try:
            yield f"{PREFIX}{datetime.now(UTC):%Y%m%d%H%M%S}"
        finally:
            for one in named_like(server, PREFIX):
                drop(server, one)


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Make an empty folder, and take it away with all that is in it."""
    with disk_errors(folder):
        if folder.exists():
            logger.warning("removing %s, which a drill that was killed left", folder)
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch(lake: Lake) -> Path:
    """Return where a lake's drill restores to: in it, for beside it we may have no right to write.

    The lake may be a disk's own folder, or the only one a unit of systemd may write.
    """
    return lake.on_disk / FOLDER / OPERATION


def _server_of(settings: Settings) -> str:
    """Return the server the drill makes its database on."""
    return settings.backup.drill_dsn or target(settings)


def read_data(repository: Repository, part: int, notes: list[str]) -> list[str]:
    """Have restic read a part of the repository's data; return what is wrong with it."""
    try:
        repository.check(f"{part}/{PARTS}")
    except LockedError as error:
        notes.append(f"the repository's data were not read: {error}")
    except BackupError as error:
        return [f"repository: {error}"]
    return []


def interruptible(call: Callable[[], T]) -> T:
    """Return what a call returns; Ctrl-C ends the wait for it at once, wherever it is."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  whoever waits gets it
            future.set_exception(error)

    threading.Thread(target=run, name="drill", daemon=True).start()
    return future.result()
