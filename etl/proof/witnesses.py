"""Prove what is held: every row the grid owes is there, or is missing for a reason with evidence.

A page that came proves a hole only between two rows it did send, or by being empty altogether: a
page that came short at an end may have been cut there, and is believed only where no row was ever
seen beyond. A page that misses rows another one brought, or was shifted, proves nothing. A hole is
settled by two answers: at once where an outage is documented or it reaches back to the listing,
else when they lie apart in time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from etl.proof.grid import Grid
from etl.proof.protocol import Answer, Ticks, also_wanted, newly_wanted, not_owed
from lake.ledger import Gap, Reason, Record
from lake.span import Span, clip, union

NO_TICKS = np.array([], dtype=np.int64)
AGREEING = 2  # answers it takes to settle a hole
CLOSING_MS = 5 * 60_000  # a row missing for so short a time after its close is not a hole yet
RECHECK_MS = 24 * 3_600_000  # how often a row that broke its contract twice is asked for again
BELIEVED = frozenset({"between", "empty"})  # what proves a hole wherever it lies


class Witness(NamedTuple):
    """A stretch of time an answer speaks for, and what it says of it."""

    span: Span
    fetched_ms: int
    says: Literal["failed", "came", "between", "empty", "before", "after"]


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
        How far apart two looks at a hole nothing explains must lie.
    documented
        Returns the source of an outage that covers a hole, or None.
    """

    grid: Grid
    life: Span
    now_ms: int
    confirm_after_ms: int
    documented: Callable[[Span], str | None]


def find_gaps(
    wanted: Sequence[Span], held: Ticks, rejected: Ticks, answers: Sequence[Answer], facts: Facts
) -> tuple[Gap, ...]:
    """Return every stretch of `wanted` the lake does not hold, with its reason, sorted.

    Parameters
    ----------
    held, rejected
        Rows that are published, and rows that came and broke their contract.
    """
    grid = facts.grid
    alignment = grid.alignment_of(held)
    owed_until = grid.owed_until(facts.now_ms, alignment)
    life = grid.described(facts.life, alignment)
    bad = grid.cells(rejected, alignment)
    witnesses = _believable(answers, np.union1d(held, bad) if bad.size else held, grid, alignment)
    seen = [ms for a in answers for ms in (a.first_ms, a.last_ms) if ms is not None]
    gaps: list[Gap] = []
    for span in union(grid.snap(span, alignment) for span in wanted):
        gaps += not_owed(span, life, owed_until)
        owed = clip(clip(span, life), Span(0, owed_until))
        for hole in missing(owed, held, grid.step_ms):
            agree = _agreeing(hole, seen, facts.now_ms)
            is_listing = "before" in agree and hole.start_ms <= life.start_ms
            gaps += _judge(hole, bad, witnesses, facts, agree=agree, is_listing=is_listing)
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


def _believable(
    answers: Sequence[Answer], came: Ticks, grid: Grid, alignment: int
) -> list[Witness]:
    """Return what the answers say, less what rows that did come give the lie to."""
    told = [witness for answer in answers for witness in _witnesses(answer, grid, alignment)]
    return [
        witness
        for witness in told
        if witness.says in {"failed", "came", "between"}
        or missing(witness.span, came, grid.step_ms) == [witness.span]
    ]


def _witnesses(answer: Answer, grid: Grid, alignment: int) -> Iterator[Witness]:
    """Yield what an answer says of which stretch of the grid, never of an empty one."""
    window = grid.snap(answer.window, alignment)
    fetched, first, last = answer.fetched_ms, answer.first_ms, answer.last_ms
    yield Witness(window, fetched, "came" if answer.is_ok else "failed")
    if not answer.is_ok or answer.is_shifted:
        return
    if first is None or last is None:
        yield Witness(window, fetched, "empty")
        return
    rows = grid.snap(Span(first, last + 1), alignment)
    yield Witness(rows, fetched, "between")  # where no row stands, that is
    if rows.end_ms >= window.end_ms > window.start_ms and rows.start_ms > window.start_ms:
        yield Witness(Span(window.start_ms, rows.start_ms), fetched, "before")
    if rows.start_ms <= window.start_ms and rows.end_ms < window.end_ms:
        yield Witness(Span(rows.end_ms, window.end_ms), fetched, "after")


