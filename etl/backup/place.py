"""Where a restored lake goes: made beside its place, or in it, and moved there when it is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from etl.errors import UsageError
from lake.errors import PartitionBusyError
from lake.lock import NO_WAIT, RUN, locked_file
from lake.paths import MARKER
from lake.write import disk_errors, fsync_folder

INSIDE = ".restoring"
NOT_OURS = {INSIDE, f"{INSIDE}.lock", "lost+found"}
"""What an empty disk may hold, and what a restore that was killed leaves in one."""
LOCKS = ("*.lock", "live/*.lock", "operations/*.lock", "backup/*.lock", "ledger/**/*.lock")
LAST = ("ledger", MARKER)  # without them no file is vouched for


def check_place(folder: Path, *, force: bool) -> None:
    """Accept a folder that is empty or not there, or that may be set aside.

    Raises
    ------
    UsageError
        If it is neither.
    PartitionBusyError
        If somebody works on the lake that is to be set aside.
    """
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is no folder"
        raise UsageError(message)
    held = _held(folder)
    if held and not force:
        message = (
            f"{folder} is not empty (it has {held[0]}): choose another by --to, or give "
            "--force to set it aside"
        )
        raise UsageError(message)
    if held and _stays(folder):
        message = (
            f"{folder} is not empty (it has {held[0]}) and cannot be set aside, as a disk's own "
            "folder or in one we may not write: empty it, or choose another by --to"
        )
        raise UsageError(message)
    if held:
        _check_idle(folder)


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of another, and take it away in the end.

    It lies beside the other; inside, where that is a disk's own folder or in one of somebody else.

    Raises
    ------
    PartitionBusyError
        If another restore goes to the same folder.
    """
    folder = folder.absolute()
    made = folder / INSIDE if _stays(folder) else folder.with_name(f".{folder.name}{INSIDE}")
    lock = made.with_name(f"{made.name}.lock")
    with locked_file(lock, f"a restore into {folder}", doing=RUN, cure=NO_WAIT):
        try:
            with disk_errors(made):
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir(mode=0o700)
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            lock.unlink(missing_ok=True)


def move(source: Path, folder: Path) -> Path | None:
    """Put a folder into its place; return where what was there is now.

    Raises
    ------
    PartitionBusyError
        If somebody works on what was there.
    """
    folder = folder.absolute()
    aside: Path | None = None
    with disk_errors(folder):
        os.sync()  # all that was restored, before it gets its name
        if _stays(folder):
            _move_content(source, folder)
            return None
        if _held(folder):
            _check_idle(folder)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            aside = folder.with_name(f"{folder.name}.before-{stamp}")
            folder.rename(aside)
        source.chmod(0o755)
        source.replace(folder)
        fsync_folder(folder.parent)
    return aside


def _check_idle(lake: Path) -> None:
    """Accept a lake nobody collects into, syncs, backs up or writes: half of it would go elsewhere.

    Raises
    ------
    PartitionBusyError
        If somebody does; it names the pid.
    """
    for lock in (path for locks in LOCKS for path in sorted(lake.glob(locks))):
        try:
            with locked_file(lock, str(lock.relative_to(lake))):
                pass
        except PartitionBusyError as error:
            holder = str(error).partition(";")[0]
            message = f"{lake} cannot be set aside: {holder}; stop that first"
            raise PartitionBusyError(message) from error


def _move_content(source: Path, folder: Path) -> None:
    """Move what is in a folder into another, what makes a lake of it last."""
    rest = sorted(path.name for path in source.iterdir() if path.name not in LAST)
    for path in (source / name for name in (*rest, *LAST)):
        if path.exists():
            path.replace(folder / path.name)
    fsync_folder(folder)


def _held(folder: Path) -> list[str]:
    """Return what is in a folder, by name; nothing where there is none."""
    if not folder.is_dir():
        return []
    return sorted({path.name for path in folder.iterdir()} - NOT_OURS)


def _stays(folder: Path) -> bool:
    """Whether a folder cannot be replaced: a disk's own, or in a folder we may not write."""
    folder = folder.absolute()
    return folder.is_dir() and (folder.is_mount() or not os.access(folder.parent, os.W_OK))
