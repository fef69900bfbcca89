"""The lake's content: ledger against files, the verdict, what is quarantined; or every byte."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from etl.catalog import mender_of
from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.check.status import Status, statuses
from lake.errors import CorruptFileError, LakeFormatError
from lake.ledger import Record, read_record
from lake.partition import Partition
from lake.paths import LEDGER, SET_ASIDE, TOPS, Lake, format_of
from lake.read import check_footer
from lake.store.place import Place
from lake.store.together import each
from lake.verify import verify

LOOK_S = 4.0
"""Seconds that footers are read for; the verdict takes what is left of the check's time."""
MANY = 1_000
"""Lines of the ledger that can be read from a bucket in the check's time."""
SHOWN = 10
"""Files or parts that are named of one finding."""


@dataclass
class _Wrong:
    """What is wrong with files, by finding: a line, the file and its dataset each."""

    by_code: dict[str, list[tuple[str, Place, str]]] = field(default_factory=dict)

    def add(self, code: str, why: str, path: Place, dataset: str) -> None:
        self.by_code.setdefault(code, []).append((why, path, dataset))

    @property
    def paths(self) -> list[Place]:
        """Return all files that are wrong."""
        return [path for lines in self.by_code.values() for _, path, _ in lines]

    def findings(self) -> Iterator[Finding]:
        """Yield one finding for all files of which the same is wrong."""
        for code, lines in self.by_code.items():
            files = f"{len(lines)} files" if len(lines) > 1 else str(lines[0][1])
            names = " --dataset ".join(sorted({dataset for *_, dataset in lines}))
            yield found(code, files, *shortened([why for why, *_ in lines]), dataset=names)


def look(situation: Situation) -> Iterator[Finding]:
    """Look at what the ledger vouches for, and at what is owed."""
    lake = situation.lake
    try:
        format_of(lake)
    except LakeFormatError:
        yield unseen("integrity", "the lake is of a format that cannot be read")
        return
    if not (lake.root / "ledger").is_dir():
        yield unseen("integrity", "the lake has no ledger yet")
        return
    lake, wrong = lake.listed(*TOPS, LEDGER), _Wrong()
    count = sum(1 for _ in lake.partitions())
    told = _read_all(lake, wrong) if situation.is_deep else _read_footers(lake, wrong)
    yield from wrong.findings()
    if not wrong.by_code:
        yield well("integrity", told)
    yield from _set_aside(lake)
    if "lake.ledger" in wrong.by_code:
        yield unseen("verdict", "a line of the ledger cannot be read")
        return
    if situation.is_in_bucket and not situation.is_deep and count > MANY:
        todo = "`deribit-lake status`, or --deep"
        yield unseen("verdict", f"{count:,} lines of the ledger, a request each", todo)
        return
    yield from _verdict(statuses(lake), wrong.paths, lake)


def _read_footers(lake: Lake, wrong: _Wrong) -> str:
    """Hold the ledger against sizes and footers of files, while there is time."""
    end, count, partitions = time.monotonic() + LOOK_S, 0, list(lake.partitions())
    look = partial(_against_footer, lake, wrong)
    for _ in each(lake.root, look, partitions):
        count += 1
        if time.monotonic() > end and count < len(partitions):
            return f"{count:,} of {len(partitions):,} files are what the ledger says; --deep: all"
    return f"{count:,} files are there and whole by their footers; --deep reads every byte"


def _against_footer(lake: Lake, wrong: _Wrong, partition: Partition) -> None:
    try:
        record = read_record(lake, partition) or Record()
    except (CorruptFileError, LakeFormatError) as error:
        wrong.add("lake.ledger", str(error), lake.ledger(partition), partition.dataset)
        return
    path = lake.published(record.top, partition)
    if not path.exists():
        if record.rows:
            why = f"{path} is gone, and the ledger says it has {record.rows:,} rows"
            wrong.add("lake.missing", why, path, partition.dataset)
        return
    try:
        rows = check_footer(path)
    except CorruptFileError as error:
        wrong.add("lake.corrupt", str(error), path, partition.dataset)
        return
    if rows != record.rows:
        why = f"{path} has {rows:,} rows, and the ledger says {record.rows:,}"
        wrong.add("lake.differs", why, path, partition.dataset)


def _read_all(lake: Lake, wrong: _Wrong) -> str:
    for fault in verify(lake):
        is_ledger = lake.inside(fault.path).parts[0] == LEDGER
        gone = not fault.path.exists()
        code = "lake.ledger" if is_ledger else "lake.missing" if gone else "lake.differs"
        if fault.is_corrupt and not is_ledger:
            code = "lake.corrupt"
        wrong.add(code, fault.reason, fault.path, _dataset_of(lake, fault.path))
    return "every byte was read, and is what the ledger says"


def _dataset_of(lake: Lake, path: Place) -> str:
    return lake.inside(path).parts[1]


def _set_aside(lake: Lake) -> Iterator[Finding]:
    folder = lake.root / "quarantine" / SET_ASIDE
    if count := sum(1 for path in folder.glob("**/*.corrupt") if path.is_file()):
        yield found("lake.set_aside", f"{count} in {folder}", folder=folder)


def _verdict(held: Sequence[Status], wrong: Sequence[Place], lake: Lake) -> Iterator[Finding]:
    """Say what is UNKNOWN, INCOMPLETE and quarantined; what a wrong file explains is left out."""
    counts = Counter(one.verdict for one in held)
    files = [str(path) for path in wrong]
    unknown = [
        one
        for one in held
        if one.verdict == "UNKNOWN" and not any(path in one.why for path in files)
    ]
    if unknown:
        lines = [f"{one.dataset} {one.instrument}: {one.why}" for one in unknown]
        yield found("lake.unknown", f"{len(unknown)} of {len(held)} parts", *shortened(lines))
    short = [one for one in held if one.verdict == "INCOMPLETE"]
    if short:
        lines = [f"{one.dataset} {one.instrument}: {_owed(one)}" for one in short]
        commands = "; ".join(dict.fromkeys(mender_of(one.dataset) for one in short))
        what = f"{len(short)} of {len(held)} parts"
        yield found("lake.incomplete", what, *shortened(lines), commands=commands)
    if broken := [one for one in held if one.quarantined]:
        lines = [f"{one.dataset} {one.instrument}: {one.quarantined:,} rows" for one in broken]
        rows = sum(one.quarantined for one in broken)
        folder = lake.root / "quarantine"
        yield found("lake.quarantined", f"{rows:,} rows", *shortened(lines), folder=folder)
    if counts["COMPLETE"]:
        rows = sum(one.rows for one in held if one.verdict == "COMPLETE")
        told = f"{counts['COMPLETE']} of {len(held)} parts are COMPLETE, {rows:,} rows"
        yield well("verdict", told)


def _owed(one: Status) -> str:
    gaps = ", ".join(f"{reason} {rows:,}" for reason, rows in one.gaps.items())
    return one.why or gaps


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines, and how many more there are."""
    rest = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]