def _agreeing(hole: Span, seen: Sequence[int], now_ms: int) -> frozenset[str]:
    """Return what proves a hole; one beyond which no row was seen has one neighbour only."""
    if not seen or hole.end_ms <= min(seen):
        return BELIEVED | {"before"}
    if hole.start_ms <= max(seen):
        return BELIEVED
    is_old = now_ms - hole.end_ms >= RECHECK_MS  # a row of today may only be late
    return BELIEVED | {"after"} if is_old else frozenset()


def _judge(
    hole: Span,
    bad: Ticks,
    witnesses: Sequence[Witness],
    facts: Facts,
    *,
    agree: frozenset[str],
    is_listing: bool,
) -> Iterator[Gap]:
    """Yield the parts of a hole, each with the reason its own witnesses amount to."""
    source = facts.documented(hole)
    near = [w for w in witnesses if w.span.start_ms < hole.end_ms and hole.start_ms < w.span.end_ms]
    for part in _parts(hole, bad, near, facts.grid.step_ms):
        over = [witness for witness in near if clip(part, witness.span) == part]
        if np.isin(part.start_ms, bad):
            yield _quarantined(part, over, facts)
            continue
        seen = sorted(witness.fetched_ms for witness in over if witness.says in agree)
        if seen:
            yield _seen(part, seen, facts, source, is_listing=is_listing)
        else:
            yield Gap(part.start_ms, part.end_ms, _unseen(part, over, facts))


def _parts(hole: Span, bad: Ticks, witnesses: Sequence[Witness], step_ms: int) -> list[Span]:
    """Cut a hole wherever what is known of it changes."""
    inside = bad[(bad >= hole.start_ms) & (bad < hole.end_ms)]
    cuts = {hole.start_ms, hole.end_ms, *inside.tolist(), *(inside + step_ms).tolist()}
    for witness in witnesses:
        cuts |= {witness.span.start_ms, witness.span.end_ms}
    edges = sorted(cut for cut in cuts if hole.start_ms <= cut <= hole.end_ms)
    return [Span(start, end) for start, end in pairwise(edges)]


def _seen(
    part: Span, seen: Sequence[int], facts: Facts, source: str | None, *, is_listing: bool
) -> Gap:
    """Return the gap of a part that answers agree is empty; `seen` is when they came."""
    gap = Gap(part.start_ms, part.end_ms, "unexplained", len(seen))
    if len(seen) < AGREEING:
        return gap
    if source is not None:
        return msgspec.structs.replace(gap, reason="outage", source=source)
    if is_listing:
        return msgspec.structs.replace(gap, reason="before_first_trade")
    if seen[-1] - seen[0] >= facts.confirm_after_ms:
        return msgspec.structs.replace(gap, reason="absent")
    return msgspec.structs.replace(gap, retry_at_ms=seen[0] + facts.confirm_after_ms)


def _unseen(part: Span, over: Sequence[Witness], facts: Facts) -> Reason:
    if facts.now_ms - (part.start_ms + facts.grid.closes_after_ms) < CLOSING_MS:
        return "in_progress"
    if any(witness.says == "came" for witness in over):
        return "truncated"
    return "no_answer" if over else "not_asked"


def _quarantined(part: Span, over: Sequence[Witness], facts: Facts) -> Gap:
    looks = sorted(witness.fetched_ms for witness in over if witness.says == "came")
    pause = facts.confirm_after_ms if len(looks) < AGREEING else RECHECK_MS
    retry_at = looks[-1] + pause if looks else None
    return Gap(part.start_ms, part.end_ms, "quarantined", len(looks), retry_at)


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
