"""Check what a table of the lake holds, write the findings as CSV, and sum them up."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from etl.config import Settings
from etl.datasets import find_dataset
from etl.errors import UsageError
from etl.instruments.lists import staged_universe
from lake.paths import open_lake
from lake.read import held_instruments, scan
from lake.write import publish_bytes
from validators import quality
from validators.outages import Outage, load_outages
from validators.ticks import load_tick_sizes

LISTED = 100_000
"""Findings of one check and one instrument that a report lists; its summary counts them all."""

REPORTS = {
    "gaps": ("gap_report.csv", quality.gaps.SCHEMA),
    "sanity": ("sanity_report.csv", quality.sanity.SCHEMA),
    "outliers": ("outlier_report.csv", quality.outliers.SCHEMA),
    "fillers": ("filler_report.csv", quality.fillers.SCHEMA),
}
"""File and columns of each check's report, in the order they are written."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one check found in one instrument: how many findings, and how many of each status."""

    check: str
    instrument: str
    rows: int
    findings: int
    documented: int
    review: int
    unexplained: int


@dataclass(frozen=True, kw_only=True)
class QualityReport:
    """The summary of a table, and where its findings are listed.

    `ok` says that something was checked, and nothing found that nobody explains.
    """

    table: str
    ok: bool
    lines: tuple[Line, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One instrument: its rows, and the findings of every check made, by its name in `REPORTS`."""

    instrument: str
    rows: int
    findings: Mapping[str, pl.DataFrame]


def check_lake(
    settings: Settings, table: str, *, out_dir: Path, gap_minutes: float = 5
) -> QualityReport:
    """Run every check on what a lake holds in one table; see `check_quality`.

    Raises
    ------
    UsageError
        There is no such table, or it holds nothing yet.
    LakeError
        A file of the lake cannot be read, or a report cannot be written.
    """
    dataset, lake = find_dataset(table), open_lake(settings.root)
    if not held_instruments(lake, table):
        message = f"{settings.root} holds nothing of {table} yet: run backfill first"
        raise UsageError(message)
    listed = staged_universe(lake).instruments
    return check_quality(
        scan(lake, table),
        table=table,
        resolution=dataset.resolution,
        tick_sizes={name: instrument.tick_size for name, instrument in listed.items()},
        outages=load_outages(settings.outages),
        out_dir=out_dir,
        gap_minutes=gap_minutes,
    )


def summary(report: QualityReport) -> str:
    """Return a line per check and instrument, for people."""
    head = ("instrument", "check", "rows", "findings", "documented", "review", "unexplained")
    rows: list[tuple[str, ...]] = [head]
    for line in report.lines:
        counts = (line.rows, line.findings, line.documented, line.review, line.unexplained)
        rows.append((line.instrument, line.check, *(f"{count:,}" for count in counts)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    verdict = "nothing unexplained" if report.ok else "UNEXPLAINED findings"
    return "\n".join([*lines, f"{verdict} in {report.table}; see {', '.join(report.files)}"])


def check_quality(  # noqa: PLR0913  the options of one command
    candles: pl.LazyFrame,
    *,
    table: str,
    resolution: str,
    tick_sizes: Mapping[str, float],
    outages: Sequence[Outage],
    out_dir: Path,
    gap_minutes: float = 5,
) -> QualityReport:
    """Run every check on every instrument of a table, one instrument in memory at a time.

    Parameters
    ----------
    candles : LazyFrame
        The rows of the table, each instrument's by time. A table without candles (funding rates)
        is checked for gaps only, its rows describing the step before their timestamp.
    table : str
        Name of the table, for the summary.
    resolution : str
        Step of the rows, by Deribit's name of it (`60` for funding rates).
    tick_sizes : mapping of str to float
        The tick of each instrument's record [quote], for times not in `tick_sizes.toml`.
    outages : sequence of Outage
        The documented incidents.
    out_dir : Path
        Where the reports of `REPORTS` go, each replaced atomically, with a header at least.
    gap_minutes : float
        Gaps up to this long are no finding [min].

    Raises
    ------
    LakeError
        A report cannot be written.
    """
    examined = (
        _examine(
            candles.filter(pl.col("instrument") == instrument).collect(),
            finders(resolution, outages, gap_minutes, tick_sizes.get(instrument)),
        )
        for instrument in _instruments(candles)
    )
    return write_reports(examined, table=table, out_dir=out_dir)


def write_reports(examined: Iterable[Examined], *, table: str, out_dir: Path) -> QualityReport:
    """Write what was found as one CSV file per check, and sum it up.

    Raises
    ------
    LakeError
        A report cannot be written.
    """
    lines: list[Line] = []
    found: dict[str, list[pl.DataFrame]] = {check: [] for check in REPORTS}
    for one in examined:
        for check, findings in one.findings.items():
            lines.append(_line(check, one.instrument, rows=one.rows, findings=findings))
            found[check].append(_listed(check, one.instrument, findings))
    ok = bool(lines) and not any(line.unexplained for line in lines)
    files = tuple(map(str, _write(found, out_dir)))
    return QualityReport(table=table, ok=ok, lines=tuple(lines), files=files)


def _examine(frame: pl.DataFrame, find: Mapping[str, Callable[..., pl.DataFrame]]) -> Examined:
    if "close" not in frame.columns:
        find = {"gaps": partial(find["gaps"], describes_past=True)}
    findings = {check: find_in(frame) for check, find_in in find.items()}
    return Examined(instrument=frame["instrument"][0], rows=len(frame), findings=findings)


def _instruments(rows: pl.LazyFrame) -> list[str]:
    names: list[str] = rows.select(pl.col("instrument").unique()).collect().to_series().to_list()
    return sorted(names)


def finders(
    resolution: str, outages: Sequence[Outage], gap_minutes: float, tick_size: float | None
) -> dict[str, Callable[..., pl.DataFrame]]:
    """Return the function of every check, its thresholds and reviewed files filled in."""
    of_gaps = partial(quality.find_gaps, longer_than=gap_minutes, outages=outages)
    of_outliers = partial(quality.find_outliers, tick_size=tick_size or 0.0, outages=outages)
    finders: dict[str, Callable[..., pl.DataFrame]] = {
        "gaps": of_gaps,
        "sanity": partial(quality.find_faults, tick_size=tick_size, tick_sizes=load_tick_sizes()),
        "outliers": of_outliers,
        "fillers": partial(quality.find_fillers, outages=outages),
    }
    return {check: partial(find, resolution=resolution) for check, find in finders.items()}


def _line(check: str, instrument: str, *, rows: int, findings: pl.DataFrame) -> Line:
    statuses = ("documented", "review", "unexplained")
    counts = {status: int(findings["status"].eq(status).sum()) for status in statuses}
    return Line(check=check, instrument=instrument, rows=rows, findings=len(findings), **counts)


def _listed(check: str, instrument: str, findings: pl.DataFrame) -> pl.DataFrame:
    if len(findings) > LISTED:
        file = REPORTS[check][0]
        logger.warning(
            "%s lists the first %d of %d findings in %s", file, LISTED, len(findings), instrument
        )
    return findings.head(LISTED)


def _write(found: Mapping[str, Sequence[pl.DataFrame]], out_dir: Path) -> Iterator[Path]:
    """Write one report per check, and say where."""
    for check, (file, schema) in REPORTS.items():
        findings = pl.concat([schema.to_frame(), *found[check]])
        text = findings.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
        publish_bytes(text.encode(), out_dir / file)
        yield out_dir / file
