"""What went wrong at the exchange, and when: one table, half-open intervals in UTC.

The moments are Deribit's own (statements after 2019-05-12, 2019-10-31, 2020-08-27 and
2020-11-26, releases announced for 2026), that of 2026-08-11 is observed. Which minutes a client
finds missing today nobody has recorded; one interval is therefore served as flat fillers, so that
both kinds of outage exist.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
MISPRICED = 0.85
"""What BTC-PERPETUAL traded at, against its fair price, while the index was wrong."""


def milliseconds(moment: str) -> int:
    """Return Unix milliseconds of an ISO 8601 moment; without an offset it is UTC."""
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Incident:
    """From `start` to `end` minutes are missing, served as flat fillers, or mispriced."""

    start: str
    end: str
    effect: Literal["missing", "fillers", "mispriced"]

    def minutes(self) -> tuple[int, int]:
        """Return the first Unix minute inside and the first one after."""
        return milliseconds(self.start) // MINUTE_MS, milliseconds(self.end) // MINUTE_MS


INCIDENTS = (
    Incident("2019-05-12T14:03", "2019-05-12T14:12", "missing"),
    Incident("2019-05-12T15:31", "2019-05-12T15:40", "missing"),
    Incident("2019-05-13T10:41", "2019-05-13T10:59", "fillers"),
    Incident("2019-10-31T21:00", "2019-10-31T21:04", "mispriced"),
    Incident("2020-08-27T05:15", "2020-08-27T09:27", "missing"),
    Incident("2020-11-26T08:37", "2020-11-26T09:04", "missing"),
    Incident("2020-11-26T16:12", "2020-11-26T16:35", "missing"),
    Incident("2026-01-13T09:02", "2026-01-13T09:21", "missing"),
    Incident("2026-05-19T09:01", "2026-05-19T09:26", "missing"),
    Incident("2026-08-11T09:00", "2026-08-11T10:00", "missing"),
)


LONGEST_MINUTES = 400
"""More than any of them lasts."""

_SPANS = [(incident.effect, *incident.minutes()) for incident in INCIDENTS]


def is_missing(minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which minutes the exchange does not have, of no instrument."""
    return _is_hit(minutes, "missing")


def is_silent(minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell in which minutes nothing trades: missing ones and those served as fillers."""
    return _is_hit(minutes, "missing", "fillers")


def is_mispriced(minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell in which minutes BTC-PERPETUAL trades too low."""
    return _is_hit(minutes, "mispriced")


def _is_hit(minutes: NDArray[np.int64], *effects: str) -> NDArray[np.bool_]:
    hit = np.zeros(minutes.shape, dtype=bool)
    for effect, first, end in _SPANS:
        if effect in effects:
            hit |= (minutes >= first) & (minutes < end)
    return hit
