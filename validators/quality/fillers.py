"""Long silences: runs of zero-volume candles, and whether a page of them looks made up."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import polars as pl

from validators.outages import Outage, documented
from validators.resolutions import DAY_MINUTES, MINUTE_MS, RESOLUTIONS

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

RUNS = pl.Schema(
    {
        "silent": pl.Boolean(),
        "row": pl.Int64(),
        "candles": pl.Int64(),
        "instrument": pl.String(),
        "start": pl.Datetime("us", "UTC"),
        "last": pl.Datetime("us", "UTC"),
    }
)
"""A run: `candles` in a row from number `row` on, all fillers or none; its first and last time."""

FOUND = pl.Schema(
    {name: RUNS[name] for name in ("instrument", "start", "last", "candles")}
    | {"traded_around": pl.Float64()}
)


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
    fillers = Fillers(resolution=resolution, outages=outages, longer_than=longer_than)
    return fillers.add(frame).findings()


@dataclass(frozen=True, kw_only=True)
class Fillers:
    """`find_fillers` over pieces in the order of their rows.

    What is carried over a border are runs, of fillers and of candles with a trade: those of the
    last two days, and one of fillers that goes on, however long it is.
    """

    resolution: str
    outages: Sequence[Outage] = ()
    longer_than: float = LONGER_THAN
    rows: int = 0
    runs: pl.DataFrame = field(default_factory=RUNS.to_frame)
    measured_to: int = 0
    found: tuple[pl.DataFrame, ...] = ()

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        runs = _joined(pl.concat([self.runs, _runs(piece, first=self.rows)]))
        state = replace(self, rows=self.rows + len(piece), runs=runs)
        return state._measure(to=state.rows - self._around)  # noqa: SLF001  it is one of ours

    def findings(self) -> pl.DataFrame:
        """Return what `find_fillers` does, of all pieces."""
        found = pl.concat([FOUND.to_frame(), *self._measure(to=self.rows).found])
        step = timedelta(minutes=RESOLUTIONS[self.resolution])
        runs = found.with_columns(end=pl.col("last") + step, page_size=_page_size())
        windows = runs.select(pl.col("start", "end").dt.epoch("ms")).rows()
        explained = [
            documented(start, end, self.outages, slack_ms=EDGE_MS) for start, end in windows
        ]
        sources = [outage.source if outage else None for outage in explained]
        return (
            runs.with_columns(source=pl.Series(sources, dtype=pl.String))
            .with_columns(status=_status(_periodic_pages(runs)))
            .select(SCHEMA.names())
        )

    @property
    def _around(self) -> int:
        """Candles of a day."""
        return max(1, DAY_MINUTES // RESOLUTIONS[self.resolution])

    def _measure(self, *, to: int) -> Self:
        """Measure the long silences that end by row `to`, and forget what no later one needs."""
        end = pl.col("row") + pl.col("candles")
        is_long = pl.col("candles") * RESOLUTIONS[self.resolution] > self.longer_than
        is_due = pl.col("silent") & is_long & (end > self.measured_to) & (end <= to)
        due = self.runs.filter(is_due)
        traded = _traded_around(due, self.runs, around=self._around, rows=self.rows)
        found = due.with_columns(traded_around=traded).select(FOUND.names())
        later = self.runs.filter(end > to).head(1)["row"].to_list() or [0]
        needed = self.runs.filter(end > later[0] - self._around)
        done = max(self.measured_to, to)
        return replace(self, runs=needed, measured_to=done, found=(*self.found, found))


def _runs(piece: pl.DataFrame, *, first: int) -> pl.DataFrame:
    """Return the runs of a piece, of fillers and of others; its first row has number `first`."""
    runs = (piece["volume"] == 0).fill_null(value=False).rle().struct.unnest()
    candles = runs["len"].cast(pl.Int64)
    at = candles.cum_sum() - candles
    columns = {
        "silent": runs["value"],
        "row": at + first,
        "candles": candles,
        "instrument": piece["instrument"][at],
        "start": piece["timestamp"][at],
        "last": piece["timestamp"][at + candles - 1],
    }
    return pl.DataFrame(columns, schema=RUNS)


def _joined(runs: pl.DataFrame) -> pl.DataFrame:
    """Make one run of neighbours of the same kind, which a border had cut."""
    names = ("silent", "row", "instrument", "start")
    joined = runs.group_by(pl.col("silent").rle_id().alias("run"), maintain_order=True).agg(
        pl.col(*names).first(), pl.col("candles").sum(), pl.col("last").last()
    )
    return joined.select(RUNS.names())


def _traded_around(due: pl.DataFrame, runs: pl.DataFrame, *, around: int, rows: int) -> pl.Series:
    """Return the share of `around` candles either side of some runs that traded [1]."""
    start, end = due["row"], due["row"] + due["candles"]
    before, beyond = (start - around).clip(0), (end + around).clip(0, rows)
    traded = (
        _trades(runs, start) - _trades(runs, before) + _trades(runs, beyond) - _trades(runs, end)
    )
    return traded / (start - before + beyond - end)


def _trades(runs: pl.DataFrame, rows: pl.Series) -> pl.Series:
    """Return how many candles with a trade lie between the first run and some rows."""
    traded = (~runs["silent"]).cast(pl.Int64)
    trades = traded * runs["candles"]
    at = runs["row"].search_sorted(rows, side="right").cast(pl.Int64) - 1
    return (trades.cum_sum() - trades)[at] + (rows - runs["row"][at]) * traded[at]


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
