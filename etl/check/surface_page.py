"""A volatility surface as one self-contained HTML page: picture, smiles, term structure, proof."""

from datetime import datetime
from html import escape
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from etl.check.smiles import smiles_of
from etl.check.template import filled, plotly_js

TEMPLATE = Path(__file__).with_name("surface.html")
SCRIPT = Path(__file__).with_name("surface.js")
DIGITS = 5
DEVIATIONS = 3  # from the forward, as far as a smile is drawn in space
NONE = "-"
REASONS = {
    "no_quotes": "no usable quote",
    "few_quotes": "too few quotes",
    "no_forward": "no forward is known",
    "near_expiry": "too near to expiry",
    "flat_marks": "one volatility for all strikes",
    "no_fit": "no smile fits",
    "arbitrage": "what fits can be arbitraged",
}
HEADINGS = (
    "expiry", "days", "quotes", "left out", "repaired", "ATM, %", "RMSE, pt", "arbitrage",
    "min g", "margin", "status",
)  # fmt: skip


def surface_page(slices: pl.DataFrame, points: pl.DataFrame, heading: str) -> str:
    """Return the page of one surface; it needs no network to be read, and asks none.

    Parameters
    ----------
    slices : DataFrame
        The rows of one surface with the columns of `VolSlices`, in any order.
    points : DataFrame
        What it was made of: `expiry`, `instrument`, `log_moneyness` [1], `iv`, `iv_low` and
        `iv_high` [1/sqrt(yr)], the last two null where they are not known.
    heading : str
        What surface it is.

    Returns
    -------
    str
        HTML.
    """
    slices = slices.sort("expiry")
    smiles, sheet = (
        smiles_of(slices, points, within=far).partition_by("expiry", as_dict=True)
        for far in (inf, DEVIATIONS)
    )
    quotes = points.sort("log_moneyness").partition_by("expiry", as_dict=True)
    drawn = [
        _told(row)
        | {"smile": _smile(smiles.get((row["expiry"],)))}
        | {"sheet": _smile(sheet.get((row["expiry"],)))}
        | {"points": _points(quotes.get((row["expiry"],)))}
        for row in slices.iter_rows(named=True)
    ]
    return filled(
        TEMPLATE,
        title=heading,
        facts=escape(_facts(slices)),
        report=_report(slices),
        data=_embedded(drawn),
        plotly_js=plotly_js(),
        page_js=SCRIPT.read_text(encoding="utf-8"),
    )


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a picture says of an expiry; volatilities in percent."""
    return {
        "name": _name(row["expiry"]),
        "days": round(row["tenor"] * 365, DIGITS),
        "forward": row["forward"],
        "atm": _percent(row["atm_iv"]),
        "error": _percent(row["atm_error"]),
        "why": "" if row["status"] == "ok" else _why(row["status"]),
    }


def _smile(smile: pl.DataFrame | None) -> dict[str, list[Any]]:
    found = pl.DataFrame({"log_moneyness": [], "iv": []}) if smile is None else smile
    k, iv = (found[name].cast(pl.Float64) for name in ("log_moneyness", "iv"))
    return {"k": k.round(DIGITS).to_list(), "iv": (100 * iv).round(DIGITS).to_list()}


def _points(points: pl.DataFrame | None) -> dict[str, list[Any]]:
    if points is None:
        return {"k": [], "iv": [], "low": [], "high": [], "name": []}
    vols = {"iv": "iv", "low": "iv_low", "high": "iv_high"}
    return {
        "k": points["log_moneyness"].round(DIGITS).to_list(),
        **{word: (100 * points[name]).round(3).to_list() for word, name in vols.items()},
        "name": points["instrument"].to_list(),
    }


def _facts(slices: pl.DataFrame) -> str:
    """Return a line on the whole surface."""
    fitted = slices.filter(pl.col("status") == "ok")
    words = [f"{len(fitted)} of {len(slices)} expiries have a smile"]
    if len(fitted):
        rmse = fitted.select((pl.col("rmse") ** 2).dot("quotes") / pl.col("quotes").sum())
        points = 100 * float(rmse.item() or 0.0) ** 0.5
        what = "trades" if fitted["source"][0] == "trades" else "quotes"
        words += [f"{fitted['quotes'].sum():,} {what}, RMSE {points:.2f} points"]
    before, worst = slices.select(pl.col("violations_before", "worst_before").max()).row(0)
    if before is not None:  # of the whole surface, in each of its rows
        of_worst = f", the worst of {1e4 * worst:.2g} bp of the forward" if worst else ""
        words += [f"{before:,} arbitrages among the quotes{of_worst}"]
    left = slices["violations_after"].sum()
    words += [f"{left:,} smiles can be arbitraged" if left else "no smile can be arbitraged"]
    return "; ".join(words)


def _report(slices: pl.DataFrame) -> str:
    """Return the table of what proves each smile; on a phone each row is a card."""
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(name)}">{cell}</td>'
            for name, cell in zip(HEADINGS, _cells(row), strict=True)
        )
        + "</tr>"
        for row in slices.iter_rows(named=True)
    )
    return f'<table class="cards"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cells(row: dict[str, Any]) -> list[str]:
    atm, error = _percent(row["atm_iv"]), _percent(row["atm_error"])
    shown = NONE if atm is None else f"{atm:.2f}" + ("" if error is None else f" ± {error:.2f}")
    is_ok = row["status"] == "ok"
    status = f'<span class="{"good" if is_ok else "bad"}">{escape(row["status"])}</span>'
    return [
        f"{row['expiry']:%Y-%m-%d}",
        f"{row['tenor'] * 365:.1f}",
        f"{row['quotes']:,}",
        _number(row["left_out"], ",d"),
        _number(row["repaired"], ",d"),
        shown,
        _number(_percent(row["rmse"]), ".2f"),
        _number(row["violations_after"], ",d"),
        _number(row["min_density"], ".4f"),
        _number(row["calendar_margin"], ".2e"),
        status + ("" if is_ok else f" {escape(_why(row['status']))}"),
    ]


def _why(status: str) -> str:
    return REASONS.get(status, status)


def _name(expiry: datetime) -> str:
    return f"{expiry.day} {expiry:%b %Y}"


def _percent(iv: float | None) -> float | None:
    return None if iv is None else round(100 * iv, DIGITS)


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _embedded(data: object) -> str:
    """Return data as JSON that cannot end the element it stands in."""
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")
