"""All that is known of a running collector at one moment: what the page and its JSON show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from etl.collect.board import Alarm, Board, Line, Source
from etl.collect.health.ages import KindAges, ages, has_begun
from etl.collect.health.rates import Rates

Verdict = Literal["fresh", "alarm", "starting", "stopping", "blind"]
BLIND_MS = 10_000
WORDS = {
    "starting": "starting: not every kind of data has come yet",
    "stopping": "stopping",
    "blind": "nobody looks at the ages of data",
}


@dataclass(frozen=True, slots=True)
class Overview:
    """A board at `now_ms`, with what follows from it; times are Unix ms of the exchange's clock.

    Attributes
    ----------
    verdict
        ``fresh``: all that must be is; ``alarm``: something rings; ``starting``: some kind of data
        has not come yet; ``stopping``; ``blind``: nobody looks whether anything is to ring.
    rates
        Messages a second by kind over the last minute, and of ``all``.
    sources
        Each with its age [ms].
    """

    verdict: Verdict
    now_ms: int
    started_ms: int
    version: str
    alarms: Sequence[Alarm]
    past_alarms: Sequence[Alarm]
    kinds: Sequence[KindAges]
    rates: Mapping[str, float]
    sockets: Sequence[Line]
    gaps: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    database: Mapping[str, Any]
    disk: Mapping[str, int | None]
    skew_ms: int | None
    maintenance: bool
    sources: Sequence[Mapping[str, Any]]

    @property
    def is_fresh(self) -> bool:
        """Whether all is well."""
        return self.verdict == "fresh"


def overview(board: Board, rates: Rates, now_ms: int) -> Overview:
    """Return what is known at a moment; the latest gaps and alarms come first."""
    return Overview(
        verdict(board, now_ms),
        now_ms,
        board.started_ms,
        version("deribit-lake"),
        sorted(board.alarms.values(), key=lambda one: one.rung_ms),
        list(reversed(board.past_alarms)),
        ages(board, now_ms),
        rates.per_second(),
        [board.lines[number] for number in sorted(board.lines)],
        [gap._asdict() for gap in reversed(board.gaps)],
        dict(board.counts),
        _database(board, now_ms),
        _disk(board),
        board.skew_ms,
        board.maintenance,
        [_source(board.sources[key], now_ms) for key in sorted(board.sources)],
    )


def verdict(board: Board, now_ms: int) -> Verdict:
    """Return how a collector is doing."""
    if board.is_draining:
        return "stopping"
    if board.alarms:
        return "alarm"
    if board.looked_ms is None or now_ms - board.looked_ms > BLIND_MS:
        return "blind"
    return "fresh" if has_begun(board) else "starting"


def reasons(board: Board, now_ms: int) -> list[str]:
    """Return why not all is well, a line each; none if it is."""
    found = verdict(board, now_ms)
    if found == "alarm":
        return [f"{alarm.name}: {alarm.text}" for alarm in board.alarms.values()]
    return [] if found == "fresh" else [WORDS[found]]


def _database(board: Board, now_ms: int) -> dict[str, Any]:
    since_ms, told = board.database.waiting_since_ms, board.database
    return {
        "is_wanted": told.is_wanted,
        "sent_ms": told.sent_ms,
        "behind_ms": 0 if since_ms is None else max(0, now_ms - since_ms),
        "error": told.error,
    }


def _disk(board: Board) -> dict[str, int | None]:
    return {
        "free_bytes": board.free_bytes,
        "unwritten_ms": board.unwritten_ms,
        "published_ms": board.published_ms,
        "folded_ms": board.folded_ms,
    }


def _source(source: Source, now_ms: int) -> dict[str, Any]:
    return {
        "kind": source.kind,
        "subject": source.subject,
        "age_ms": source.age_ms(now_ms),
        "limit_ms": source.limit_ms,
        "newest_ms": source.newest_ms,
        "messages": source.messages,
        "socket": source.line,
    }
