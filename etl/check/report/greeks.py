"""How near our Greeks are to Deribit's own in the newest tickers, and no more than needed."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from etl.check.greek_tally import TICKER
from etl.check.greeks import DATASET, GreeksReport, validate
from etl.check.greeks_summary import facts, worst
from etl.check.report.markup import (
    Column,
    Markup,
    code,
    count,
    folded,
    html,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.reading import newest_ms
from etl.check.report.survey import DAY_MS
from etl.when import format_moment
from lake.paths import Lake
from lake.read import footer
from lake.span import Span
from lake.store.place import Place
from validators.greeks.errors import WORDS_OF_VERDICT

MOST_ROWS = 200_000
"""A day of more tickers is looked at in its last hour only."""
STALE_S = 30.0
COLUMNS = (
    Column("quantity", "word"),
    Column("underlying", "word"),
    Column("quotes"),
    Column("median error"),
    Column("95 %"),
    Column("most"),
    Column("outside"),
    Column("buckets", "words"),
)


def greeks(lake: Lake) -> Markup:
    """Return the section; nothing where no ticker of an option is held.

    Raises
    ------
    UsageError
        If no ticker held can be compared; the message says why.
    """
    days = _last_day(lake.files(DATASET))
    if not days:
        return Markup("")
    span = _span(days)
    report = validate(lake, [], days=1, span=span, age_s=0.0, stale_s=STALE_S)
    first, last = format_moment(span.start_ms), format_moment(span.end_ms)
    lead = joined(
        [
            f"{report.tally.rows:,} tickers, {first} to {last} UTC:",
            pill(report.verdict, is_good=report.verdict == "PASS"),
            "All days, bucket by bucket:",
            code("deribit-lake validate-greeks"),
        ]
    )
    return section("greeks", "Greeks against Deribit's", paragraph(lead), *_told(report))


def _last_day(paths: Sequence[Place]) -> list[Place]:
    """Return the files of the newest day that has rows; those before it are not asked."""
    for day in sorted({path.stem for path in paths}, reverse=True):
        if mine := [path for path in paths if path.stem == day and footer(path).num_rows]:
            return mine
    return []


def _span(paths: Sequence[Place]) -> Span:
    """Return which stretch of the newest day is compared: all of it, or its last hour."""
    end = max(newest_ms(path) for path in paths) + 1
    rows = sum(footer(path).num_rows for path in paths)
    return Span(end - (3_600_000 if rows > MOST_ROWS else DAY_MS), end)


def _told(report: GreeksReport) -> Iterator[Markup]:
    if report.verdict == "FAIL":
        yield paragraph(worst(report))
    rows = report.overall.filter(source=TICKER).sort("quantity", "underlying")
    yield table(
        "Errors by quantity, in its own unit",
        COLUMNS,
        (_row(report, row) for row in rows.iter_rows(named=True)),
    )
    notes = facts(report)
    if notes:
        listed = Markup(f"<ul>{''.join(f'<li>{html(one)}</li>' for one in notes)}</ul>")
        yield folded(count(len(notes), "note"), listed)


def _row(report: GreeksReport, row: dict[str, Any]) -> Iterator[object]:
    verdicts = report.table.filter(
        pl.col("source") == TICKER,
        pl.col("underlying") == row["underlying"],
        pl.col("quantity") == row["quantity"],
    )["verdict"]
    yield row["quantity"].replace("_", " ")
    yield row["underlying"]
    yield f"{row['rows']:,}"
    for name in ("median", "p95", "max"):
        yield f"{row[name]:.2g}"
    yield f"{row['outside']:,}"
    counts = [(int(verdicts.eq(word).sum()), word) for word in WORDS_OF_VERDICT]
    yield ", ".join(f"{number} {word}" for number, word in counts if number)
