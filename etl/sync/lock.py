"""One sync of a lake at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from lake.lock import Wait, locked_file
from lake.operations import FOLDER
from lake.paths import Lake


@contextmanager
def sync_lock(lake: Lake, *, wait: Wait) -> Iterator[None]:
    """Hold the lock one sync of a lake has.

    Raises
    ------
    PartitionBusyError
        If another sync is under way, and is not waited for; it names its pid.
    """
    path = lake.root / FOLDER / "sync.lock"
    doing = "is under way in"
    with locked_file(path, f"a sync of {lake.root}", wait=wait, doing=doing):
        yield
