"""The newest volatility surface of each underlying: smiles, term structure, and a map of both."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl

from etl.check.report.basis import number
from etl.check.report.drawing import Axis, Curve, chart
from etl.check.report.markup import (
    Column,
    Markup,
    code,
    folded,
    heading,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.reading import newest_rows
from etl.check.smiles import smiles_of, total_variance
from etl.compute.vol_slices import NAME
from lake.paths import Lake

DRAWN = 8
SMILES = 6
"""A chart has as many kinds of line; of more expiries, some between the first and the last."""
WITHIN = timedelta(days=7)
DEVIATIONS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
SHADES = 7
SOURCES = ("mids", "marks", "trades")
"""What the market says, before what the exchange makes of it and what was traded an hour ago."""
COLUMNS = (
    "underlying", "source", "expiry", "tenor", "forward", "model", "theta", "rho", "psi",
    "svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma", "atm_iv", "atm_error", "quotes",
    "low_moneyness", "high_moneyness", "rmse", "status",
)  # fmt: skip
SLICES = (
    Column("expiry", "word"),
    Column("days"),
    Column("forward"),
    Column("ATM, %"),
    Column("± points"),
    Column("quotes"),
    Column("RMSE, points"),
    Column("state", "word"),
)
DAYS = Axis(
    "days to expiry",
    [(0.5, "½"), (1, "1"), (2, "2"), (7, "7"), (14, "14"), (30, "30"), (90, "90"), (365, "365")],
    is_log=True,
)
VOLATILITY = Axis("volatility", unit=" %")


def surface(lake: Lake) -> Markup:
    """Return the section; nothing where no surface is held."""
    rows = newest_rows(lake, NAME, COLUMNS, within=WITHIN)
    if rows.is_empty():
        return Markup("")
    names = rows["underlying"].unique().sort().to_list()
    lead = joined(
        [
            "The newest surface of each underlying. In space, with its quotes:",
            code("deribit-lake plot surface --currency BTC --at MOMENT"),
        ]
    )
    return section(
        "surface",
        "Volatility surface",
        paragraph(lead),
        *(_underlying(newest(rows.filter(underlying=name))) for name in names[:DRAWN]),
        *([paragraph(f"Not drawn: {', '.join(names[DRAWN:])}.")] if names[DRAWN:] else []),
    )


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the slices of the newest surface that has a smile; of one moment, by `SOURCES`."""
    fitted = rows.filter(status="ok")
    told = (fitted if len(fitted) else rows).with_columns(
        rank=pl.col("source").replace_strict(SOURCES, range(len(SOURCES)), default=len(SOURCES))
    )
    best = told.sort("timestamp", "rank", descending=[True, False]).row(0, named=True)
    return rows.filter(timestamp=best["timestamp"], source=best["source"]).sort("expiry")


def _underlying(slices: pl.DataFrame) -> Markup:
    first = slices.row(0, named=True)
    name = f"{first['underlying']}, {first['timestamp']:%Y-%m-%d %H:%M} UTC, {first['source']}"
    fitted = slices.filter(status="ok")
    rows = map(_slice, slices.iter_rows(named=True))
    parts: list[object] = [heading(name)]
    if len(fitted):
        drawn = joined([_smiles(fitted), _term(fitted), _map(fitted)])
        parts += [Markup(f'<div class="plots">{drawn}</div>')]
    parts += [folded("Expiries", table(f"Expiries of {name}", SLICES, rows))]
    return joined(parts)


def _smiles(fitted: pl.DataFrame) -> Markup:
    quoted = pl.concat(
        fitted.select("expiry", pl.col(f"{end}_moneyness").alias("log_moneyness"))
        for end in ("low", "high")
    ).drop_nulls()
    step = max((len(fitted) - 1) / (SMILES - 1), 1)
    chosen = fitted[sorted({round(n * step) for n in range(SMILES) if n * step < len(fitted)})]
    by_expiry = smiles_of(chosen, quoted, within=max(DEVIATIONS) + 1).partition_by(
        "expiry", maintain_order=True
    )
    curves = [
        Curve(
            f"{one['expiry'][0]:%-d %b %Y}",
            one["log_moneyness"].to_list(),
            (100 * one["iv"]).to_list(),
        )
        for one in by_expiry
    ]
    return chart("Smiles", curves, Axis("ln(strike / forward)"), VOLATILITY)


def _term(fitted: pl.DataFrame) -> Markup:
    days, atm = (fitted["tenor"] * 365).to_list(), (100 * fitted["atm_iv"]).to_list()
    return chart("At the money", [Curve("ATM", days, atm, "both")], DAYS, VOLATILITY)


def _map(fitted: pl.DataFrame) -> Markup:
    """Return volatility by expiry and moneyness: numbers, shaded from the least to the most."""
    deviation = pl.col("theta").sqrt()
    vols = fitted.select(
        (100 * (total_variance(deviation * one) / pl.col("tenor")).sqrt()).alias(f"{one:g}")
        for one in DEVIATIONS
    )
    low, high = (float(f(f(vols.row(n)) for n in range(len(vols)))) for f in (min, max))
    columns = [Column("expiry", "word"), *(Column(_deviation(one)) for one in DEVIATIONS)]
    rows = (
        [f"{expiry:%Y-%m-%d}", *(_shaded(iv, low, high) for iv in row)]
        for expiry, row in zip(fitted["expiry"], vols.iter_rows(), strict=True)
    )
    words = "Volatility, %, by standard deviations from the forward"
    return table(words, columns, rows, wide=True)


def _deviation(one: float) -> str:
    return f"{one:+g}" if one else "0"


def _shaded(iv: float, low: float, high: float) -> Markup:
    share = (iv - low) / (high - low) if high > low else 0.0
    return Markup(f'<span class="shade s{min(int(share * SHADES), SHADES - 1)}">{iv:.1f}</span>')


def _slice(row: dict[str, Any]) -> Iterator[object]:
    yield f"{row['expiry']:%Y-%m-%d}"
    yield number(row["tenor"], ".1f", 365)
    yield number(row["forward"], ",.6g")
    yield number(row["atm_iv"], ".2f", 100)
    yield number(row["atm_error"], ".2f", 100)
    yield f"{row['quotes']:,}"
    yield number(row["rmse"], ".2f", 100)
    yield pill(row["status"].replace("_", " "), is_good=row["status"] == "ok")
