"""Prove what is held: every row the grid owes is there, or is missing for a reason with evidence.

An answer without rows proves nothing by itself: an exchange in trouble sends such. A hole is shown
by an answer with rows on both sides of it and none between; where rows stand on one side only, by
one with rows there, that was not full and may have been cut only where another shows the same. A
page that misses rows another one brought, or is in doubt, shows nothing.

It takes two such answers. They settle a hole at once where an outage is documented, and one that
reaches back to the listing unless it is long; else they lie apart in time, the further the longer
the hole is. Where no row ever came, the answers lie two days apart. What is settled without a
documented outage is looked at again, at growing distances, until a month has gone by.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from etl.proof.grid import Grid
from etl.proof.protocol import Answer, Ticks, also_wanted, newly_wanted, not_owed
from lake.ledger import Gap, Reason, Record
from lake.span import DAY_MS, Span, clip, union

HOUR_MS = 3_600_000
NO_TICKS = np.array([], dtype=np.int64)
AGREEING = 2  # answers it takes to settle a hole
SURELY = 6  # answers in doubt, after which a row is no longer asked for at once
CLOSING_MS = 5 * 60_000  # a row missing for so short a time after its close is not a hole yet
RECHECK_MS = DAY_MS  # how often a row that broke its contract twice is asked for again
LONG_MS = HOUR_MS  # from here on looks lie as far apart as the hole is long
APART_MS = 2 * DAY_MS  # at most, and where no row ever came: longer than an incident of a day
UNTRADED_MS = 7 * DAY_MS  # before its first trade a contract may lie so long, and longer seldom
FOR_GOOD_MS = 30 * DAY_MS  # looks so far apart settle a hole for good


class Witness(NamedTuple):
    """A stretch of time an answer speaks for, and what it says of it."""

    span: Span
    fetched_ms: int
    says: Literal["failed", "came", "doubted", "between", "empty", "before", "after", "cut"]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that coverage is judged by, besides the rows and the answers.

    Attributes
    ----------
    life
        From the instrument's listing to its expiry.
    now_ms
        The exchange's clock.
    confirm_after_ms
        How far apart two looks at a hole nothing explains must lie, at least.
    documented
        Returns the source of an outage that covers a hole, or None.
    """

    grid: Grid
    life: Span
    now_ms: int
    confirm_after_ms: int
    documented: Callable[[Span], str | None]


@dataclass(frozen=True, slots=True)
class _Hole:
    """A stretch without rows, and what holds of all of it."""

    span: Span
    agree: frozenset[str]  # what shows it
    is_listing: bool
    source: str | None

    @property
    def length_ms(self) -> int:
        return self.span.end_ms - self.span.start_ms


def find_gaps(
    wanted: Sequence[Span],
    held: Ticks,
    rejected: Ticks,
    answers: Sequence[Answer],
    facts: Facts,
    *,
    doubted: Ticks = NO_TICKS,
) -> tuple[Gap, ...]:
    """Return every stretch of `wanted` the lake does not hold, with its reason, sorted.

    Parameters
    ----------
    held, rejected, doubted
        Rows that are published, that came and broke their contract, and that came in answers
        others contradict or whose clock lies.
    """
    grid = facts.grid
    alignment = grid.alignment_of(held)
    owed_until = grid.owed_until(facts.now_ms, alignment)
    life = grid.described(facts.life, alignment)
    bad, open_ = grid.cells(rejected, alignment), grid.cells(doubted, alignment)
    came = np.union1d(held, np.union1d(bad, open_)) if bad.size or open_.size else held
    witnesses = _Sweep(_believable(answers, came, grid, alignment))
    seen = [
        ms for a in answers for ms in (a.first_ms, a.last_ms) if a.is_believed and ms is not None
    ]
    first, last = min(seen, default=None), max(seen, default=None)
    gaps: list[Gap] = []
    for span in union(grid.snap(span, alignment) for span in wanted):
        gaps += not_owed(span, life, owed_until)
        owed = clip(clip(span, life), Span(0, owed_until))
        for part in missing(owed, held, grid.step_ms):
            agree = _agreeing(part, first, last, facts.now_ms)
            is_listing = "before" in agree and part.start_ms <= life.start_ms
            hole = _Hole(part, agree, is_listing, facts.documented(part))
            gaps += _judge(hole, bad, open_, witnesses.near(part), facts)
    return _joined(sorted(gaps, key=lambda gap: gap.start_ms))


