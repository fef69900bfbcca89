"""One look at a lake and its copy, and what is to be done by it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from etl.mirror.known import Held, Known
from etl.mirror.place import Ends
from etl.mirror.plan import Line, Pair, Plan, forced, judge, plan, raw_to_remove, raw_to_send
from etl.mirror.sides import KINDS, files_beside, line_of, lines, partition_of, raw_files
from lake.lock import Wait
from lake.partition import Partition

AT_ONCE = 16
UNTOLD = -1  # size of a file nobody looked at


@dataclass(frozen=True, slots=True)
class Ask:
    """What of a lake is copied, and how.

    Attributes
    ----------
    without_raw
        Whether raw stays away: a copy to read from.
    datasets, since_ms
        Only these, and only partitions that reach beyond that moment.
    dry_run
        Whether nothing is written.
    force
        Whether what the copy alone has is replaced, and removed.
    relist
        Whether nothing is believed of what was copied before.
    wait
        Whether to wait for those who write a partition.
    """

    without_raw: bool = False
    datasets: frozenset[str] = frozenset()
    since_ms: int | None = None
    dry_run: bool = False
    force: bool = False
    relist: bool = False
    wait: Wait = False

    def chooses(self, one: Partition) -> bool:
        """Whether a partition is copied."""
        return (not self.datasets or one.dataset in self.datasets) and (
            self.since_ms is None or one.span.end_ms > self.since_ms
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What both sides have, and what is to be done.

    Attributes
    ----------
    source, target
        The ledger lines of both.
    source_raw, target_raw
        Sizes of raw files by name below raw [bytes]; none where raw need not be looked at.
    sizes
        Of the source's files beside the lines that are to be sent [bytes], by name below its root.
    raw, old_raw
        The raw files to send, and those the target alone has still.
    """

    source: dict[str, Line]
    target: dict[str, Line]
    plan: Plan
    source_raw: dict[str, int]
    target_raw: dict[str, int]
    sizes: dict[str, int]
    raw: list[str]
    old_raw: list[str]

    @property
    def is_same(self) -> bool:
        """Whether both sides are the same."""
        todo = self.plan
        return not (todo.send or todo.remove or todo.theirs or self.raw or self.old_raw)


def look(ends: Ends, known: Known, ask: Ask, *, is_new: bool) -> Look:
    """Look at both sides, the lines first: what they name is then found in raw.

    Parameters
    ----------
    is_new : bool
        Whether nothing is at the target yet.
    """
    source = lines(ends.source, known, ask.chooses)
    target = {} if is_new else lines(ends.target, known, ask.chooses)
    pairs = known.pairs(is_push=ends.is_push)
    found = plan(source, target, {} if ask.relist else pairs)
    found = judge(found, source, target, _alike(ends, found.compare), pairs)
    found = forced(found, source) if ask.force else found
    ours, theirs = _raw(ends, known, ask, is_new=is_new, changes=bool(found.send or found.remove))
    return Look(
        source,
        target,
        found,
        ours,
        theirs,
        files_beside(ends.source, (partition_of(one).dataset for one in found.send)),
        raw_to_send(ours, theirs),
        _old_raw(ours, theirs, known, ask) if ours else [],
    )


def _old_raw(ours: dict[str, int], theirs: dict[str, int], known: Known, ask: Ask) -> list[str]:
    if ask.force:
        return sorted(theirs.keys() - ours.keys())
    return raw_to_remove(ours, theirs, known.raw)


def note(ends: Ends, known: Known, found: Look) -> None:
    """Keep what a look found to be the same, and what is begun to be sent."""
    pairs = known.pairs(is_push=ends.is_push)
    for name in found.plan.same:
        ours, there = found.source[name].tag, found.target[name].tag
        if pairs.get(name) != Pair(ours, there):
            known.lines[name] = _same(ends, name, ours, there)
    for name in found.plan.send:
        held = known.lines.get(name, Held())
        known.lines[name] = msgspec.structs.replace(held, is_begun=True)
    if found.source_raw or found.target_raw:
        both = {
            name: size
            for name, size in found.target_raw.items()
            if found.source_raw.get(name) == size or name in known.raw
        }
        known.raw = both | dict.fromkeys(found.raw, UNTOLD)


def _same(ends: Ends, name: str, ours: str, there: str) -> Held:
    """Return what is known of a partition that is found to be the same on both sides."""
    told = line_of(ends.here, name).stat()
    digest, etag = (ours, there) if ends.is_push else (there, ours)
    files = dict.fromkeys(KINDS, UNTOLD)
    return Held(digest, told.st_mtime_ns, told.st_size, etag, files=files)


def _alike(ends: Ends, names: list[str]) -> set[str]:
    """Return of some partitions those whose lines are the same on both sides, all of them read."""

    def is_same(name: str) -> bool:
        try:
            ours, theirs = (line_of(lake, name) for lake in (ends.source, ends.target))
            return ours.read_bytes() == theirs.read_bytes()
        except FileNotFoundError:  # withdrawn meanwhile
            return False

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {name for name, same in zip(names, pool.map(is_same, names), strict=True) if same}


def _raw(
    ends: Ends, known: Known, ask: Ask, *, is_new: bool, changes: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the raw files of both sides, by the fewest requests; none where none is copied.

    What was staged and is in no line yet is not asked for in a bucket whose lines are the same.
    """
    if ask.without_raw:
        return {}, {}
    is_whole = ends.before is not None and not ends.before.doubt
    if not ends.is_push:
        if is_whole and not (changes or ask.relist):
            return {}, {}
        return raw_files(ends.source), raw_files(ends.target)
    if is_new:
        return raw_files(ends.source), {}
    is_known = is_whole and bool(known.raw) and not ask.relist
    return raw_files(ends.source), known.raw if is_known else raw_files(ends.target)
