"""How old what is: durations and moments as people read them, and the ages of a board by kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from etl.collect.board import Board, Source

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
UNITS = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", SECOND, "s"))


@dataclass(frozen=True, slots=True)
class KindAges:
    """How old the newest data of the sources of a kind are [ms]; `worst` is the oldest's subject.

    `limit_ms` is 0 where silence says nothing.
    """

    kind: str
    sources: int
    stale: int
    worst: str
    worst_ms: int
    median_ms: int
    limit_ms: int
    messages: int


def ages(board: Board, now_ms: int) -> list[KindAges]:
    """Return the ages of each kind, sorted by kind."""
    kinds: dict[str, list[Source]] = {}
    for source in board.sources.values():
        kinds.setdefault(source.kind, []).append(source)
    return [_ages_of(kind, kinds[kind], now_ms) for kind in sorted(kinds)]


def ages_line(board: Board, now_ms: int) -> str:
    """Return one line on how old what is."""
    return "; ".join(_told(board, now_ms)) or "nothing is collected yet"


def has_begun(board: Board, *, within_ms: int = 300_000) -> bool:
    """Whether data of every kind came that has to come within some minutes of the start."""
    heard: dict[str, bool] = {}
    for source in board.sources.values():
        if 0 < source.limit_ms <= within_ms:
            heard[source.kind] = heard.get(source.kind, False) or source.newest_ms is not None
    return bool(heard) and all(heard.values())


def format_age(ms: float) -> str:
    """Return a duration in one or two units: ``1.2 s``, ``41 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if ms < 10 * SECOND:
        return f"{ms / SECOND:.1f} s".replace(".0 s", " s")
    whole = round(ms / SECOND) * SECOND
    for size, unit, part, part_unit in UNITS:
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit}" + (f" {rest // part} {part_unit}" if rest >= part else "")
    return f"{whole // SECOND} s"


def format_second(ms: int) -> str:
    """Return a moment as 2025-10-18T07:03:11Z."""
    return f"{datetime.fromtimestamp(ms / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _ages_of(kind: str, sources: list[Source], now_ms: int) -> KindAges:
    oldest = max(sources, key=lambda one: one.age_ms(now_ms))
    return KindAges(
        kind,
        len(sources),
        sum(one.is_stale(now_ms) for one in sources),
        oldest.subject,
        oldest.age_ms(now_ms),
        round(median(one.age_ms(now_ms) for one in sources)),
        oldest.limit_ms,
        sum(one.messages for one in sources),
    )


def _told(board: Board, now_ms: int) -> Iterator[str]:
    for kind in ages(board, now_ms):
        many = f" at worst of {kind.sources}" if kind.sources > 1 else ""
        yield f"{kind.kind} {format_age(kind.worst_ms)}{many}"
    if board.lines:
        up = sum(line.up_since_ms is not None for line in board.lines.values())
        yield f"{up} of {len(board.lines)} sockets up"
