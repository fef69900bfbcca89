"""One self-contained HTML page: what is held, day by day, and what the prices did."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.write import publish_bytes
from validators.outages import Outage
from validators.quality import find_gaps

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEMPLATE = Path(__file__).with_name("report.html")
FEW_MONTHS = 24
"""Up to this many, a calendar has a row per month; beyond, a column."""

WIDE_RANGE = 3.0
"""Prices whose highest is this many times the lowest are drawn on a log scale."""

FULL, SOME, NONE, OUTAGE = "#2a9d8f", "#f2c14e", "#c8553d", "#1d3557"
COVERAGE_SCALE = [[0.0, NONE], [0.9, "#ef8f5b"], [0.9999, SOME], [1.0, FULL]]
GOOD = ("COMPLETE", "OK", "PASS")
FONT = {"family": "system-ui, Segoe UI, Roboto, DejaVu Sans, sans-serif", "color": "#64748b"}


def write_report(
    frames: Mapping[str, pl.LazyFrame],
    *,
    summary: Sequence[Mapping[str, str]],
    outages: Sequence[Outage],
    out: Path,
    title: str,
) -> None:
    """Write the page of some instruments, atomically; it needs no network to be read.

    Parameters
    ----------
    frames : mapping of str to LazyFrame
        The one-minute candles of each instrument by time, the columns of `schemas.Candles`.
    summary : sequence of mapping of str to str
        Rows of the table at the top, all with the same headings. A cell that says COMPLETE (or
        OK) in a column `verdict` is shown as good news, any other there as bad.
    outages : sequence of Outage
        The documented incidents, marked in the calendars.
    out : Path
        The HTML file.
    title : str
        Heading of the page.

    Raises
    ------
    LakeError
        The file cannot be written.
    """
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  slow, and only this function needs it

    sections = [
        _section(instrument, frame, outages)
        for instrument, frame in frames.items()
        if not frame.head(1).collect().is_empty()
    ]
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        plotly_js=get_plotlyjs(),
        summary=_table(summary),
        instruments="\n".join(sections),
    )
    publish_bytes(page.encode(), out)


def daily_candles(minutes: pl.LazyFrame) -> pl.DataFrame:
    """Return candles of UTC days made of one-minute ones: `day`, open, high, low, close."""
    return (
        minutes.sort("timestamp")
        .group_by(day=pl.col("timestamp").dt.date(), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
        )
        .collect()
    )


def daily_coverage(minutes: pl.LazyFrame, outages: Sequence[Outage]) -> pl.DataFrame:
    """Return how many minutes of each UTC day are held, from the first candle to the last.

    Returns
    -------
    DataFrame
        `day` (date), `owed`, `held`, `fillers` and `outage` (int, [min]) and `share` = held / owed
        [1]. `owed` is less than 1,440 on the first and the last day, `outage` what is missing
        for a documented reason, `fillers` what is held and had no trade.
    """
    stamps = minutes.select("timestamp", "instrument").collect()
    day = pl.col("timestamp").dt.date()
    span = pl.datetime_range(pl.col("timestamp").min(), pl.col("timestamp").max(), "1m")
    owed = stamps.select(span.alias("timestamp")).group_by(day=day)
    held = minutes.group_by(day=day).agg(
        held=pl.len().cast(pl.Int64), fillers=(pl.col("volume") == 0).sum().cast(pl.Int64)
    )
    return (
        owed.agg(owed=pl.len().cast(pl.Int64))
        .join(held.collect(), on="day", how="left")
        .join(_outage_minutes(stamps, outages), on="day", how="left")
        .with_columns(pl.col("held", "fillers", "outage").fill_null(0))
        .with_columns(share=pl.col("held") / pl.col("owed"))
        .sort("day")
    )


def _outage_minutes(stamps: pl.DataFrame, outages: Sequence[Outage]) -> pl.DataFrame:
    """Return the missing minutes of each day that a documented outage explains."""
    gaps = find_gaps(stamps, resolution="1", outages=outages, longer_than=0)
    return (
        gaps.filter(status="documented")
        .select(minute=pl.datetime_ranges("start", "end", "1m", closed="left"))
        .explode("minute")
        .group_by(day=pl.col("minute").dt.date())
        .agg(outage=pl.len().cast(pl.Int64))
    )


def _section(instrument: str, minutes: pl.LazyFrame, outages: Sequence[Outage]) -> str:
    coverage = daily_coverage(minutes, outages)
    counts = coverage.select(pl.col("held", "owed", "fillers", "outage").sum())
    held, owed, fillers, outage = counts.row(0)
    whole = f"{100 * held / owed:.3f} %" if held < owed else "100 %"
    return "\n".join(
        [
            f"<section><h2>{escape(instrument)}</h2>",
            f"<p>{len(coverage):,} days, {held:,} of {owed:,} minutes held ({whole}),",
            f"{fillers:,} of them without a trade; {outage:,} lost to documented outages.</p>",
            "<h3>Price, daily</h3>",
            _figure_html(_price_figure(daily_candles(minutes))),
            "<h3>Minutes held, by day</h3>",
            _figure_html(_calendar_figure(coverage)),
            f"<p>{_legend()}</p></section>",
        ]
    )


def _price_figure(days: pl.DataFrame) -> "Figure":
    from plotly import graph_objects as go  # noqa: PLC0415  slow

    candles = go.Candlestick(
        x=days["day"],
        **{name: days[name] for name in ("open", "high", "low", "close")},
        increasing={"line": {"color": FULL, "width": 1}, "fillcolor": FULL},
        decreasing={"line": {"color": NONE, "width": 1}, "fillcolor": NONE},
    )
    is_wide = days["high"].max() > WIDE_RANGE * days["low"].min()  # type: ignore[operator]
    figure = go.Figure(candles, layout=_layout(height=340))
    figure.update_xaxes(rangeslider_visible=False, gridcolor="#eef1f5")
    figure.update_yaxes(type="log" if is_wide else "linear", gridcolor="#eef1f5", tickformat=",")
    if is_wide:
        figure.update_yaxes(dtick="D2")  # label 1, 2 and 5 of each decade
    return figure


def _calendar_figure(coverage: pl.DataFrame) -> "Figure":
    """Draw a square per day: months against days of the month, coloured by the share held."""
    from plotly import graph_objects as go  # noqa: PLC0415  slow

    cells = coverage.with_columns(
        month=pl.col("day").dt.truncate("1mo"), number=pl.col("day").dt.day(), text=_day_text()
    )
    months = cells["month"].n_unique()
    is_short = months <= FEW_MONTHS
    across, down = ("number", "month") if is_short else ("month", "number")
    dates = {"tickformat": "%b %Y", "ticks": ""}
    numbers = {
        "ticks": "",
        "tickvals": list(range(1, 32)) if is_short else [1, 5, 10, 15, 20, 25, 30],
    }
    figure = go.Figure(layout=_layout(height=70 + 26 * months if is_short else 400))
    figure.add_heatmap(**_squares(cells, across, down))
    figure.add_scatter(**_dots(cells.filter(pl.col("outage") > 0), across, down))
    figure.update_xaxes(showgrid=False, **(numbers if is_short else dates))
    figure.update_yaxes(showgrid=False, autorange="reversed", **(dates if is_short else numbers))
    return figure


def _squares(cells: pl.DataFrame, across: str, down: str) -> dict[str, Any]:
    """Return a heatmap of the cells; a day outside the history stays blank."""
    return {
        "x": cells[across],
        "y": cells[down],
        "z": cells["share"],
        "text": cells["text"],
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": COVERAGE_SCALE,
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def _dots(cells: pl.DataFrame, across: str, down: str) -> dict[str, Any]:
    """Return a dot per cell, for the days with a documented outage."""
    return {
        "x": cells[across],
        "y": cells[down],
        "mode": "markers",
        "marker": {"color": OUTAGE, "size": 5},
        "hoverinfo": "skip",
    }


def _day_text() -> pl.Expr:
    """Return what a day says when pointed at."""
    percent = (pl.col("share") * 100).round(2)
    held = pl.format("<b>{}</b><br>{} of {} minutes held ({} %)", "day", "held", "owed", percent)
    fillers = pl.format("<br>{} of them without a trade (fillers)", "fillers")
    outage = pl.format("<br>{} lost to a documented outage", "outage")
    unexplained = pl.col("owed") - pl.col("held") - pl.col("outage")
    missing = pl.format("<br>{} missing for no documented reason", unexplained)
    return pl.concat_str(
        held,
        pl.when(pl.col("fillers") > 0).then(fillers).otherwise(pl.lit("")),
        pl.when(pl.col("outage") > 0).then(outage).otherwise(pl.lit("")),
        pl.when(unexplained > 0).then(missing).otherwise(pl.lit("")),
    )


def _layout(*, height: int) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "margin": {"l": 76, "r": 8, "t": 12, "b": 34},
        "font": {**FONT, "size": 12},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "showlegend": False,
        "hoverlabel": {"font": FONT, "bgcolor": "#fff"},
    }


def _figure_html(figure: "Figure") -> str:
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return html


def _legend() -> str:
    keys = {
        FULL: "every minute held",
        SOME: "nearly",
        NONE: "none",
        OUTAGE: "dot: a documented outage",
    }
    return "".join(
        f'<span class="key" style="background:{colour}"></span>{text}'
        for colour, text in keys.items()
    )


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return an HTML table, its headings from the first row."""
    if not rows:
        return "<p>No instrument.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(_table_cell(name, text) for name, text in row.items())}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _table_cell(name: str, text: str) -> str:
    if name.lower() != "verdict":
        return f"<td>{escape(text)}</td>"
    look = "good" if text.partition(" ")[0] in GOOD else "bad"
    return f'<td><span class="{look}">{escape(text)}</span></td>'
