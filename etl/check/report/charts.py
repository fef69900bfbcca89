"""Draw what is held: prices by day, and a calendar of the minutes held."""

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FEW_MONTHS = 24
"""Up to this many, a calendar has a row per month; beyond, a column."""

WIDE_RANGE = 3.0
"""Prices whose highest is this many times the lowest are drawn on a log scale."""

FULL, SOME, NONE, OUTAGE = "#2a9d8f", "#f2c14e", "#c8553d", "#1d3557"
GRID = "rgba(128,128,128,.22)"  # on light pages and on dark ones
COVERAGE_SCALE = [[0.0, NONE], [0.9, "#ef8f5b"], [0.9999, SOME], [1.0, FULL]]
FONT = {"family": "system-ui, Segoe UI, Roboto, DejaVu Sans, sans-serif", "color": "#64748b"}


def price_figure(days: pl.DataFrame) -> "Figure":
    """Draw candles from columns `day`, open, high, low, close [quote]."""
    from plotly import graph_objects as go  # noqa: PLC0415  slow

    candles = go.Candlestick(
        x=days["day"],
        **{name: days[name] for name in ("open", "high", "low", "close")},
        increasing={"line": {"color": FULL, "width": 1}, "fillcolor": FULL},
        decreasing={"line": {"color": NONE, "width": 1}, "fillcolor": NONE},
    )
    is_wide = days["high"].max() > WIDE_RANGE * days["low"].min()  # type: ignore[operator]
    figure = go.Figure(candles, layout=_layout(height=340))
    figure.update_xaxes(rangeslider_visible=False, gridcolor=GRID)
    figure.update_yaxes(type="log" if is_wide else "linear", gridcolor=GRID, tickformat=",")
    if is_wide:
        figure.update_yaxes(dtick="D2")  # label 1, 2 and 5 of each decade
    return figure


def calendar_figure(coverage: pl.DataFrame) -> "Figure":
    """Draw a square per day: months against days of the month, coloured by the share held.

    Parameters
    ----------
    coverage : DataFrame
        What `report.daily_coverage` returns.
    """
    from plotly import graph_objects as go  # noqa: PLC0415  slow

    cells = coverage.with_columns(
        month=pl.col("day").dt.truncate("1mo"), number=pl.col("day").dt.day(), text=_day_text()
    )
    months = cells["month"].n_unique()
    is_short = months <= FEW_MONTHS
    across, down = ("number", "month") if is_short else ("month", "number")
    dates = {"tickformat": "%b %Y", "ticks": "", "dtick": "M1" if is_short else "M12"}
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
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hoverlabel": {"font": FONT, "bgcolor": "#fff"},
    }


def figure_html(figure: "Figure") -> str:
    """Return a figure as part of a page that carries the library itself."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return html