def extend(record: Record, wanted: Sequence[Span], facts: Facts) -> Record:
    """Return the record with more wanted and time gone by; what is owed since is `not_asked`."""
    fresh = newly_wanted(record, wanted)
    edges = [ms for ms in (record.first_ms, record.last_ms) if ms is not None]
    opened = find_gaps(fresh, np.array(edges, dtype=np.int64), NO_TICKS, [], facts)
    kept = [gap for gap in record.gaps if gap.reason != "in_progress"]
    return msgspec.structs.replace(
        record,
        wanted=also_wanted(record, wanted),
        gaps=_joined(sorted([*kept, *opened], key=lambda gap: gap.start_ms)),
    )


def missing(owed: Span, held: Ticks, step_ms: int) -> list[Span]:
    """Return the stretches of `owed` in which no row of `held` stands."""
    if owed.start_ms >= owed.end_ms:
        return []
    inside = held[np.searchsorted(held, owed.start_ms) : np.searchsorted(held, owed.end_ms)]
    fence = np.concatenate([[owed.start_ms - step_ms], inside, [owed.end_ms]])
    breaks = np.flatnonzero(np.diff(fence) > step_ms)
    return [Span(int(fence[i]) + step_ms, int(fence[i + 1])) for i in breaks]


class _Sweep:
    """Witnesses, handed out by the stretch they speak for; stretches come in order of time."""

    def __init__(self, witnesses: Iterable[Witness]) -> None:
        self._coming = sorted(witnesses, key=lambda one: one.span.start_ms, reverse=True)
        self._open: list[Witness] = []

    def near(self, span: Span) -> list[Witness]:
        """Return the witnesses that speak for any of a span; none ends before the last one."""
        while self._coming and self._coming[-1].span.start_ms < span.end_ms:
            self._open.append(self._coming.pop())
        self._open = [one for one in self._open if one.span.end_ms > span.start_ms]
        return [one for one in self._open if one.span.start_ms < span.end_ms]


def _believable(
    answers: Sequence[Answer], came: Ticks, grid: Grid, alignment: int
) -> list[Witness]:
    """Return what the answers say, less what rows that did come give the lie to."""
    told = [witness for answer in answers for witness in _witnesses(answer, grid, alignment)]
    return [
        witness
        for witness in told
        if witness.says in {"failed", "came", "doubted", "between", "cut"}
        or not _has_any(came, witness.span)
    ]


def _has_any(ticks: Ticks, span: Span) -> bool:
    first, end = np.searchsorted(ticks, [span.start_ms, span.end_ms])
    return bool(end > first)


def _witnesses(answer: Answer, grid: Grid, alignment: int) -> Iterator[Witness]:
    """Yield what an answer says of which stretch of the grid, never of an empty one.

    Of rows that were not closed when it was sent, or a moment before, it says nothing.
    """
    asked = grid.snap(answer.window, alignment)
    fetched, first, last = answer.fetched_ms, answer.first_ms, answer.last_ms
    if not answer.is_believed:
        yield Witness(asked, fetched, "doubted" if answer.is_ok else "failed")
        return
    yield Witness(asked, fetched, "came")
    sent_ms = asked.end_ms + grid.closes_after_ms if answer.sent_ms is None else answer.sent_ms
    window = clip(asked, Span(0, grid.owed_until(sent_ms, alignment)))
    if window.start_ms >= window.end_ms:
        return
    if first is None or last is None:
        yield Witness(window, fetched, "empty")
        return
    rows = grid.snap(Span(first, last + 1), alignment)
    yield Witness(rows, fetched, "between")  # where no row stands, that is
    if rows.start_ms > window.start_ms:
        before = Span(window.start_ms, rows.start_ms)
        yield Witness(before, fetched, "cut" if answer.is_full else "before")
    if rows.end_ms < window.end_ms:
        yield Witness(Span(rows.end_ms, window.end_ms), fetched, "after")


