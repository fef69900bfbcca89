"""What a copy amounted to, as JSON and in a line."""

import msgspec


class CopyReport(msgspec.Struct):
    """What was copied, or would be.

    Attributes
    ----------
    source, target
        Where from and where to.
    partitions, removed, unchanged
        How many were sent, withdrawn, and the same before.
    raw_files
        Raw files that were sent.
    files, bytes
        All files that were sent, and how large they are together.
    requests
        To the bucket's store.
    """

    source: str
    target: str
    dry_run: bool = False
    partitions: int = 0
    removed: int = 0
    unchanged: int = 0
    raw_files: int = 0
    files: int = 0
    bytes: int = 0
    requests: int = 0
    seconds: float = 0.0


def report_text(report: CopyReport) -> str:
    """Return a report in a line for people."""
    goes = "would go" if report.dry_run else "went"
    return (
        f"{report.partitions:,} partitions and {report.raw_files:,} raw files {goes} from "
        f"{report.source} to {report.target}: "
        f"{report.files:,} files, {report.bytes / 1e6:,.1f} MB; {report.removed:,} withdrawn, "
        f"{report.unchanged:,} as they were; {report.requests:,} requests, {report.seconds:.1f} s"
    )
