"""How a lake grows: rows and bytes of each month of its data, and what a year will take."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl.check.report.drawing import bars
from etl.check.report.markup import Column, Markup, folded, heading, joined, paragraph, size, table
from etl.check.report.strips import held_spans
from etl.check.report.survey import Survey
from lake.ledger import Record
from lake.span import Span
from lake.store.files import ABUNDANT, free_bytes

if TYPE_CHECKING:
    from etl.check.report.sizes import File

MONTHS = 24
RATE = 3  # whole months, the last, that tell how fast it grows
ENOUGH_YEARS = 100
COLUMNS = (Column("month", "word"), Column("rows"), Column("bytes"))


def growth(found: Survey, files: Sequence["File"], besides: float) -> Markup:
    """Return the part on growth.

    Parameters
    ----------
    found
        The lake.
    files
        Its published files.
    besides
        What the whole lake takes, over what its published rows take [1].
    """
    starts = month_starts(found.span.end_ms)
    rows, bytes_ = by_month(found, files, starts)
    labels = [f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m}" for ms in starts[:-1]]
    if not any(bytes_):
        return Markup("")
    told = (
        [month, f"{count:,.0f}", size(taken)]
        for month, count, taken in reversed(list(zip(labels, rows, bytes_, strict=True)))
    )
    return joined(
        [
            heading("Growth"),
            paragraph(outlook(bytes_, besides, free_bytes(found.lake.root))),
            bars("Bytes of each month of data", labels, bytes_, size),
            folded("Rows and bytes by month", table("Growth by month", COLUMNS, told)),
        ]
    )


def month_starts(end_ms: int) -> list[int]:
    """Return when the last months began, up to that of a moment, and when it will be over [ms]."""
    last = datetime.fromtimestamp((end_ms - 1) / 1000, UTC)
    number = last.year * 12 + last.month - 1
    months = range(number - MONTHS + 1, number + 2)
    dates = (datetime(one // 12, one % 12 + 1, 1, tzinfo=UTC) for one in months)
    return [round(one.timestamp() * 1000) for one in dates]


def by_month(
    found: Survey, files: Sequence["File"], starts: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Return rows and bytes of each month; those of a file of years, by the time it holds."""
    rows, bytes_ = [0.0] * (len(starts) - 1), [0.0] * (len(starts) - 1)
    for one in files:
        if one.partition.period == "all":
            continue
        record = found.books.held.get(one.partition, Record())
        for month, share in shares(spans_with_rows(record) or [one.partition.span], starts):
            rows[month] += one.rows * share
            bytes_[month] += one.bytes * share
    return rows, bytes_


def spans_with_rows(record: Record) -> list[Span]:
    """Return the stretches a partition may have rows in, by its first row and its last."""
    if record.first_ms is None or record.last_ms is None:
        return []
    inside = Span(record.first_ms, record.last_ms + 1)
    both = (Span(max(one.start_ms, inside.start_ms), min(one.end_ms, inside.end_ms))
            for one in held_spans(record))  # fmt: skip
    return [one for one in both if one.start_ms < one.end_ms]


def shares(spans: Sequence[Span], starts: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield which months some stretches lie in, and with what share of their length each."""
    whole = sum(one.end_ms - one.start_ms for one in spans)
    for one in spans:
        first = max(bisect_right(starts, one.start_ms) - 1, 0)
        for month in range(first, len(starts) - 1):
            if starts[month] >= one.end_ms:
                break
            inside = min(one.end_ms, starts[month + 1]) - max(one.start_ms, starts[month])
            if inside > 0:
                yield month, inside / whole


def outlook(bytes_: Sequence[float], besides: float, free: int) -> str:
    """Return what a year will take at the rate of the last whole months, and for how long it fits.

    Parameters
    ----------
    bytes_
        Of each month, the last of them not over yet [B].
    besides
        What the whole lake takes, over what its published rows take [1].
    free
        Of the disk [B]; `ABUNDANT` of a bucket.
    """
    whole = [taken for taken in bytes_[:-1][-RATE:] if taken]
    if not whole:
        return "No whole month is held: nothing says yet what a year will take."
    year = 12 * sum(whole) / len(whole) * besides
    rate = (
        f"At the rate of the last {len(whole)} whole months of data a year takes {size(year)}, "
        "raw and ledger included"
    )
    if free == ABUNDANT:
        return f"{rate}; a bucket does not fill up."
    years = free / year
    lasts = f"{years:,.1f}" if years < ENOUGH_YEARS else f"more than {ENOUGH_YEARS}"
    return f"{rate}; {size(free)} are free, enough for {lasts} years."
