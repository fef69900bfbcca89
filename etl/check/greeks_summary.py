"""What a comparison of Greeks amounts to, for people and as JSON."""

from typing import TYPE_CHECKING, Any

import polars as pl

from etl.check.greek_age import LEAST_PAIRS
from etl.check.greek_tally import PRICE, TICKER
from etl.check.greeks import GreeksReport
from validators.greeks.errors import BUCKET, WORDS_OF_VERDICT
from validators.greeks.quotes import REASONS, STALE

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = {TICKER: "from mark_iv", PRICE: "from iv solved from mark_price"}
NAMED = 3  # rows outside, the worst; a file has more of them
HEADINGS = ("underlying", "quantity", "rows", "median", "p95", "max", "outside", "buckets")


def summary(report: GreeksReport) -> str:
    """Return what was compared, the errors of each underlying, the age, what was left out."""
    lines = [f"Greeks of {report.tally.rows:,} tickers, {report.first} to {report.last}"]
    for source, words in SOURCES.items():
        lines += ["", words, *_table(report, source)]
    lines += ["", *_told(report), f"verdict: {report.verdict}"]
    return "\n".join(lines)


def facts(report: GreeksReport) -> list[str]:
    """Return what is to be known of what was compared: ages, conventions, what was left out."""
    taken = f"Greeks are taken to be {report.age_s:g} s older than their tickers"
    return [
        *([taken] if report.age_s else []),
        *(age.words for age in report.ages if age.pairs >= LEAST_PAIRS),
        *_silent(report),
        *(hint.words for hint in report.hints),
        *outside_words(report),
        *left_out_words(report),
    ]


def outside_words(report: GreeksReport) -> list[str]:
    """Return the rows that are farthest outside their tolerance."""
    outside = report.tally.outside
    if outside is None:
        return []
    return [
        f"{row['instrument']} at {row['quoted_at']:%Y-%m-%d %H:%M:%S}: {row['quantity']} "
        f"{row['theirs']:.6g}, ours {row['ours']:.6g} ± {row['tolerance']:.1g}"
        for row in outside.filter(source=TICKER).head(NAMED).iter_rows(named=True)
    ]


def left_out_words(report: GreeksReport) -> list[str]:
    """Return how many rows were left out and why, and which ones were kept though they are odd."""
    told = report.tally
    lines = []
    if told.left is not None:
        by_reason = told.left.group_by("reason").agg(pl.sum("rows"), pl.max("late_s"))
        for reason, rows, late in by_reason.sort("reason").iter_rows():
            how_long = f", by {late:,.0f} s at most" if reason == STALE else ""
            lines.append(f"{rows:,} left out, {REASONS[reason]}{how_long}")
    if told.flat:
        lines.append(f"{told.flat:,} with one mark_iv at all strikes, compared all the same")
    if told.unclear:
        lines.append(f"{told.unclear:,} mark prices say too little of their volatility")
    return lines


def worst(report: GreeksReport) -> str:
    """Return a line on the worst bucket of those that fail."""
    place = ("source", *BUCKET)
    failed, every = (one.select(place).n_unique() for one in (report.failed, report.table))
    row = report.failed.row(0, named=True)
    ratio = "" if row["ratio"] is None else f", median ours/theirs {1 + row['ratio']:.6f}"
    return (
        f"{failed} of {every} buckets fail; the worst: {row['quantity']} of {row['underlying']}, "
        f"{row['moneyness']}, {row['days']}, {SOURCES[row['source']]}: "
        f"{row['outside']:,} of {row['rows']:,} outside{ratio}"
    )


def as_data(report: GreeksReport) -> dict[str, Any]:
    """Return the report as what JSON can say."""
    left = report.tally.left
    return {
        "verdict": report.verdict,
        "first": report.first,
        "last": report.last,
        "rows": report.tally.rows,
        "age_s": report.age_s,
        "ages": [age._asdict() | {"is_old": age.is_old} for age in report.ages],
        "hints": [hint._asdict() for hint in report.hints],
        "left_out": [] if left is None else left.sort("underlying", "reason").to_dicts(),
        "flat_marks": report.tally.flat,
        "unclear_prices": report.tally.unclear,
        "overall": report.overall.to_dicts(),
        "failed": report.failed.to_dicts(),
    }


def _table(report: GreeksReport, source: str) -> list[str]:
    rows: list[Sequence[str]] = [HEADINGS]
    verdicts = report.table.filter(source=source)
    for line in report.overall.filter(source=source).iter_rows(named=True):
        mine = verdicts.filter(underlying=line["underlying"], quantity=line["quantity"])
        counts = [(int(mine["verdict"].eq(word).sum()), word) for word in WORDS_OF_VERDICT]
        rows.append(
            (
                line["underlying"], line["quantity"], f"{line['rows']:,}",
                *(f"{line[name]:.2g}" for name in ("median", "p95", "max")), f"{line['outside']:,}",
                ", ".join(f"{count} {word}" for count, word in counts if count),
            )
        )  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    return ["  ".join(map(_aligned, row, widths, range(len(row)))).rstrip() for row in rows]


def _aligned(text: str, size: int, column: int) -> str:
    is_number = 2 <= column < len(HEADINGS) - 1  # noqa: PLR2004  after the two words
    return text.rjust(size) if is_number else text.ljust(size)


def _told(report: GreeksReport) -> list[str]:
    return [f"note: {fact}" for fact in facts(report)]


def _silent(report: GreeksReport) -> list[str]:
    silent = [age.underlying for age in report.ages if age.pairs < LEAST_PAIRS]
    if not silent:
        return []
    return [f"{', '.join(silent)}: too few pairs of call and put tell how old the Greeks are"]
