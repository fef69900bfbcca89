"""Check what a table of the lake holds, write the findings as CSV, and sum them up."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from etl.check.scope import Scope, scope_of
from etl.dataset import Dataset
from etl.errors import UsageError
from etl.instruments.lists import staged_listing
from lake.paths import Lake
from lake.read import held_parts, scan
from lake.write import write_out
from validators import quality
from validators.outages import Outage
from validators.quality.pieces import Check, cut, run
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
class History:
    """The rows of one instrument, in pieces that are read when they are looked at."""

    instrument: str
    rows: int
    pieces: Sequence[pl.LazyFrame]


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One instrument: its rows, and the findings of every check made, by its name in `REPORTS`."""

    instrument: str
    rows: int
    findings: Mapping[str, pl.DataFrame]


def check_lake(
    lake: Lake,
    dataset: Dataset,
    outages: Sequence[Outage],
    *,
    out_dir: Path,
    gap_minutes: float = 5,
) -> QualityReport:
    """Run every check on what a lake holds of a dataset; see `check_quality`.

    Raises
    ------
    UsageError
        There is no check for it, or it holds nothing yet.
    LakeError
        A file of the lake cannot be read, or a report cannot be written.
    """
    scope, name = scope_of(dataset), dataset.name
    if not held_parts(lake, name):
        message = f"{lake.root} holds nothing of {name} yet: run backfill first"
        raise UsageError(message)
    listed = staged_listing(lake).instruments
    return check_quality(
        histories(scan(lake, name, part) for part in held_parts(lake, name)),
        table=name,
        scope=scope,
        tick_sizes={name: instrument.tick_size for name, instrument in listed.items()},
        outages=outages,
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
    held: Iterable[History],
    *,
    table: str,
    scope: Scope,
    tick_sizes: Mapping[str, float],
    outages: Sequence[Outage],
    out_dir: Path,
    gap_minutes: float = 5,
) -> QualityReport:
    """Run every check on every instrument of a table, one piece of one in memory at a time.

    Parameters
    ----------
    held : iterable of History
        The rows of each instrument. What is no candle is checked for gaps only.
    table : str
        Name of the table, for the summary.
    scope : Scope
        How the rows stand in time.
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
            history,
            scope=scope,
            outages=outages,
            gap_minutes=gap_minutes,
            tick_size=tick_sizes.get(history.instrument),
        )
        for history in held
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


def histories(scans: Iterable[pl.LazyFrame]) -> list[History]:
    """Return the histories in some tables, by instrument; rows are held in the order of the tables.

    A table of one instrument is not read for the others.
    """
    pieces: dict[str, list[pl.LazyFrame]] = defaultdict(list)
    rows: Counter[str] = Counter()
    for piece in (piece for table in scans for piece in cut(table)):
        for instrument, count in piece.group_by("instrument").len().collect().iter_rows():
            # A finding with the name as read would keep all that was read in memory.
            name = pl.lit(instrument)
            rows_of = piece.filter(pl.col("instrument") == name).with_columns(instrument=name)
            pieces[instrument].append(rows_of)
            rows[instrument] += count
    return [History(instrument=name, rows=rows[name], pieces=pieces[name]) for name in sorted(rows)]


def _examine(
    history: History,
    *,
    scope: Scope,
    outages: Sequence[Outage],
    gap_minutes: float,
    tick_size: float | None,
) -> Examined:
    as_held: dict[str, Check] = {}
    in_order: dict[str, Check] = {
        "gaps": quality.Gaps(
            resolution=scope.resolution,
            outages=outages,
            longer_than=gap_minutes,
            describes_past=scope.describes_past,
        )
    }
    if scope.is_candles:
        checks = checks_of_candles(scope.resolution, outages, tick_size)
        as_held |= {check: checks[check] for check in ("faults", "fillers")}
        in_order |= {check: checks[check] for check in ("repeats", "outliers")}
    found = run(history.pieces, as_held=as_held, in_order=in_order)
    if scope.is_candles:
        found["sanity"] = quality.merged(found["faults"], found["repeats"])
    findings = {check: found[check] for check in REPORTS if check in found}
    return Examined(instrument=history.instrument, rows=history.rows, findings=findings)


def checks_of_candles(
    resolution: str, outages: Sequence[Outage], tick_size: float | None
) -> dict[str, Check]:
    """Return what candles are checked for besides gaps, with the reviewed files filled in."""
    of_outliers = quality.Outliers(
        resolution=resolution, outages=outages, tick_size=tick_size or 0.0
    )
    of_faults = quality.Faults(
        resolution=resolution, tick_size=tick_size, tick_sizes=load_tick_sizes()
    )
    return {
        "faults": of_faults,
        "repeats": quality.Repeats(),
        "outliers": of_outliers,
        "fillers": quality.Fillers(resolution=resolution, outages=outages),
    }


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
        write_out(text.encode(), out_dir / file)
        yield out_dir / file
