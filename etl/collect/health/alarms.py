"""Alarms by the age of data: each rings once, says what is wrong and since when, and clears once.

A process that lives tells nothing: quiet data, a frozen channel and a silent socket look alike; all
that counts is that the newest moment is old. Besides, what would lose data or hide their age: a
clock that is off, messages that wait for the disk, a disk nearly full, a database behind.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from etl.collect.board import Alarm, Board, Line, Source
from etl.collect.health.ages import format_age, format_second
from etl.collect.health.causes import EVERYTHING, MAINTENANCE, Causes
from etl.config import Collect
from etl.logs import event

log = logging.getLogger(__name__)

START_LIMIT_MS = 180_000
GAUGE_CALM_MS = 60_000
"""How long what is no source must be well before its alarm clears."""
SOCKET_LIMIT_MS = 180_000
"""For a socket that is down all of whose channels may be quiet."""
FOLD_LIMIT_MS = 12 * 3_600_000
"""For days to come to clean: longer than maintenance and what was missed in a week take."""
NEVER_MS = 2**63
"""For what `Causes` says is over by naming it no more."""
LISTED = 8  # names a line has room for
GB = 1_000_000_000


class Reading(NamedTuple):
    """What one look found of one thing that can be wrong."""

    name: str
    text: str
    since_ms: int
    limit_ms: int = 0
    is_wrong: bool = True
    does_restart_help: bool = False
    calm_ms: int = GAUGE_CALM_MS


@dataclass(slots=True)
class Alarms:
    """Rings and clears alarms on a board, look after look.

    Attributes
    ----------
    collect
        The limits.
    """

    board: Board
    collect: Collect
    causes: Causes = field(init=False)
    _well_since: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start without a cause."""
        self.causes = Causes(self.board)

    def look(self, now_ms: int) -> None:
        """Ring what is wrong and did not ring, clear what rings and is well; not while draining."""
        self.board.looked_ms = now_ms
        if self.board.is_draining:
            return
        silenced = self.causes.look(now_ms)
        found = {one.name: one for one in self._readings(silenced, now_ms)}
        for reading in found.values():
            self._take(reading, now_ms)
        for name in [name for name in self.board.alarms if name not in found]:
            self._clear(name, now_ms)

    def _readings(self, silenced: Mapping[str, list[Source]], now_ms: int) -> Iterator[Reading]:
        for name, sources in silenced.items():
            yield _of_sources(name, sources, len(self.causes.scopes.get(name, sources)), now_ms)
        yield from _of_lines(self.board, now_ms)
        yield from _gauges(self.board, self.collect, now_ms)

    def _take(self, reading: Reading, now_ms: int) -> None:
        alarm = self.board.alarms.get(reading.name)
        if alarm is None:
            if reading.is_wrong:
                self._ring(reading, now_ms)
            return
        wrong_since_ms = reading.since_ms if reading.is_wrong else None
        self.board.alarms[reading.name] = replace(
            alarm, text=reading.text, wrong_since_ms=wrong_since_ms
        )
        if reading.is_wrong:
            self._well_since.pop(reading.name, None)
        elif now_ms - self._well_since.setdefault(reading.name, now_ms) >= reading.calm_ms:
            self._clear(reading.name, now_ms)

    def _ring(self, reading: Reading, now_ms: int) -> None:
        name, text, since_ms, limit_ms = reading[:4]
        self.board.alarms[name] = Alarm(
            name,
            text,
            since_ms,
            limit_ms,
            now_ms,
            reading.does_restart_help,
            wrong_since_ms=since_ms,
        )
        told = event("alarm_rung", alarm=name, since_ms=since_ms, limit_s=limit_ms / 1000)
        log.error("alarm %s: %s", name, text, extra=told)

    def _clear(self, name: str, now_ms: int) -> None:
        alarm = self.board.alarms.pop(name)
        self._well_since.pop(name, None)
        self.board.past_alarms.append(replace(alarm, cleared_ms=now_ms))
        rang_ms = now_ms - alarm.rung_ms
        told = event("alarm_cleared", alarm=name, since_ms=alarm.since_ms, rang_s=rang_ms / 1000)
        log.info("alarm %s is over: it rang for %s", name, format_age(rang_ms), extra=told)


def _of_sources(name: str, sources: list[Source], among: int, now_ms: int) -> Reading:
    stale = [one for one in sources if one.is_stale(now_ms)]
    worst = max(stale or sources, key=lambda one: one.age_ms(now_ms) / one.limit_ms)
    return Reading(
        name,
        _told(name, stale, among, worst, now_ms) if stale else "fresh again, watched for a while",
        min(one.silent_since_ms for one in stale or sources),
        min(one.limit_ms for one in stale or sources),
        is_wrong=bool(stale),
        calm_ms=NEVER_MS,
        does_restart_help=name == EVERYTHING or name.startswith("socket "),
    )


def _told(name: str, stale: list[Source], among: int, worst: Source, now_ms: int) -> str:
    names = ", ".join(f"{one.kind} {one.subject}" for one in stale[:LISTED])
    more = f" and {len(stale) - LISTED} more" if len(stale) > LISTED else ""
    because = "the exchange is down for maintenance; " if name == MAINTENANCE else ""
    return (
        f"{because}{len(stale)} of {among} {'source' if among == 1 else 'sources'} without new data"
        f" since {format_second(worst.silent_since_ms)}, {format_age(worst.age_ms(now_ms))} ago"
        f" (limit {format_age(worst.limit_ms)}): {names}{more}"
    )


