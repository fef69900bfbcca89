"""When the last days of a dataset were asked for again: once a day is enough.

The exchange may change a candle after it said it was final. What is read within two hours of its
close is read again by every run (settle_minutes); what is older is, once a day, while it lies
within the trailing hours. An answer that differs is no more believed than the one before it: others
are asked for, and what most of the latest say is published.
"""

from dataclasses import dataclass

import msgspec

from etl.when import clock_ms
from lake.operations import FOLDER
from lake.paths import Lake
from lake.store.place import Place
from lake.write import publish_bytes

HOUR_MS = 3_600_000
ONCE_MS = 20 * HOUR_MS  # a day, and room for a timer that is not on the minute


@dataclass(frozen=True, slots=True)
class Trailing:
    """The trailing hours of each dataset, and when they were last read."""

    lake: Lake
    hours: float

    def since_ms(self, name: str, now_ms: int) -> int | None:
        """Return from when on rows of a dataset are asked for again, None where none are now.

        `now_ms` is the exchange's clock.
        """
        age_ms = clock_ms() - self._read().get(name, 0)
        is_due = not 0 <= age_ms < ONCE_MS  # a moment in the future is of a clock put back since
        return now_ms - round(self.hours * HOUR_MS) if self.hours and is_due else None

    def was_read(self, name: str) -> None:
        """Take note that the trailing hours of a dataset were read just now."""
        known = self._read() | {name: clock_ms()}
        publish_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1), self._path)

    @property
    def _path(self) -> Place:
        return self.lake.root / FOLDER / "trailing.json"

    def _read(self) -> dict[str, int]:
        """Return when each was read; nothing where that cannot be read: it is then read again."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return {}
