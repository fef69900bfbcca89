"""A comparison of Greeks as one self-contained HTML page: verdicts, pictures, errors."""

from html import escape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from etl.check.greek_tally import TICKER
from etl.check.greeks import PAGE, GreeksReport
from etl.check.greeks_summary import SOURCES, facts
from etl.check.template import filled, plotly_js
from lake.write import write_out
from validators.greeks.errors import (
    DAY_WORDS,
    LEAST_ROWS,
    MONEYNESS_WORDS,
    OUTSIDE,
    RATIO,
    WORDS_OF_VERDICT,
    width,
)
from validators.greeks.quotes import QUANTITIES

TEMPLATE = Path(__file__).with_name("greeks.html")
SCRIPT = Path(__file__).with_name("greeks.js")
DRAWN = 1_000
"""Points of a scatter: what a phone draws at once."""
EDGE, BAR = 1.5, 0.05
LABELS = {
    "mark_price": ("mark price [coin or USDC]", 1e-3),
    "delta": ("delta [1]", 0.0),
    "gamma": ("gamma [1/USD]", 1e-5),
    "vega": ("vega [USD per point]", 1e-2),
    "theta": ("theta [USD a day]", 1e-2),
    "rho": ("rho [USD per 1 %]", 1e-2),
}
"""What each quantity is called, and up to where its scale is linear; 0 for all of it."""
HEADINGS = (
    "underlying",
    "quantity",
    "rows",
    "median",
    "95 %",
    "most",
    "outside",
    "ours/theirs - 1",
)


def write_page(report: GreeksReport, out: Path) -> None:
    """Write the page of a report into a folder.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    write_out(greeks_page(report).encode(), out / PAGE)


def greeks_page(report: GreeksReport) -> str:
    """Return the page of a report; it needs no network to be read, and asks none."""
    look = "good" if report.verdict == "PASS" else "bad"
    return filled(
        TEMPLATE,
        title="Greeks: ours against Deribit's own",
        facts=f"{report.tally.rows:,} tickers, {report.first} to {report.last}.",
        verdict=f'<span class="{look}">{report.verdict}</span>',
        notes="".join(f"<li>{escape(fact)}</li>" for fact in facts(report)),
        outside=f"{100 * OUTSIDE:g}",
        ratio=f"{RATIO:g}",
        least=LEAST_ROWS,
        grids="".join(_grids(report, source) for source in SOURCES),
        tables="".join(_table(report, source) for source in SOURCES),
        data=msgspec.json.encode(_drawn(report)).decode().replace("<", "\\u003c"),
        plotly_js=plotly_js(),
        page_js=SCRIPT.read_text(encoding="utf-8"),
    )


def _grids(report: GreeksReport, source: str) -> str:
    """Return a table of verdicts for each underlying: days down, moneyness across."""
    mine = report.table.filter(source=source)
    names: list[str] = mine["underlying"].unique().sort().to_list()
    return "".join(
        f"<div><h3>{escape(name)}, {escape(SOURCES[source])}</h3>"
        f"{_grid(mine.filter(underlying=name))}</div>"
        for name in names
    )


def _grid(table: pl.DataFrame) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in ("", *MONEYNESS_WORDS))
    by_bucket = table.partition_by("days", "moneyness", as_dict=True)
    body = "".join(
        f"<tr><th>{escape(day)}</th>"
        + "".join(_cell(by_bucket.get((day, word))) for word in MONEYNESS_WORDS)
        + "</tr>"
        for day in DAY_WORDS
    )
    return f'<table class="grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(bucket: pl.DataFrame | None) -> str:
    """Return what a bucket says: the quantities that fail, or how many rows there are."""
    if bucket is None:
        return "<td></td>"
    rows, verdicts = max(bucket["rows"]), set(bucket["verdict"])
    failed = bucket.filter(verdict="fail")["quantity"].cast(pl.String)
    look = next(word for word in ("fail", *WORDS_OF_VERDICT) if word in verdicts)
    text = ", ".join(failed).replace("_", " ") if look == "fail" else f"{rows:,}"
    return f'<td class="{look}">{escape(text)}</td>'


def _table(report: GreeksReport, source: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
        for row in report.overall.filter(source=source).iter_rows(named=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h3>{escape(SOURCES[source])}</h3><div class="wide">{table}</div>'


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["underlying"],
        row["quantity"].replace("_", " "),
        f"{row['rows']:,}",
        *(f"{row[name]:.2g}" for name in ("median", "p95", "max")),
        f"{row['outside']:,}",
        "-" if row["ratio"] is None else f"{row['ratio']:.1e}",
    ]


def _drawn(report: GreeksReport) -> list[dict[str, Any]]:
    """Return points and histograms of each quantity, an underlying after the other."""
    sample = report.tally.sample
    parts = [] if sample is None else sample.sort("underlying").partition_by("underlying")
    return [
        {
            "underlying": rows["underlying"][0],
            "quantities": [
                {"name": name, "label": LABELS[name][0], "unit": LABELS[name][1]}
                | {"points": _points(_thinned(rows), name)}
                | {"excess": _excess(report, rows["underlying"][0], name)}
                for name in QUANTITIES
            ],
        }
        for rows in parts
    ]


def _thinned(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.gather_every(-(-len(rows) // DRAWN))


def _points(rows: pl.DataFrame, name: str) -> dict[str, list[Any]]:
    theirs, ours, tolerance = (
        rows[column] for column in (name, f"ours_{name}", f"tolerance_{name}")
    )
    outside = ~((ours - theirs).abs() <= tolerance)
    return {
        "theirs": theirs.to_list(),
        "ours": ours.round(8).to_list(),
        "outside": outside.to_list(),
        "name": rows["instrument"].to_list(),
    }


def _excess(report: GreeksReport, underlying: str, name: str) -> dict[str, list[float]]:
    """Return a histogram of error over tolerance [%], what is beyond the edge at the edge."""
    counts = report.tally.counts[TICKER][0].filter(
        measure="excess", quantity=name, underlying=underlying
    )
    rows = counts.select(width(pl.col("bin")).alias("excess"), "rows")
    at = np.clip(rows["excess"].to_numpy(), -EDGE, EDGE)
    edges = np.arange(-EDGE - BAR / 2, EDGE + BAR, BAR)
    share, _ = np.histogram(at, edges, weights=rows["rows"].to_numpy())
    middle = (edges[:-1] + edges[1:]) / 2
    return {
        "at": np.round(middle, 4).tolist(),
        "share": np.round(100 * share / max(share.sum(), 1), 4).tolist(),
    }