def _of_lines(board: Board, now_ms: int) -> Iterator[Reading]:
    """Yield the sockets that carry nothing with a limit of its own."""
    watched = {one.line for one in board.sources.values() if one.limit_ms}
    if not any(watched):  # nobody says which source comes over which socket
        return
    for line in board.lines.values():
        if line.channels and line.number not in watched:
            yield _of_line(line, board.started_ms, now_ms)


def _of_line(line: Line, started_ms: int, now_ms: int) -> Reading:
    heard_ms = line.frame_ms or started_ms
    age_ms = now_ms - heard_ms
    last_end = f"; it ended with: {line.last_end}" if line.last_end else ""
    text = (
        f"down, and nothing heard since {format_second(heard_ms)}, {format_age(age_ms)} ago"
        f" (limit {format_age(SOCKET_LIMIT_MS)}){last_end}"
    )
    return Reading(
        f"socket {line.number}",
        text,
        heard_ms,
        SOCKET_LIMIT_MS,
        line.up_since_ms is None and age_ms > SOCKET_LIMIT_MS,
        does_restart_help=True,
    )


def _gauges(board: Board, collect: Collect, now_ms: int) -> Iterator[Reading]:
    if not board.sources:
        yield _of_start(board.started_ms, now_ms)
    if board.skew_ms is not None:
        yield _of_clock(board.skew_ms, collect, now_ms)
    yield _of_journal(board, collect, now_ms)
    if board.free_bytes is not None:
        yield _of_disk(board, collect, now_ms)
    if board.live_limit_ms and board.published_ms is not None:
        yield _of_live(board.published_ms, board.live_limit_ms, now_ms)
    if board.unfolded_since_ms is not None:
        yield _of_fold(board.unfolded_since_ms, now_ms)
    if board.database.is_wanted:
        yield _of_database(board, collect, now_ms)


def _of_start(started_ms: int, now_ms: int) -> Reading:
    """Return whether nothing is asked for long after the start: the exchange may be down."""
    age_ms = now_ms - started_ms
    text = f"nothing is collected yet, {format_age(age_ms)} after the start"
    return Reading(
        "start",
        f"{text} (limit {format_age(START_LIMIT_MS)})",
        started_ms,
        START_LIMIT_MS,
        age_ms > START_LIMIT_MS,
    )


def _of_clock(skew_ms: int, collect: Collect, now_ms: int) -> Reading:
    text = (
        f"our clock is {format_age(abs(skew_ms))} {'ahead of' if skew_ms > 0 else 'behind'}"
        f" the exchange's (limit {collect.clock_limit:g} s)"
    )
    return Reading("clock", text, now_ms, is_wrong=abs(skew_ms) > collect.clock_limit * 1000)


def _of_journal(board: Board, collect: Collect, now_ms: int) -> Reading:
    """Return how long the oldest message waits: of the last write, or of the one under way."""
    limit_ms, waited_ms = round(collect.write_limit * 1000), board.unwritten_ms
    if board.writing_since_ms is not None:
        waited_ms = max(waited_ms, now_ms - board.writing_since_ms)
    return Reading(
        "journal",
        f"messages have waited {format_age(waited_ms)} for the disk (limit {format_age(limit_ms)})",
        now_ms - waited_ms,
        limit_ms,
        waited_ms > limit_ms,
        does_restart_help=True,
    )


def _of_disk(board: Board, collect: Collect, now_ms: int) -> Reading:
    """Return whether there is less than twice what collection stops at, and a tenth to clear."""
    free_gb, limit_gb = (board.free_bytes or 0) / GB, 2 * collect.least_free_gb
    text = (
        f"{free_gb:.2f} GB are free (limit {limit_gb:g} GB;"
        f" collection stops below {collect.least_free_gb:g} GB)"
    )
    margin = 1.1 if "disk" in board.alarms else 1.0
    return Reading("disk", text, now_ms, is_wrong=free_gb < limit_gb * margin)


def _of_fold(since_ms: int, now_ms: int) -> Reading:
    age_ms = now_ms - since_ms
    text = (
        f"days that are over are not in clean for {format_age(age_ms)}"
        f" (limit {format_age(FOLD_LIMIT_MS)}): the log says why"
    )
    return Reading("fold", text, since_ms, FOLD_LIMIT_MS, age_ms > FOLD_LIMIT_MS)


def _of_live(published_ms: int, limit_ms: int, now_ms: int) -> Reading:
    age_ms = now_ms - published_ms
    text = (
        f"the bucket has not taken the live day for {format_age(age_ms)}"
        f" (limit {format_age(limit_ms)}): what comes is kept in the journal here"
    )
    return Reading("bucket", text, published_ms, limit_ms, age_ms > limit_ms)


def _of_database(board: Board, collect: Collect, now_ms: int) -> Reading:
    limit_ms, database = round(collect.database_limit * 1000), board.database
    since_ms = now_ms if database.waiting_since_ms is None else database.waiting_since_ms
    said = f"; it says {database.error}" if database.error else ""
    text = (
        f"rows have waited {format_age(now_ms - since_ms)} for the database"
        f" (limit {format_age(limit_ms)}){said}"
    )
    return Reading("database", text, since_ms, limit_ms, now_ms - since_ms > limit_ms)
