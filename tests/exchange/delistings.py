"""What happens to lists of instruments on purpose, by name; each meets about every fifth future.

========  =======================================================================================
shrunken  the lists lack it; it can still be asked for by name
renamed   it has another name under the same number
relisted  its name belongs to another number, listed an hour ago
reticked  its tick size has doubled
vanished  after two pages of its candles it is in no list and not to be found
odd       lists have a null, a record without a date and one whose number is a text besides
========  =======================================================================================
"""

from collections import Counter
from typing import Any

import orjson

from tests.exchange import noise
from tests.exchange.errors import ApiError

NAMES = ("shrunken", "renamed", "relisted", "reticked", "vanished", "odd")
PAGES_BEFORE = 2
HOUR_MS = 3_600_000


def is_met(name: str) -> bool:
    """Whether an instrument is one of those that something happens to: never a perpetual."""
    return not name.endswith("-PERPETUAL") and int(noise.key(0, name, "delisting")) % 5 == 0


def new_name(name: str) -> str:
    """Return what an instrument is called after it was renamed."""
    return f"X{name}"


class Delistings:
    """Which of it happens on an exchange, and to what it already has."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names & frozenset(NAMES)
        self._pages: Counter[str] = Counter()

    def listed(self, records: list[dict[str, Any]], now_ms: int) -> list[dict[str, Any]]:
        """Return a list of instruments as it is sent."""
        if not self._names:
            return records
        plain = orjson.loads(orjson.dumps(records))  # options come as text
        found = (self._changed(one, now_ms) for one in plain)
        sent: list[Any] = [one for one in found if one is not None]
        return _with_odd_ones(sent) if "odd" in self._names else sent

    def check(self, instrument: str) -> None:
        """Count a page of candles, and raise -32602 when there are no more."""
        if "vanished" not in self._names or not is_met(instrument):
            return
        self._pages[instrument] += 1
        if self._pages[instrument] > PAGES_BEFORE:
            raise ApiError(-32602, "instrument not found", "instrument_name")

    def _changed(self, record: dict[str, Any], now_ms: int) -> dict[str, Any] | None:
        name = record["instrument_name"]
        if not is_met(name):
            return record
        if "shrunken" in self._names or self._pages[name] > PAGES_BEFORE:
            return None
        if "renamed" in self._names:
            record = record | {"instrument_name": new_name(name)}
        if "relisted" in self._names:
            number, listed = record["instrument_id"] + 5_000_000, now_ms - HOUR_MS
            record = record | {"instrument_id": number, "creation_timestamp": listed}
        if "reticked" in self._names:
            record = record | {"tick_size": 2 * record["tick_size"]}
        return record


def _with_odd_ones(records: list[Any]) -> list[Any]:
    dateless = {**records[0], "instrument_name": "ODD-27MAR26", "creation_timestamp": None}
    textual = {**records[-1], "instrument_name": "ODD-26JUN26", "instrument_id": "one"}
    return [dateless, *records[:1], None, *records[1:], textual]
