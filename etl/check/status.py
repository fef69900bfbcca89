"""Say of each instrument what is held, what is missing and why, and the verdict."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Literal

import msgspec

from etl.backfill.fold import raw_folder
from etl.datasets import DATASETS, HOUR_MS, Dataset
from etl.instruments.lists import settlement_currency
from etl.proof import grid as plan
from etl.when import format_moment
from lake import raw
from lake.ledger import SETTLED, Record, records
from lake.paths import Lake, Partition
from lake.read import held_instruments

Verdict = Literal["COMPLETE", "INCOMPLETE", "UNKNOWN"]


class Status(msgspec.Struct, frozen=True):
    """What the lake holds of one instrument in one dataset; times in Unix milliseconds.

    `gaps` counts missing rows by reason. The verdict is COMPLETE where every row asked for is held
    or settled as not to be had, UNKNOWN where the ledger does not vouch for the files.
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


class CurrencyStatus(msgspec.Struct, frozen=True):
    """What the lake holds of all dated futures that settle in one currency."""

    currency: str
    verdict: Verdict
    instruments: int
    complete: int
    rows: int
    fillers: int


def statuses(lake: Lake, dataset: str | None = None) -> list[Status]:
    """Return the status of every instrument of one dataset, or of all, sorted.

    Raises
    ------
    CorruptFileError
        If a ledger file cannot be read.
    """
    found = []
    known = sorted(records(lake, dataset))
    for (name, instrument), group in groupby(known, key=lambda one: _subject(one[0])):
        found.append(_status(lake, name, instrument, list(group)))
    vouched = {(status.dataset, status.instrument) for status in found}
    for name in [dataset] if dataset else lake.datasets():
        strays = set(held_instruments(lake, name)) - {held for of, held in vouched if of == name}
        found += [
            Status(name, stray, "UNKNOWN", why="files without a ledger: run replay")
            for stray in strays
        ]
    return sorted(found, key=lambda status: (status.dataset, status.instrument))


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
    ordered = sorted(found, key=lambda status: settlement_currency(status.instrument))
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
            (currency, list(members))
            for currency, members in groupby(
                ordered, key=lambda status: settlement_currency(status.instrument)
            )
        )
    ]


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


def _subject(partition: Partition) -> tuple[str, str]:
    return partition.dataset, partition.instrument


def _status(
    lake: Lake, name: str, instrument: str, parts: Sequence[tuple[Partition, Record]]
) -> Status:
    kept = [record for _, record in parts]
    dataset = DATASETS.get(name)
    gaps = _gaps(kept, dataset.grid.step_ms if dataset else HOUR_MS)
    doubts = [_doubt(lake, dataset, part, record) for part, record in parts]
    why = next(filter(None, [*doubts, _stray(lake, name, instrument, parts)]), "")
    is_complete = all(reason in SETTLED for reason in gaps)
    return Status(
        name,
        instrument,
        "UNKNOWN" if why else "COMPLETE" if is_complete else "INCOMPLETE",
        min((record.first_ms for record in kept if record.first_ms is not None), default=None),
        max((record.last_ms for record in kept if record.last_ms is not None), default=None),
        sum(record.rows for record in kept),
        sum(record.fillers for record in kept),
        sum(record.quarantined for record in kept),
        gaps,
        why,
    )


def _gaps(kept: Sequence[Record], step_ms: int) -> dict[str, int]:
    """Count missing rows by reason, looking across the years.

    What a partition takes for the time before the first trade is a hole like any other where an
    earlier one holds rows; and what lies between two wanted spans was never asked.
    """
    counts: Counter[str] = Counter()
    has_rows = False
    for record in kept:
        for reason, rows in record.gap_rows(step_ms).items():
            counts["unexplained" if has_rows and reason == "before_first_trade" else reason] += rows
        has_rows = has_rows or record.rows > 0
    spans = plan.union(span for record in kept for span in record.wanted)
    between = sum(after.start_ms - before.end_ms for before, after in pairwise(spans))
    counts["not_asked"] += between // step_ms
    return {reason: rows for reason, rows in sorted(counts.items()) if rows}


def _doubt(lake: Lake, dataset: Dataset | None, partition: Partition, record: Record) -> str:
    """Return why the ledger does not vouch for a partition's files, or nothing.

    Without a dataset it is a partition made from others, that has no raw of its own.
    """
    year = partition.year
    if dataset and record.segments != raw.segments(
        raw_folder(lake, dataset, partition.instrument, year)
    ):
        return f"raw of {partition.year} is newer than the ledger: run backfill, heal or replay"
    if record.rows and not lake.clean(partition).exists():
        return f"{lake.clean(partition)} is gone: run replay"
    return ""


def _stray(
    lake: Lake, name: str, instrument: str, parts: Sequence[tuple[Partition, Record]]
) -> str:
    """Return which published file of an instrument has no ledger, or nothing."""
    vouched = {lake.clean(partition) for partition, _ in parts}
    files = sorted((lake.clean_folder(name) / instrument).glob("*.parquet"))
    return next((f"{path} has no ledger: run replay" for path in files if path not in vouched), "")
