"""The newest term structure of futures: their basis one by one, and the curve through them."""

from collections.abc import Iterator
from math import nan

import polars as pl

from etl.check.report.drawing import Axis, Curve, Shape, chart
from etl.check.report.markup import (
    NOTHING,
    Column,
    Markup,
    folded,
    heading,
    joined,
    paragraph,
    section,
    table,
)
from etl.check.report.reading import newest_rows
from etl.compute.futures_basis import NAME as BASIS
from etl.compute.futures_curve import NAME as CURVE
from lake.paths import Lake

DRAWN = 12
"""Underlyings that have a chart; of more, the rest is named."""
FUTURES = (
    Column("future", "word"),
    Column("days"),
    Column("price"),
    Column("basis"),
    Column("a year, %"),
    Column("carry, %"),
    Column("state", "word"),
)
MATURITIES = (
    Column("days", "word"),
    Column("carry, %"),
    Column("between", "words"),
    Column("state", "word"),
)
AXES = (Axis("days to expiry"), Axis("carry", unit=" %"))


def basis(lake: Lake) -> Markup:
    """Return the section; nothing where neither basis nor curve is held."""
    futures = newest_rows(
        lake,
        BASIS,
        ("instrument", "future_price", "days_to_expiry", "basis", "basis_annualised", "carry",
         "status"),
    )  # fmt: skip
    curves = newest_rows(lake, CURVE, ("maturity_days", "carry", "shorter", "longer", "status"))
    names = sorted({*_parts(futures), *_parts(curves)})
    if not names:
        return Markup("")
    lead = (
        "Carry is the basis over the perpetual, continuously compounded, ACT/365; "
        "of the newest minute held."
    )
    told = [_underlying(name, _of(futures, name), _of(curves, name)) for name in names[:DRAWN]]
    more = f"Not drawn: {', '.join(names[DRAWN:])}." if names[DRAWN:] else ""
    return section(
        "basis",
        "Basis of futures",
        paragraph(lead),
        Markup(f'<div class="plots">{joined(told)}</div>'),
        *([paragraph(more)] if more else []),
    )


def _parts(rows: pl.DataFrame) -> list[str]:
    return rows["part"].unique().to_list() if len(rows) else []


def _of(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.filter(pl.col("part") == name) if len(rows) else rows


def _underlying(name: str, futures: pl.DataFrame, curve: pl.DataFrame) -> Markup:
    lines: list[tuple[str, pl.DataFrame, str, Shape]] = [
        ("constant maturities", curve, "maturity_days", "both"),
        ("futures", futures, "days_to_expiry", "points"),
    ]
    drawn = [
        Curve(words, _floats(rows, across), _floats(rows, "carry", 100), shape)
        for words, rows, across, shape in lines
        if len(rows)
    ]
    newest = (futures if len(futures) else curve).row(0, named=True)["timestamp"]
    parts = [heading(name), chart(f"{name}, {newest:%Y-%m-%d %H:%M} UTC", drawn, *AXES)]
    if len(futures):
        rows = futures.sort("days_to_expiry", nulls_last=True).iter_rows(named=True)
        parts.append(table(f"Futures on {name}", FUTURES, map(_future, rows)))
    if len(curve):
        rows = curve.sort("maturity_days").iter_rows(named=True)
        told = table(f"Constant maturities of {name}", MATURITIES, map(_maturity, rows))
        parts.append(folded("Constant maturities", told))
    return Markup(f"<div>{joined(parts)}</div>")


def _floats(rows: pl.DataFrame, name: str, times: float = 1) -> list[float]:
    return [nan if value is None else value * times for value in rows.sort("timestamp")[name]]


def _future(row: dict[str, object]) -> Iterator[object]:
    yield row["instrument"]
    yield number(row["days_to_expiry"], ".1f")
    yield number(row["future_price"], ",.6g")
    yield number(row["basis"], ",.4g")
    yield number(row["basis_annualised"], ".2f", 100)
    yield number(row["carry"], ".2f", 100)
    yield row["status"]


def _maturity(row: dict[str, object]) -> Iterator[object]:
    yield number(row["maturity_days"], "g")
    yield number(row["carry"], ".2f", 100)
    ends = [str(row[name]) for name in ("shorter", "longer") if row[name] is not None]
    yield " and ".join(dict.fromkeys(ends)) or NOTHING
    yield row["status"]


def number(value: object, form: str, times: float = 1) -> str:
    """Return a number times something in some form; a dash for none."""
    return NOTHING if not isinstance(value, int | float) else format(value * times, form)
