"""Our volatility of a variance swap of thirty days beside Deribit's index of the same."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import nan
from typing import Any

import polars as pl

from etl.check.report.basis import number
from etl.check.report.drawing import Axis, Curve, chart
from etl.check.report.markup import (
    DAY,
    HOUR,
    Column,
    Markup,
    count,
    folded,
    joined,
    paragraph,
    section,
    table,
)
from etl.check.report.reading import moment, newest_rows
from etl.compute.variance_swap import NAME
from lake.paths import Lake

WITHIN = timedelta(days=30)
DRAWN, POINTS, TICKS = 6, 240, 5
COLUMNS = (
    Column("day", "word"),
    Column("ours, %"),
    Column("DVOL, %"),
    Column("ours less DVOL"),
)


def dvol(lake: Lake) -> Markup:
    """Return the section; nothing where no variance swap is held."""
    rows = newest_rows(
        lake,
        NAME,
        ("underlying", "source", "volatility", "dvol", "difference", "status"),
        within=WITHIN,
    )
    known = rows.filter(status="ok").sort("timestamp") if len(rows) else rows
    if known.is_empty():
        return Markup("")
    by_source = known.partition_by("underlying", "source")
    told = [_series(one) for one in by_source if len(one) > 1][:DRAWN]
    told += [_series(one) for one in by_source if len(one) == 1]
    lead = (
        "The root of the variance that options of listed strikes replicate over thirty days, "
        "beside the close of Deribit's volatility index before it; of the last month held."
    )
    plots = Markup(f'<div class="plots">{joined(told)}</div>')
    return section("dvol", "Volatility index", paragraph(lead), plots)


def _series(rows: pl.DataFrame) -> Markup:
    name = f"{rows['underlying'][0]}, from {rows['source'][0]}"
    beside = rows.drop_nulls("difference")
    words = "No index is held beside it."
    if len(beside):
        apart = 100 * pl.col("difference").abs()
        both = beside.select(apart.median().alias("median"), apart.max().alias("most"))
        median, most = both.row(0)
        words = (
            f"{name}: {count(len(beside), 'moment')}, apart by {median:.2f} points in the median "
            f"and {most:.2f} at most."
        )
    days = rows.group_by(day=pl.col("timestamp").dt.date(), maintain_order=True).last()
    told = table(f"{name}, last of each day", COLUMNS, map(_day, days[::-1].iter_rows(named=True)))
    parts = [paragraph(words)]
    if len(rows) > 1:
        parts = [_chart(name, rows), *parts, folded("By day", told)]
    return Markup(f"<div>{joined(parts)}</div>")


def _chart(name: str, rows: pl.DataFrame) -> Markup:
    some = rows[:: max(1, -(-len(rows) // POINTS))]
    when = some["timestamp"].dt.epoch("ms").to_list()
    curves = [
        Curve(words, when, [nan if iv is None else 100 * iv for iv in some[column]])
        for words, column in (("ours", "volatility"), ("DVOL", "dvol"))
    ]
    return chart(name, curves, Axis("UTC", _ticks(when)), Axis("volatility", unit=" %"))


def _ticks(when: Sequence[int]) -> list[tuple[float, str]]:
    """Return some full days, or full hours where there are few days."""
    length = when[-1] - when[0]
    unit, form = (DAY, "%-d %b") if length > TICKS * DAY else (HOUR, "%-d %b %H:%M")
    step = max(round(length / TICKS / unit), 1) * unit
    first = -(-when[0] // unit) * unit
    places = range(first, when[-1] + 1, step)[:TICKS] if unit == DAY else [first, when[-1]]
    return [(ms, f"{moment(ms):{form}}") for ms in places]


def _day(row: dict[str, Any]) -> Iterator[object]:
    yield f"{row['day']:%Y-%m-%d}"
    yield number(row["volatility"], ".2f", 100)
    yield number(row["dvol"], ".2f", 100)
    yield number(row["difference"], "+.2f", 100)