def _agreeing(hole: Span, first: int | None, last: int | None, now_ms: int) -> frozenset[str]:
    """Return what shows a hole; one beyond which no row was seen has one neighbour only."""
    if first is None or last is None or hole.end_ms <= first:
        return frozenset({"between", "empty", "before"})
    if hole.start_ms <= last:
        return frozenset({"between", "empty"})
    is_old = now_ms - hole.end_ms >= RECHECK_MS  # a row of today may only be late
    return frozenset({"between", "empty", "after"}) if is_old else frozenset()


def _judge(
    hole: _Hole, bad: Ticks, open_: Ticks, near: Sequence[Witness], facts: Facts
) -> Iterator[Gap]:
    """Yield the parts of a hole, each with the reason its own witnesses amount to."""
    step_ms = facts.grid.step_ms
    for part in _parts(
        hole.span, [*_runs(bad, hole.span, step_ms), *_runs(open_, hole.span, step_ms)], near
    ):
        over = [witness for witness in near if clip(part, witness.span) == part]
        if _has_any(bad, part) or _has_any(open_, part):
            yield _quarantined(part, over, facts, at_once=_has_any(open_, part))
            continue
        seen = _times(over, hole.agree - {"empty"})
        empty = _times(over, hole.agree & {"empty"})
        if seen:
            yield _shown(part, seen, hole, facts)
        elif empty and empty[-1] > max(_times(over, {"cut"}), default=-1):
            yield _silent(part, empty, hole, facts)
        else:
            yield _unseen(part, over, facts)


def _times(over: Iterable[Witness], kinds: Iterable[str]) -> list[int]:
    """Return when witnesses of some kinds spoke, sorted."""
    return sorted(one.fetched_ms for one in over if one.says in kinds)


def _runs(cells: Ticks, hole: Span, step_ms: int) -> list[Span]:
    """Return the stretches of a hole in which cells stand side by side."""
    first, end = np.searchsorted(cells, [hole.start_ms, hole.end_ms])
    inside = cells[first:end]
    if not inside.size:
        return []
    breaks = np.flatnonzero(np.diff(inside) > step_ms)
    starts, ends = inside[np.r_[0, breaks + 1]], inside[np.r_[breaks, inside.size - 1]] + step_ms
    return [Span(*edges) for edges in zip(starts.tolist(), ends.tolist(), strict=True)]


def _parts(hole: Span, runs: Iterable[Span], near: Iterable[Witness]) -> list[Span]:
    """Cut a hole wherever what is known of it changes."""
    cuts = {hole.start_ms, hole.end_ms}
    for span in [*runs, *(witness.span for witness in near)]:
        cuts |= {span.start_ms, span.end_ms}
    edges = sorted(cut for cut in cuts if hole.start_ms <= cut <= hole.end_ms)
    return [Span(start, end) for start, end in pairwise(edges)]


def _shown(part: Span, seen: Sequence[int], hole: _Hole, facts: Facts) -> Gap:
    """Return the gap of a part that answers with rows show to be empty; `seen` is when."""
    gap = Gap(part.start_ms, part.end_ms, "unexplained", len(seen))
    if len(seen) < AGREEING:
        return gap
    if hole.source is not None:
        return msgspec.structs.replace(gap, reason="outage", source=hole.source)
    needed = _needed(hole, facts.confirm_after_ms)
    if seen[-1] - seen[0] < needed:
        return msgspec.structs.replace(gap, retry_at_ms=seen[0] + needed)
    return _settled(gap, seen, hole)


