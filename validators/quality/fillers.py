"""Long silences: runs of zero-volume candles, and whether a page of them looks made up."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from validators.outages import Outage, documented
from validators.schemas import DAY_MINUTES, MINUTE_MS, RESOLUTIONS

LONGER_THAN = 60.0
"""Silences up to this long are no finding [min]."""

PAGE_SIZES = (5_001, 5_000, 1_000, 744)
"""Rows of a page, as clients of Deribit ask for them or as Deribit cuts them."""

PAGE_SLACK = 2
"""Real fillers beside a made-up page lengthen the run by about this much [candles]."""

BUSY_SHARE = 0.5
"""A market that trades in this share of the candles of the days around does not fall silent [1]."""

PERIODIC_TIMES_CHANCE = 10
PERIODIC_RUNS = 3
"""So many runs of a page's length, and so many times what chance gives, are no coincidence."""

EDGE_MS = 10 * MINUTE_MS
"""Trading fades and returns a little outside a documented outage [ms]."""

SCHEMA = pl.Schema(
    {
        "instrument": pl.String(),
        "start": pl.Datetime("us", "UTC"),
        "end": pl.Datetime("us", "UTC"),
        "candles": pl.Int64(),
        "page_size": pl.Int64(),
        "traded_around": pl.Float64(),
        "status": pl.String(),
        "source": pl.String(),
    }
)
"""A finding: `candles` fillers in a row during [start, end).

`page_size` is the page whose multiple the run is, or null; `traded_around` the share of candles
with a trade in the day before and the day after [1].
"""


def find_fillers(
    frame: pl.DataFrame,
    *,
    resolution: str,
    outages: Sequence[Outage] = (),
    longer_than: float = LONGER_THAN,
) -> pl.DataFrame:
    """Return the long runs of zero-volume candles of one instrument.

    Parameters
    ----------
    frame : DataFrame, columns timestamp, instrument and volume
        Candles of one instrument in order.
    resolution : str
        Deribit's name of it.
    outages : sequence of Outage
        The documented incidents; Deribit may serve a downtime as fillers.
    longer_than : float
        Runs up to this long are no finding [min].

    Returns
    -------
    DataFrame
        `SCHEMA`, by start. Status `documented` where a downtime explains the run; `unexplained`
        where the market traded in most candles around it, or where runs of a page's length
        repeat beyond chance; else `review`: thin markets are silent for hours.
    """
    minutes = RESOLUTIONS[resolution]
    runs = (
        _runs(frame, around=max(1, DAY_MINUTES // minutes))
        .filter(pl.col("candles") * minutes > longer_than)
        .with_columns(end=pl.col("last") + timedelta(minutes=minutes), page_size=_page_size())
    )
    windows = runs.select(pl.col("start", "end").dt.epoch("ms")).rows()
    explained = [documented(start, end, outages, slack_ms=EDGE_MS) for start, end in windows]
    sources = [outage.source if outage else None for outage in explained]
    return (
        runs.with_columns(source=pl.Series(sources, dtype=pl.String))
        .with_columns(status=_status(_periodic_pages(runs)))
        .select(SCHEMA.names())
    )


def _runs(frame: pl.DataFrame, *, around: int) -> pl.DataFrame:
    """Return every run of fillers, and the share of `around` candles either side that traded."""
    silent = (frame["volume"] == 0).fill_null(value=False)
    trades = pl.concat([pl.Series([0]), (~silent).cast(pl.Int64).cum_sum()])
    rows = len(frame)
    runs = silent.rle().struct.unnest().with_columns(row=pl.col("len").cum_sum() - pl.col("len"))
    runs = runs.filter("value").with_columns(
        candles=pl.col("len").cast(pl.Int64), after=pl.col("row") + pl.col("len")
    )
    before = (runs["row"].cast(pl.Int64) - around).clip(0)
    beyond = (runs["after"].cast(pl.Int64) + around).clip(0, rows)
    traded = trades[runs["row"]] - trades[before] + trades[beyond] - trades[runs["after"]]
    looked_at = runs["row"].cast(pl.Int64) - before + beyond - runs["after"].cast(pl.Int64)
    return runs.with_columns(
        instrument=frame["instrument"][runs["row"]],
        start=frame["timestamp"][runs["row"]],
        last=frame["timestamp"][runs["after"] - 1],
        traded_around=traded / looked_at,
    )


def _page_size() -> pl.Expr:
    """Return the page a run is a multiple of, give or take the fillers beside it; else null."""
    candles = pl.col("candles")
    by_fit = [(extra, page) for extra in range(PAGE_SLACK + 1) for page in PAGE_SIZES]
    return pl.coalesce(
        pl.when((candles >= page) & (candles % page == extra)).then(pl.lit(page, dtype=pl.Int64))
        for extra, page in by_fit
    )


def _periodic_pages(runs: pl.DataFrame) -> list[int]:
    """Return the pages whose multiples the runs are more often than chance would have it."""
    periodic = []
    for page in PAGE_SIZES:
        matching = runs["page_size"].eq(page).sum()
        by_chance = (runs["candles"] >= page).sum() * (PAGE_SLACK + 1) / page
        if matching >= max(PERIODIC_RUNS, PERIODIC_TIMES_CHANCE * by_chance):
            periodic.append(page)
    return periodic


def _status(periodic: Sequence[int]) -> pl.Expr:
    is_made_up = pl.col("page_size").is_in(periodic).fill_null(value=False)
    return (
        pl.when(pl.col("source").is_not_null())
        .then(pl.lit("documented"))
        .when((pl.col("traded_around") > BUSY_SHARE) | is_made_up)
        .then(pl.lit("unexplained"))
        .otherwise(pl.lit("review"))
    )
