"""What came of the last run of each nightly operation: sync, backup, drill."""

from typing import Any

import msgspec

from lake.errors import CorruptFileError
from lake.paths import Lake
from lake.write import publish_bytes

FOLDER = "operations"
MOST_HOURS = {"sync": 36, "backup": 36, "drill": 9 * 24}
"""How long ago the last run of each may have ended: nightly ones, whose next may take hours or be
tried again until noon; and a weekly one."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one run of an operation ended; moments in Unix milliseconds, of our own clock."""

    operation: str
    started_ms: int
    finished_ms: int
    exit_code: int
    error: str | None = None
    summary: dict[str, Any] = {}

    @property
    def is_good(self) -> bool:
        """Whether it did all it had to."""
        return self.exit_code == 0


def write_outcome(lake: Lake, outcome: Outcome) -> None:
    """Keep how an operation ended, in place of what was kept of the run before.

    Raises
    ------
    DiskFullError
        If there is no room.
    NotWritableError
        If the lake's folder cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(outcome), indent=1)
    publish_bytes(text, lake.root / FOLDER / f"{outcome.operation}.json")


def read_outcome(lake: Lake, operation: str) -> Outcome | None:
    """Return how an operation ended last, None where it never ran.

    Raises
    ------
    CorruptFileError
        If the file is not what `write_outcome` writes.
    """
    path = lake.root / FOLDER / f"{operation}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # ValidationError is a DecodeError
        reason = f"no outcome of an operation: {error}"
        raise CorruptFileError(path, reason) from error
