"""Push a lake to a bucket, pull one from there."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.errors import UsageError
from etl.mirror.known import Known, lock_of
from etl.mirror.look import Ask
from etl.mirror.place import Ends, OtherMarkerError, ends, name_of
from etl.mirror.report import CopyReport, report_text
from etl.mirror.rounds import Rounds
from etl.progress import Progress
from lake.lock import locked_file
from lake.paths import Lake, Marker
from lake.store.place import ObjectPlace

logger = logging.getLogger(__name__)

COPIED = "is being copied by"


def push(lake: Lake, bucket: Lake, progress: Progress, ask: Ask) -> CopyReport:
    """Bring a bucket up to a lake on this machine.

    Raises
    ------
    PartitionBusyError
        If others write some partitions all the while; the rest is copied.
    UsageError
        If the bucket is no copy of the lake, or has what the lake has not.
    """
    return _copied(lake, bucket, progress, ask)


def pull(lake: Lake, bucket: Lake, progress: Progress, ask: Ask) -> CopyReport:
    """Bring a lake on this machine up to a bucket; it refuses what `push` does."""
    return _copied(bucket, lake, progress, ask)


def _copied(source: Lake, target: Lake, progress: Progress, ask: Ask) -> CopyReport:
    here, there = (source, target) if isinstance(source.root, Path) else (target, source)
    folder, bucket = here.on_disk, there.root
    if not isinstance(bucket, ObjectPlace):
        message = f"expected the address of a bucket, s3://bucket/prefix, got {bucket}"
        raise UsageError(message)
    begun, asked = time.monotonic(), bucket.store.requests
    after = name_of(source, without_raw=ask.without_raw, name_it=not ask.dry_run)
    if here is target:
        ends(source, target, after)  # before a lock is left where nothing is to be
    with _alone(here, bucket, ask):
        known = Known.load(folder, bucket, after.lake)
        try:
            both = _believed(source, target, after, known, ask)
            report = _done(both, known, progress, ask)
        except OtherMarkerError:
            report = _done(ends(source, target, after), known, progress, ask)
    report.requests = bucket.store.requests - asked
    report.seconds = round(time.monotonic() - begun, 3)
    logger.info("%s", report_text(report))
    return report


def _believed(source: Lake, target: Lake, after: Marker, known: Known, ask: Ask) -> Ends:
    """Return the two ends of a copy; a bucket that was left finished is not asked what it is.

    A listing tells whether it is as it was left; before anything is written, it is asked.
    """
    both = Ends(source, target, known.marker, after, is_believed=True)
    if both.is_push and known.marker is not None and known.lines and not ask.relist:
        return both
    return ends(source, target, after)


def _done(both: Ends, known: Known, progress: Progress, ask: Ask) -> CopyReport:
    if both.before is None:  # nothing is there, or nothing any more
        known.forget()
    report = CopyReport(str(both.source.root), str(both.target.root))
    rounds = Rounds(both, known, progress, ask, report)
    if ask.dry_run:
        rounds.plan_only()
    else:
        rounds.run()
    return report


@contextmanager
def _alone(here: Lake, there: ObjectPlace, ask: Ask) -> Iterator[None]:
    """Keep a second copy between the same two away."""
    if ask.dry_run:
        yield
        return
    with locked_file(lock_of(here, there), str(here.root), wait=ask.wait, doing=COPIED):
        yield
