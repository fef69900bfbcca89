"""What is missing of the lake, and why: the ledger's reasons, explained."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from etl.check.report.markup import (
    NOTHING,
    Column,
    Markup,
    age,
    code,
    folded,
    heading,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.survey import Survey
from etl.when import format_moment
from lake.ledger import SETTLED, Gap, Reason
from lake.partition import Partition

LONGEST, SEEN = 20, 5
NEAREST = 6  # datasets named beside a reason
EXPLAINED: dict[Reason, str] = {
    "before_listing": "The instrument did not exist yet.",
    "before_first_trade": "It existed; the exchange twice sent nothing before its first row.",
    "after_expiry": "The instrument no longer exists.",
    "in_progress": "Not closed yet, or closed a moment ago.",
    "outage": "Inside a documented outage, and the exchange twice sent nothing.",
    "absent": "The exchange twice sent the neighbours and not these; no outage is documented.",
    "quarantined": "Rows came and broke their contract, or contradict each other.",
    "doubted": "Rows came in answers that are not believed; they are asked for again.",
    "unexplained": "The exchange sent the neighbours and not these; to be asked again.",
    "seen_once": "One answer speaks for numbered rows; heal asks for a second.",
    "lost": "The exchange numbered a row, and twice did not send it.",
    "renumbered": "Numbers that were given before came again, of other rows.",
    "truncated": "A page came short at one end; to be asked again.",
    "no_answer": "Asked, and no usable answer came.",
    "not_asked": "Wanted, and not asked for yet.",
}
"""Every reason the ledger has, in words."""
EXPECTED = frozenset({"before_listing", "before_first_trade", "after_expiry", "in_progress"})
"""Where nothing is missing that anybody could have."""
REASONS = (
    Column("reason", "word"),
    Column("what it means", "words"),
    Column("rows"),
    Column("where", "words"),
    Column("state", "word"),
)
STRETCHES = (
    Column("part", "word"),
    Column("dataset", "word"),
    Column("from", "word"),
    Column("to", "word"),
    Column("length"),
    Column("source", "words"),
    Column("reason", "word"),
)


class Stretch(NamedTuple):
    """A gap of a partition; those that are open, then the longest, are the greatest."""

    is_open: bool
    length_ms: int
    partition: Partition
    gap: Gap


def gaps(found: Survey) -> Markup:
    """Return the section: the reasons with their rows, and the longest stretches."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found.found:
        for reason, rows in one.gaps.items():
            counts[reason][one.dataset] += rows
    if not counts:
        return section("gaps", "Gaps", paragraph("No row that was asked for is missing."))
    ordered = sorted(counts, key=lambda reason: (reason in SETTLED, -counts[reason].total()))
    told = table("Reasons of gaps", REASONS, (_reason(one, counts[one]) for one in ordered))
    return section("gaps", "Gaps", paragraph(_lead(counts)), told, _longest(found))


def _lead(counts: dict[str, Counter[str]]) -> object:
    rows = sum(counts[reason].total() for reason in counts if reason not in SETTLED)
    if not rows:
        return "Every gap is settled: nothing is left to be asked."
    return joined(
        [f"{rows:,} rows are still to be had: ", code("deribit-lake heal"), "asks again."]
    )


def _reason(reason: str, by_dataset: Counter[str]) -> Iterator[object]:
    yield reason.replace("_", " ")
    yield EXPLAINED.get(reason, NOTHING)  # type: ignore[call-overload]  # (a status is not typed)
    yield f"{by_dataset.total():,}"
    named = [f"{name} {rows:,}" for name, rows in by_dataset.most_common(NEAREST)]
    more = len(by_dataset) - len(named)
    yield ", ".join(named) + (f" and {more} more" if more else "")
    is_settled = reason in SETTLED
    yield pill("settled" if is_settled else "open", is_good=is_settled)


def _longest(found: Survey) -> Markup:
    top = heapq.nlargest(LONGEST, _stretches(found), key=lambda one: one[:3])
    seen = [one for one in top if one.is_open][:SEEN]
    rest = top[len(seen) :]
    parts: list[object] = []
    if seen:
        parts += [heading("Longest open gaps"), table("Open gaps", STRETCHES, map(_stretch, seen))]
    if rest:
        told = table("Longest gaps, open ones first", STRETCHES, map(_stretch, rest))
        parts.append(folded(f"{len(rest)} more of the longest gaps", told))
    return joined(parts)


def _stretches(found: Survey) -> Iterator[Stretch]:
    for partition, record in found.books.held.items():
        for gap in record.gaps:
            if gap.reason not in EXPECTED:
                length = gap.end_ms - gap.start_ms
                yield Stretch(not gap.is_settled, length, partition, gap)


def _stretch(one: Stretch) -> Iterator[object]:
    gap = one.gap
    yield gap.of or one.partition.part
    yield one.partition.dataset
    yield format_moment(gap.start_ms)
    yield format_moment(gap.end_ms)
    yield age(one.length_ms)
    yield gap.source or NOTHING
    yield pill(gap.reason.replace("_", " "), is_good=gap.is_settled)
