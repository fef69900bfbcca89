"""Holes between held rows, each explained by a documented outage or not."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import polars as pl

from validators.outages import Outage, documented
from validators.resolutions import MINUTE_MS, RESOLUTIONS

SCHEMA = pl.Schema(
    {
        "instrument": pl.String(),
        "start": pl.Datetime("us", "UTC"),
        "end": pl.Datetime("us", "UTC"),
        "minutes": pl.Int64(),
        "status": pl.String(),
        "source": pl.String(),
    }
)
"""A finding: the instrument lacks [start, end), which is `minutes` long [min]."""

HOLES = pl.Schema({name: SCHEMA[name] for name in ("instrument", "start", "end", "minutes")})
ROWS = pl.Schema({"timestamp": pl.Datetime("us", "UTC"), "instrument": pl.String()})


def find_gaps(
    frame: pl.DataFrame,
    *,
    resolution: str,
    outages: Sequence[Outage] = (),
    longer_than: float = 5,
    describes_past: bool = False,
) -> pl.DataFrame:
    """Return the holes between the first and the last row of one instrument.

    Parameters
    ----------
    frame : DataFrame, columns timestamp and instrument
        Rows of one instrument in any order.
    resolution : str
        Step of the rows, by Deribit's name of it (`60` for funding rates).
    outages : sequence of Outage
        The documented incidents.
    longer_than : float
        Holes up to this long are no finding [min].
    describes_past : bool
        Whether a row describes the step before its timestamp, as funding rates do. Such a row is
        also lost when an outage covers only a part of that step.

    Returns
    -------
    DataFrame
        `SCHEMA`, by start; status `documented` or `unexplained`.
    """
    gaps = Gaps(
        resolution=resolution,
        outages=outages,
        longer_than=longer_than,
        describes_past=describes_past,
    )
    return gaps.add(frame).findings()


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """`find_gaps` over pieces in the order of time; the rows of a piece may be in any order.

    What is carried over a border is the latest row.
    """

    resolution: str
    outages: Sequence[Outage] = ()
    longer_than: float = 5
    describes_past: bool = False
    latest: pl.DataFrame = field(default_factory=ROWS.to_frame)
    holes: tuple[pl.DataFrame, ...] = ()

    def add(self, piece: pl.DataFrame) -> Self:
        """Return the state after one more piece."""
        rows = pl.concat([self.latest, piece.select(ROWS.names())]).sort("timestamp")
        return replace(self, latest=rows.tail(1), holes=(*self.holes, self._holes(rows)))

    def findings(self) -> pl.DataFrame:
        """Return what `find_gaps` does, of all pieces."""
        return explain_holes(
            pl.concat([HOLES.to_frame(), *self.holes]),
            resolution=self.resolution,
            outages=self.outages,
            describes_past=self.describes_past,
        )

    def _holes(self, rows: pl.DataFrame) -> pl.DataFrame:
        step = timedelta(minutes=RESOLUTIONS[self.resolution])
        found = rows.lazy().select(
            "instrument",
            start=pl.col("timestamp").shift() + step,
            end=pl.col("timestamp"),
            minutes=(pl.col("timestamp").diff() - step).dt.total_minutes(),
        )
        return found.filter(pl.col("minutes") > self.longer_than).collect()


def explain_holes(
    holes: pl.DataFrame,
    *,
    resolution: str,
    outages: Sequence[Outage] = (),
    describes_past: bool = False,
) -> pl.DataFrame:
    """Return holes somebody found, with what explains each.

    Parameters
    ----------
    holes : DataFrame, columns instrument, start, end and minutes
        What is missing, as in `SCHEMA`.
    resolution, outages, describes_past
        As in `find_gaps`.

    Returns
    -------
    DataFrame
        `SCHEMA`, in the order of `holes`; status `documented` or `unexplained`.
    """
    shift_ms = RESOLUTIONS[resolution] * MINUTE_MS if describes_past else 0
    sources = [_source(hole, outages, shift_ms=shift_ms) for hole in _windows_ms(holes)]
    return holes.with_columns(
        status=pl.Series([_status(source) for source in sources], dtype=pl.String),
        source=pl.Series(sources, dtype=pl.String),
    ).match_to_schema(SCHEMA)


def _windows_ms(holes: pl.DataFrame) -> list[tuple[int, int]]:
    return holes.select(pl.col("start", "end").dt.epoch("ms")).rows()


def _source(hole: tuple[int, int], outages: Sequence[Outage], *, shift_ms: int) -> str | None:
    start_ms, end_ms = (moment - shift_ms for moment in hole)
    outage = documented(start_ms, end_ms, outages, slack_ms=max(0, shift_ms - 1))
    return outage.source if outage else None


def _status(source: str | None) -> str:
    return "documented" if source else "unexplained"
