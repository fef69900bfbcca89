"""The folder of a server of one's own, and the user its server runs as: never root.

Root's server has another user, who passes no folder that is closed to others (``/root``). Below
such a one the server's folder is a link to one below ``/var/lib/deribit-lake``.
"""

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from etl.database.packages import alone, run
from etl.errors import LocalServerError

OPEN_TO_ALL = Path("/var/lib/deribit-lake")
_TRIES = 1000


@contextmanager
def folder_errors(db_dir: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line that names the folder."""
    try:
        yield
    except OSError as error:
        message = f"cannot use {db_dir}: {error.strerror or error}"
        raise LocalServerError(message) from error


def make_folder(db_dir: Path) -> Path:
    """Make a server's folder where the server's user can reach it; return where it lies.

    Raises
    ------
    LocalServerError
        If it holds something and lies where the server's user cannot reach it.
    """
    if "\n" in str(db_dir):
        message = f"cannot use {str(db_dir)!r}: PostgreSQL wants a folder without line breaks"
        raise LocalServerError(message)
    place = db_dir.resolve()
    made = not place.exists()
    _make(place)
    if made:
        place.chmod(0o711)  # whatever the umask: the server's user passes through
    if _is_open_to_owner(place):
        return place
    OPEN_TO_ALL.mkdir(parents=True, exist_ok=True)
    OPEN_TO_ALL.chmod(0o755)
    with alone(OPEN_TO_ALL / "lock"):
        return _led_elsewhere(db_dir)


def owner() -> tuple[int, int]:
    """Return the user and group the server runs as: never root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return entry.pw_uid, entry.pw_gid


def owner_name() -> str:
    """Return the name of the user the server runs as."""
    return pwd.getpwuid(owner()[0]).pw_name


def as_owner(command: Sequence[object]) -> list[str]:
    """Return the command line that runs a command as the server's user."""
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    user, group = owner()
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--", *words]


def write_private(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if owner is not None:
            os.fchown(descriptor, *owner)


def _is_open_to_owner(folder: Path) -> bool:
    if os.geteuid() != 0:
        return True
    try:
        run(as_owner(["test", "-x", folder]))
    except LocalServerError:
        return False
    return True


def _led_elsewhere(db_dir: Path) -> Path:
    """Put a link to a folder that everybody can reach in the place of an empty one."""
    place = db_dir.resolve()
    if _is_open_to_owner(place):  # another `db up` was faster
        return place
    if any(place.iterdir()):
        closed = next((x for x in reversed(place.parents) if not _is_open_to_owner(x)), place)
        message = (
            f"the server's user {owner_name()} cannot reach {db_dir}: {closed} is closed to it; "
            f"`chmod o+x {closed}`, or choose another folder by DERIBIT_LAKE_DB_DIR"
        )
        raise LocalServerError(message)
    elsewhere = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=OPEN_TO_ALL))
    elsewhere.chmod(0o711)
    _exchange(place, elsewhere)
    return elsewhere


def _make(place: Path) -> None:
    """Make a folder, which another `db up` may exchange for a link meanwhile."""
    for _ in range(_TRIES):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if _is_something_else(place):
                raise
            continue
        return
    message = f"cannot make {place}: something else is there, and then it is not"
    raise LocalServerError(message)


def _is_something_else(place: Path) -> bool:
    """Say whether what is there is no folder, by one look: a second may see another thing."""
    try:
        return not stat.S_ISDIR(place.stat().st_mode)
    except FileNotFoundError:
        return False


def _exchange(place: Path, elsewhere: Path) -> None:
    """Put a link in the place of an empty folder, which another `db up` may make again."""
    for _ in range(_TRIES):
        place.rmdir()
        try:
            place.symlink_to(elsewhere)
        except FileExistsError:
            continue
        return
    message = f"cannot put a link to {elsewhere} at {place}: something makes a folder there again"
    raise LocalServerError(message)
