"""What went wrong at the exchange, and when: one table, half-open intervals in UTC.

The moments are Deribit's own (statements after 2019-05-12, 2020-08-27 and 2020-11-26). Which
minutes a client really finds missing nobody has recorded; one interval is therefore served as
flat fillers, so that both kinds of outage exist.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000


def milliseconds(moment: str) -> int:
    """Return Unix milliseconds of an ISO 8601 moment; without an offset it is UTC."""
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        parsed = datetime.fromisoformat(f"{moment}+00:00")
    return round(parsed.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Outage:
    """No trade in ``[start, end)``: minutes are missing, or served as flat fillers."""

    start: str
    end: str
    served: Literal["missing", "fillers"]

    def holds(self, minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which minutes (Unix minutes) lie inside."""
        first = milliseconds(self.start) // MINUTE_MS
        return (minutes >= first) & (minutes < milliseconds(self.end) // MINUTE_MS)


OUTAGES = (
    Outage("2019-05-12T14:03", "2019-05-12T14:12", "missing"),
    Outage("2019-05-12T15:31", "2019-05-12T15:40", "missing"),
    Outage("2019-05-13T10:41", "2019-05-13T10:59", "fillers"),
    Outage("2020-08-27T05:15", "2020-08-27T09:27", "missing"),
    Outage("2020-11-26T08:37", "2020-11-26T09:04", "missing"),
    Outage("2020-11-26T16:12", "2020-11-26T16:35", "missing"),
)

INDEX_BUG = Outage("2019-10-31T21:00", "2019-10-31T21:04", "missing")
"""BTC-PERPETUAL traded 15 % lower in these minutes; the trades were not rolled back."""

INDEX_BUG_FACTOR = 0.85


def is_missing(minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which minutes the exchange does not have for any instrument."""
    return _any_holds([outage for outage in OUTAGES if outage.served == "missing"], minutes)


def is_silent(minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell in which minutes nothing trades: missing ones and those served as fillers."""
    return _any_holds(OUTAGES, minutes)


def _any_holds(
    outages: tuple[Outage, ...] | list[Outage], minutes: NDArray[np.int64]
) -> NDArray[np.bool_]:
    inside = np.zeros(minutes.shape, dtype=bool)
    for outage in outages:
        inside |= outage.holds(minutes)
    return inside
