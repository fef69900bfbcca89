"""Say of each part of each dataset what is held, what is missing and why, and the verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from etl.catalog import DATASETS
from etl.check.books import Books, Subject
from etl.dataset import Computed, Fetched, Snapshot
from etl.instruments.names import parse_name
from etl.when import format_moment
from lake.ledger import SETTLED, Record
from lake.partition import Partition
from lake.paths import LEDGER, TOPS, Lake

Verdict = Literal["COMPLETE", "INCOMPLETE", "UNKNOWN"]


class Status(msgspec.Struct, frozen=True):
    """What the lake holds of one part of one dataset; times in Unix milliseconds.

    `gaps` counts missing rows by reason, `left_out` rows that came and were not asked for,
    `doubted` answers that are not believed. The verdict is COMPLETE where every row asked for is
    held or settled as not to be had, UNKNOWN where the ledger does not vouch for the files.
    """

    dataset: str
    instrument: str
    verdict: Verdict
    first_ms: int | None = None
    last_ms: int | None = None
    rows: int = 0
    fillers: int = 0
    quarantined: int = 0
    gaps: dict[str, int] = {}
    why: str = ""
    left_out: int = 0
    doubted: int = 0


class CurrencyStatus(msgspec.Struct, frozen=True):
    """What the lake holds of all dated futures that settle in one currency."""

    currency: str
    verdict: Verdict
    instruments: int
    complete: int
    rows: int
    fillers: int


def statuses(lake: Lake, dataset: str | None = None) -> list[Status]:
    """Return the status of every part of one dataset, or of all, sorted.

    Raises
    ------
    CorruptFileError
        If a ledger file cannot be read.
    """
    tops = (*TOPS, LEDGER) if dataset is None else ()  # rows come before their line
    return statuses_of(Books(lake.listed(*tops), dataset))


def statuses_of(books: Books) -> list[Status]:
    """Return the status of every part that books speak of, sorted."""
    return [_status(books, subject) for subject in books.subjects()]


def overall(found: Sequence[Status]) -> Verdict:
    """Return the worst verdict; UNKNOWN where there is nothing."""
    verdicts = {status.verdict for status in found}
    if not verdicts or "UNKNOWN" in verdicts:
        return "UNKNOWN"
    return "INCOMPLETE" if "INCOMPLETE" in verdicts else "COMPLETE"


def table(found: Sequence[Status]) -> str:
    """Return the statuses as a table for people."""
    head = ("dataset", "instrument", "verdict", "first", "last", "rows", "fillers", "gaps")
    rows = [head, *(_cells(status) for status in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def by_currency(found: Sequence[Status]) -> list[CurrencyStatus]:
    """Return one line for each settlement currency of dated futures, sorted."""
    ordered = sorted(found, key=_settles_in)
    return [
        CurrencyStatus(
            currency,
            overall(group),
            len(group),
            sum(status.verdict == "COMPLETE" for status in group),
            sum(status.rows for status in group),
            sum(status.fillers for status in group),
        )
        for currency, group in (
            (currency, list(members)) for currency, members in groupby(ordered, key=_settles_in)
        )
    ]


def _settles_in(status: Status) -> str:
    return parse_name(status.instrument).settles_in


def currency_table(found: Sequence[Status]) -> str:
    """Return dated futures by currency, and those that are not complete, as a table for people."""
    lines = [
        f"{one.currency}: {one.verdict}, {one.complete} of {one.instruments} futures complete, "
        f"{one.rows:,} rows, {one.fillers:,} fillers"
        for one in by_currency(found)
    ]
    rest = [status for status in found if status.verdict != "COMPLETE"]
    return "\n".join([*lines, table(rest)] if rest else lines)


def _cells(status: Status) -> tuple[str, ...]:
    first, last = (
        "-" if ms is None else format_moment(ms) for ms in (status.first_ms, status.last_ms)
    )
    gaps = ", ".join(f"{reason} {rows:,}" for reason, rows in status.gaps.items())
    return (
        status.dataset,
        status.instrument,
        status.verdict,
        first,
        last,
        f"{status.rows:,}",
        f"{status.fillers:,}",
        status.why or gaps or "-",
    )


def _status(books: Books, subject: Subject) -> Status:
    name, part = subject
    parts = books.by_subject.get(subject, [])
    kept = [books.held[one] for one in parts]
    gaps = _gaps(name, kept)
    doubts = [*map(books.doubt, parts), books.missing(subject), _stray(books, subject)]
    why = next(filter(None, doubts), "")
    short = _shortfall(books, parts, gaps)
    return Status(
        name,
        part,
        "UNKNOWN" if why else "COMPLETE" if short is None else "INCOMPLETE",
        min((record.first_ms for record in kept if record.first_ms is not None), default=None),
        max((record.last_ms for record in kept if record.last_ms is not None), default=None),
        sum(record.rows for record in kept),
        sum(record.fillers for record in kept),
        sum(record.quarantined for record in kept),
        gaps,
        why or short or "",
        sum(record.left_out for record in kept),
        sum(record.doubted for record in kept),
    )


def _shortfall(books: Books, parts: Sequence[Partition], gaps: Mapping[str, int]) -> str | None:
    """Return why a part is not complete, in words where its gaps do not say it; None if it is."""
    computed = [one for one in parts if books.held[one].inputs is not None]
    if broken := sum(books.held[one].quarantined for one in computed):
        return f"{broken:,} rows broke their contract: see quarantine_{computed[0].dataset}"
    partial = [one.period for one in parts if not books.is_whole(one)]
    if partial and not gaps:
        return f"{partial[0]} is made from what is INCOMPLETE"
    return "" if partial or any(reason not in SETTLED for reason in gaps) else None


def _gaps(name: str, kept: Sequence[Record]) -> dict[str, int]:
    """Count what is missing of a part by reason."""
    dataset = DATASETS.get(name)
    if isinstance(dataset, Fetched):
        return dataset.proof.count(kept)
    counts: Counter[str] = Counter()
    if isinstance(dataset, Computed | Snapshot):
        for record in kept:
            counts.update(record.gap_rows(dataset.step_ms))
    return {reason: rows for reason, rows in sorted(counts.items()) if rows}


def _stray(books: Books, subject: Subject) -> str:
    """Return which published file of a part has no ledger, or nothing."""
    parts = books.by_subject.get(subject, [])
    vouched = {books.lake.published(books.held[one].top, one) for one in parts}
    strays = (path for path in books.files.get(subject, []) if path not in vouched)
    is_computed = isinstance(DATASETS.get(subject[0]), Computed)
    run = f"`deribit-lake compute {subject[0]}`" if is_computed else "replay"
    return next((f"{path} has no ledger: run {run}" for path in strays), "")
