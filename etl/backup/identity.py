"""Which lake a backup is of, on whatever machine: a name of its own that is restored with it."""

import uuid
from pathlib import Path

from etl.errors import UsageError
from lake.errors import CorruptFileError
from lake.operations import FOLDER
from lake.paths import MARKER, Lake
from lake.store.place import Place
from lake.write import publish_bytes

FILE = "identity"


def check_on_disk(root: Place) -> None:
    """Refuse a lake in a bucket: a backup is of files that are linked, and read by restic.

    Raises
    ------
    UsageError
        If it lies in one.
    """
    if not isinstance(root, Path):
        message = (
            f"{root} lies in a bucket, and a backup is of a lake on a disk: let the bucket keep "
            "versions or a replica, or `deribit-lake pull` it to a disk and back that up"
        )
        raise UsageError(message)


def check_lake(lake: Lake) -> None:
    """Refuse a folder that is no lake, before anything is written to it.

    Raises
    ------
    UsageError
        If it is none, or lies in a bucket.
    """
    check_on_disk(lake.root)
    if not (lake.root / MARKER).exists():
        message = f"no lake at {lake.root}: expected a folder with {MARKER}"
        raise UsageError(message)


def identity(lake: Lake, *, create: bool = False) -> str | None:
    """Return the name a lake's backups go by; None where it never had one and none is to be made.

    Raises
    ------
    CorruptFileError
        If the file is not what is written here.
    DiskFullError
        If there is no room for it.
    """
    path = lake.root / FOLDER / FILE
    try:
        return str(uuid.UUID(path.read_bytes().decode("ascii").strip()))
    except FileNotFoundError:
        if not create:
            return None
    except (ValueError, UnicodeDecodeError) as error:
        raise CorruptFileError(path, f"no identity of a lake: {error}") from error
    name = str(uuid.uuid4())
    publish_bytes(f"{name}\n".encode(), path)
    return name
