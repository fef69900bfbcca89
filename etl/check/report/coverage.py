"""What is held of each dataset and part: the worst first, and what is whole folded away."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from etl.check.report.markup import (
    NOTHING,
    Column,
    Markup,
    count,
    folded,
    heading,
    html,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.strips import legend, marks, strip
from etl.check.report.survey import Survey, span_of
from etl.check.status import Status, Verdict, overall
from etl.errors import UsageError
from etl.instruments.names import family_of
from etl.when import format_moment
from lake.ledger import Record
from lake.span import Span

SEEN, LISTED = 10, 40
"""Parts of a dataset that are in sight, and that are listed one by one; an options chain has a
hundred thousand."""
FAMILIES = 40
ORDER: tuple[Verdict, ...] = ("UNKNOWN", "INCOMPLETE", "COMPLETE")
DATASETS = (
    Column("dataset", "word"),
    Column("complete"),
    Column("rows"),
    Column("first", "word"),
    Column("last", "word"),
    Column("along time", "words"),
    Column("verdict", "word"),
)
PARTS = (
    Column("part", "word"),
    Column("rows"),
    Column("first", "word"),
    Column("last", "word"),
    Column("missing", "words"),
    Column("along time", "words"),
    Column("verdict", "word"),
)
GROUPS = (
    Column("family", "word"),
    Column("parts"),
    Column("rows"),
    Column("first", "word"),
    Column("last", "word"),
    Column("verdict", "word"),
)


def coverage(found: Survey) -> Markup:
    """Return the section: all datasets on one axis of time, then the parts of each."""
    names = sorted(found.by_dataset, key=lambda name: _badness(found.by_dataset[name]))
    if not names:
        return section("coverage", "Coverage", paragraph("Nothing is held yet."))
    first, last = (format_moment(ms) for ms in (found.span.start_ms, found.span.end_ms))
    return section(
        "coverage",
        "Coverage",
        paragraph(f"Every strip reaches from {first} to {last} UTC."),
        legend(),
        table("Datasets", DATASETS, (_dataset(found, name) for name in names)),
        *(_parts(found, name) for name in names),
    )


def _badness(found: Sequence[Status]) -> tuple[int, str]:
    return ORDER.index(overall(found)), found[0].dataset


def _dataset(found: Survey, name: str) -> Iterator[object]:
    parts = found.by_dataset[name]
    yield Markup(f'<a href="#coverage-{html(name)}">{html(name)}</a>')
    yield f"{sum(one.verdict == 'COMPLETE' for one in parts):,} of {count(len(parts), 'part')}"
    yield f"{sum(one.rows for one in parts):,}"
    yield from _ends(parts)
    yield strip(marks(_records(found, parts), found.span), found.span)
    yield _verdict(overall(parts))


def _records(found: Survey, parts: Iterable[Status]) -> Iterator[Record]:
    books = found.books
    for one in parts:
        for partition in books.by_subject.get((one.dataset, one.instrument), ()):
            yield books.held[partition]


def _ends(parts: Sequence[Status]) -> Iterator[str]:
    """Yield the first row of some parts and the last, to the day."""
    firsts = [one.first_ms for one in parts if one.first_ms is not None]
    lasts = [one.last_ms for one in parts if one.last_ms is not None]
    yield format_moment(min(firsts))[:10] if firsts else NOTHING
    yield format_moment(max(lasts))[:10] if lasts else NOTHING


def _verdict(verdict: Verdict) -> Markup:
    return pill(verdict, is_good=verdict == "COMPLETE")


def _parts(found: Survey, name: str) -> Markup:
    """Return the parts of a dataset: the worst in sight, others folded, very many as groups."""
    ordered = sorted(found.by_dataset[name], key=_worst_first)
    bad = [one for one in ordered if one.verdict != "COMPLETE"]
    seen, more, rest = bad[:SEEN], bad[SEEN:LISTED], ordered[len(bad[:LISTED]) :]
    span = span_of(ordered, found.now_ms)
    parts: list[object] = []
    if seen:
        parts.append(heading(name))
        parts.append(_listed(found, f"Parts of {name} that are not complete", seen, span))
    if len(more) + len(rest) <= LISTED:
        more, rest = [*more, *rest], []
    others = "Other parts" if seen else "Parts"
    if more:
        told = _listed(found, f"{others} of {name}", more, span)
        parts.append(folded(_summary(name, more), told))
    if rest:
        told = _grouped(f"{others} of {name}, by family", rest)
        parts.append(folded(_summary(name, rest), told))
    return Markup(f'<div id="coverage-{html(name)}">{joined(parts)}</div>')


def _worst_first(one: Status) -> tuple[int, int, str]:
    return ORDER.index(one.verdict), -sum(one.gaps.values()), one.instrument


def _summary(name: str, parts: Sequence[Status]) -> Markup:
    rows = sum(one.rows for one in parts)
    words = {one: sum(each.verdict == one for each in parts) for one in ORDER}
    verdicts = ", ".join(f"{number:,} {word}" for word, number in words.items() if number)
    return Markup(f"<b>{html(name)}</b>: {count(len(parts), 'part')}, {rows:,} rows; {verdicts}")


def _listed(found: Survey, caption: str, parts: Sequence[Status], span: Span) -> Markup:
    return table(caption, PARTS, (_part(found, one, span) for one in parts))


def _part(found: Survey, one: Status, span: Span) -> Iterator[object]:
    yield one.instrument
    yield f"{one.rows:,}"
    yield from _ends([one])
    gaps = ", ".join(f"{rows:,} {reason.replace('_', ' ')}" for reason, rows in one.gaps.items())
    yield "; ".join(filter(None, (one.why, gaps))) or NOTHING
    yield strip(marks(_records(found, [one]), span), span)
    yield _verdict(one.verdict)


def _grouped(caption: str, parts: Sequence[Status]) -> Markup:
    """Return many parts by what they are on; the few families that are left over as one."""
    families: dict[str, list[Status]] = defaultdict(list)
    for one in parts:
        families[_family(one.instrument)].append(one)
    ordered = sorted(families, key=lambda family: (-len(families[family]), family))
    rows = [_group(family, families[family]) for family in ordered[:FAMILIES]]
    if rest := [one for family in ordered[FAMILIES:] for one in families[family]]:
        rows.append(_group(f"{len(ordered) - FAMILIES:,} other families", rest))
    return table(caption, GROUPS, rows)


def _group(family: str, parts: Sequence[Status]) -> list[object]:
    rows = sum(one.rows for one in parts)
    return [family, f"{len(parts):,}", f"{rows:,}", *_ends(parts), _verdict(overall(parts))]


def _family(part: str) -> str:
    try:
        return family_of(part)
    except UsageError:
        return "other names"
