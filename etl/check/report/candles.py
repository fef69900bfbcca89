"""One self-contained HTML page: what is held, day by day, and what the prices did."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import polars as pl

from etl.check.report.charts import (
    FULL,
    NONE,
    OUTAGE,
    SOME,
    calendar_figure,
    figure_html,
    price_figure,
)
from etl.check.status import Status, statuses
from etl.check.template import filled, plotly_js
from etl.dataset import Dataset, Fetched
from etl.errors import UsageError
from etl.when import format_moment
from lake.paths import Lake
from lake.read import held_parts, scan
from lake.write import write_out
from validators.outages import Outage
from validators.quality import find_gaps

TEMPLATE = Path(__file__).with_name("candles.html")
GOOD = ("COMPLETE", "OK", "PASS")


def report_lake(lake: Lake, dataset: Dataset, outages: Sequence[Outage], out: Path) -> None:
    """Write the page of every instrument a lake holds one-minute candles of.

    Raises
    ------
    UsageError
        The dataset holds other rows, or nothing yet.
    LakeError
        A file of the lake cannot be read, or the page cannot be written.
    """
    name = dataset.name
    if not (isinstance(dataset, Fetched) and dataset.resolution == "1"):
        message = f"a report shows one-minute candles, such as perpetuals_ohlcv; not {name}"
        raise UsageError(message)
    held = held_parts(lake, name)
    if not held:
        message = f"{lake.root} holds nothing of {name} yet: run backfill first"
        raise UsageError(message)
    write_report(
        {instrument: scan(lake, name, instrument) for instrument in held},
        summary=[_summary_row(status) for status in statuses(lake, name)],
        outages=outages,
        out=out,
        title=f"deribit-lake: {name}",
    )


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
    sections = [
        _section(instrument, frame, outages)
        for instrument, frame in frames.items()
        if not frame.head(1).collect().is_empty()
    ]
    page = filled(
        TEMPLATE,
        title=title,
        plotly_js=plotly_js(),
        summary=_table(summary),
        instruments="\n".join(sections),
    )
    write_out(page.encode(), out)


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


def _summary_row(status: Status) -> dict[str, str]:
    first, last = (
        "-" if ms is None else format_moment(ms) for ms in (status.first_ms, status.last_ms)
    )
    gaps = ", ".join(f"{reason} {rows:,}" for reason, rows in status.gaps.items())
    return {
        "instrument": status.instrument,
        "first": first,
        "last": last,
        "candles": f"{status.rows:,}",
        "without a trade": f"{status.fillers:,}",
        "missing": status.why or gaps or "-",
        "verdict": status.verdict,
    }


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
            figure_html(price_figure(daily_candles(minutes))),
            "<h3>Minutes held, by day</h3>",
            figure_html(calendar_figure(coverage)),
            f"<p>{_legend()}</p></section>",
        ]
    )


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