def _needed(hole: _Hole, confirm_after_ms: int) -> int:
    """Return how far apart the looks that settle a hole must lie [ms]."""
    if hole.is_listing:
        return 0 if hole.length_ms <= UNTRADED_MS else APART_MS
    if hole.length_ms <= LONG_MS:
        return confirm_after_ms
    return max(confirm_after_ms, min(hole.length_ms, APART_MS))


def _silent(part: Span, empty: Sequence[int], hole: _Hole, facts: Facts) -> Gap:
    """Return the gap of a part of which answers without rows are all there is."""
    gap = Gap(part.start_ms, part.end_ms, "unexplained", len(empty))
    apart = empty[-1] - empty[0]
    if len(empty) < AGREEING:
        return gap
    if apart >= APART_MS:
        return _settled(gap, empty, hole)
    pause = min(max(apart, facts.confirm_after_ms), DAY_MS)
    return msgspec.structs.replace(gap, retry_at_ms=empty[-1] + pause)


def _settled(gap: Gap, seen: Sequence[int], hole: _Hole) -> Gap:
    """Return a gap that is settled, and when to look at it again."""
    apart = seen[-1] - seen[0]
    is_short = hole.is_listing and hole.length_ms < LONG_MS  # nearly every contract has one
    for_good = DAY_MS if is_short else FOR_GOOD_MS
    retry = None if apart >= for_good else seen[-1] + max(apart, DAY_MS)
    reason: Reason = "before_first_trade" if hole.is_listing else "absent"
    if hole.source is not None:
        reason, retry = "outage", None
    return msgspec.structs.replace(gap, reason=reason, retry_at_ms=retry, source=hole.source)


def _unseen(part: Span, over: Sequence[Witness], facts: Facts) -> Gap:
    """Return the gap of a part that no answer shows to be empty."""
    gap = Gap(part.start_ms, part.end_ms, "not_asked")
    if facts.now_ms - (part.start_ms + facts.grid.closes_after_ms) < CLOSING_MS:
        return msgspec.structs.replace(gap, reason="in_progress")
    if doubted := _times(over, {"doubted"}):
        retry = doubted[-1] + facts.confirm_after_ms if len(doubted) >= SURELY else None
        return msgspec.structs.replace(gap, reason="doubted", seen=len(doubted), retry_at_ms=retry)
    if any(witness.says == "came" for witness in over):
        return msgspec.structs.replace(gap, reason="truncated")
    return msgspec.structs.replace(gap, reason="no_answer" if over else "not_asked")


def _quarantined(part: Span, over: Sequence[Witness], facts: Facts, *, at_once: bool) -> Gap:
    """Return the gap of rows that came and are not used, and when to ask for them again."""
    looks = _times(over, {"came", "doubted"})
    gap = Gap(part.start_ms, part.end_ms, "quarantined", len(looks))
    if not looks or (at_once and len(looks) < SURELY):
        return gap
    pause = facts.confirm_after_ms if len(looks) < AGREEING else RECHECK_MS
    return msgspec.structs.replace(gap, retry_at_ms=looks[-1] + pause)


def _joined(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Join neighbours that are missing for the same reason."""
    joined: list[Gap] = []
    for gap in gaps:
        if joined and joined[-1].end_ms == gap.start_ms and _kind(joined[-1]) == _kind(gap):
            seen = min(joined[-1].seen, gap.seen)
            joined[-1] = msgspec.structs.replace(joined[-1], end_ms=gap.end_ms, seen=seen)
        else:
            joined.append(gap)
    return tuple(joined)


def _kind(gap: Gap) -> tuple[str, int | None, str | None]:
    return gap.reason, gap.retry_at_ms, gap.source
