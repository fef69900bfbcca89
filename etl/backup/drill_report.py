"""What a drill found: in a few lines for people, as JSON, and as it is kept beside the lake."""

from datetime import UTC, datetime

import msgspec

FAILED = 1
KEPT_LINES = 20  # of each list, in what is kept beside the lake; of what is newer, on a screen


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill found.

    Attributes
    ----------
    partitions, rows
        Of the lake, the same in the backup and in what lives.
    raw_files
        The same, byte for byte.
    months, database_rows
        Of the database's tables, the same; None where the drill had no database.
    data_part
        Which part of the repository's data was read, of how many.
    newer
        What the living lake and database have since, a line each.
    notes
        What there is to know besides.
    faults
        What is missing or differs otherwise, a line each.
    """

    snapshot: str
    time: datetime
    seconds: float
    partitions: int
    rows: int
    raw_files: int
    months: int | None
    database_rows: int | None
    data_part: str
    newer: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where all of the backup is what it should be, else 1."""
        return FAILED if self.faults else 0

    @property
    def verdict(self) -> str:
        """The drill in a line."""
        if not self.faults:
            return "the backup can be restored, and is what it should be"
        more = f" (and {len(self.faults) - 1} more)" if self.faults[1:] else ""
        return f"{len(self.faults)} faults: {self.faults[0]}{more}"


def report_text(report: DrillReport) -> str:
    """Return a drill in a few lines, what is wrong last."""
    when = report.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lake = f"{report.partitions:,} partitions with {report.rows:,} rows"
    lines = [
        f"backup {report.snapshot[:8]} of {when}, restored and compared in {report.seconds:.1f} s",
        f"lake: {lake} and {report.raw_files:,} raw files are the same",
    ]
    if report.months is not None:
        rows = report.database_rows or 0
        lines.append(f"database: {report.months:,} months with {rows:,} rows are the same")
    lines.append(f"repository: part {report.data_part} of its data was read")
    lines += [f"newer: {one}" for one in report.newer[:KEPT_LINES]]
    more = len(report.newer) - KEPT_LINES
    lines += [f"newer: and {more:,} more, all of which --json lists"] if more > 0 else []
    lines += [f"note: {one}" for one in report.notes]
    lines += [f"wrong: {one}" for one in report.faults]
    return "\n".join([*lines, report.verdict])


def summary(report: DrillReport) -> dict[str, object]:
    """Return what is kept of a drill: all counts, and the first lines of each list."""
    told: dict[str, object] = msgspec.to_builtins(report)
    counts = {name: len(getattr(report, name)) for name in ("newer", "notes", "faults")}
    lists = {name: list(getattr(report, name)[:KEPT_LINES]) for name in counts}
    return told | lists | {f"{name}_count": count for name, count in counts.items()}
