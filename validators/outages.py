"""Documented incidents of the exchange: read the reviewed file, and tell what it explains."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from validators.errors import ReviewedFileError

REVIEWED = Path(__file__).with_name("outages.toml")
MINUTE_MS = 60_000
KINDS = ("downtime", "bad_prints")
MEASURED = "Measured: "
PRECISIONS = ("minute", "day")


@dataclass(frozen=True, kw_only=True)
class Outage:
    """One documented incident.

    Attributes
    ----------
    start, end : datetime
        Window [start, end), UTC.
    kind : str
        `downtime` (nothing or fillers) or `bad_prints` (real trades at wrong prices).
    precision : str
        `minute`: the window is the incident; `day`: the incident lies somewhere in it.
    longest : int, optional
        The longest hole the incident explains [min]; None where the window itself says it.
    note : str
        What happened.
    source : str
        Where that is stated.
    """

    start: datetime
    end: datetime
    kind: str
    precision: str
    longest: int | None
    note: str
    source: str

    @property
    def start_ms(self) -> int:
        """Start of the window [ms since 1970]."""
        return _epoch_ms(self.start)

    @property
    def end_ms(self) -> int:
        """End of the window, not included [ms since 1970]."""
        return _epoch_ms(self.end)


def load_outages(path: Path | None = None) -> tuple[Outage, ...]:
    """Return the documented incidents by start: the reviewed ones, and those of a user's own file.

    Parameters
    ----------
    path : Path, optional
        A further file in the form of `validators/outages.toml`.

    Raises
    ------
    ReviewedFileError
        A file cannot be read, or an entry misses a key or makes no sense.
    """
    paths = [REVIEWED] if path is None else [REVIEWED, path]
    found = [_outage(entry, path) for path in paths for entry in _entries(path)]
    return tuple(sorted(found, key=lambda outage: outage.start))


def documented(
    start_ms: int, end_ms: int, outages: Iterable[Outage], *, slack_ms: int = 0
) -> Outage | None:
    """Return the downtime that explains a hole, or None.

    The hole must lie in the downtime's window entirely, and last no longer than it allows.

    Parameters
    ----------
    start_ms, end_ms : int
        The hole [start, end), in the time its missing rows describe [ms]: candles describe the
        time from their timestamp on, a funding row the hour before it.
    outages : iterable of Outage
        The documented incidents; those of another kind than `downtime` explain no hole.
    slack_ms : int
        How far the hole may reach beyond the window on either side [ms]: just under the step of
        rows that are also lost when an outage touches the time they describe (funding), else 0.
    """
    for outage in outages:
        inside = outage.start_ms - slack_ms <= start_ms and end_ms <= outage.end_ms + slack_ms
        if outage.kind == "downtime" and inside:
            longest_ms = outage.end_ms - outage.start_ms
            if outage.longest is not None:
                longest_ms = outage.longest * MINUTE_MS
            if end_ms - start_ms <= longest_ms + 2 * slack_ms:
                return outage
    return None


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path}: cannot be read as a list of outages: {error}"
        raise ReviewedFileError(message) from error
    entries: list[dict[str, Any]] = content.get("outage", [])
    return entries


def _outage(entry: Mapping[str, Any], path: Path) -> Outage:
    """Return one entry of a file, or say what is wrong with it."""
    try:
        outage = Outage(
            longest=entry.get("longest"),
            **{name: entry[name] for name in Outage.__annotations__ if name != "longest"},
        )
    except KeyError as error:
        message = f"{path}: an outage lacks {error}: {dict(entry)}"
        raise ReviewedFileError(message) from error
    faults = [text for is_wrong, text in _faults(outage) if is_wrong]
    if faults:
        message = f"{path}: outage of {outage.start}: {'; '.join(faults)}"
        raise ReviewedFileError(message)
    return outage


def _faults(outage: Outage) -> Iterable[tuple[bool, str]]:
    yield outage.kind not in KINDS, f"kind {outage.kind!r}, expected one of {KINDS}"
    yield outage.precision not in PRECISIONS, f"precision {outage.precision!r} of {PRECISIONS}"
    for name in ("start", "end"):
        time = getattr(outage, name)
        is_utc = isinstance(time, datetime) and time.utcoffset() == timedelta(0)
        yield not is_utc, f"{name} {time}, expected a UTC time such as 2020-08-27T05:15:00Z"
        if not is_utc:
            return
    yield outage.start >= outage.end, f"start is not before end {outage.end}"
    is_open = outage.precision == "day" and outage.longest is None
    yield is_open, "precision day needs `longest`, the minutes a hole may last"
    is_sourced = str(outage.source).startswith(("https://", MEASURED))
    yield not is_sourced, f"source {outage.source!r}, expected an https address or {MEASURED!r}…"


def _epoch_ms(time: datetime) -> int:
    return round(time.timestamp() * 1_000)
