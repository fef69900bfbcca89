"""What is known of each partition: what was asked, what came, what is missing and why."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from lake.errors import CorruptFileError, LakeFormatError
from lake.paths import FORMAT, Lake, Partition
from lake.write import publish_bytes

Reason = Literal[
    "before_listing",  # the instrument did not exist
    "before_first_trade",  # it existed; the exchange twice sent nothing before its first row
    "after_expiry",  # it no longer exists
    "in_progress",  # not closed yet, or closed a moment ago
    "outage",  # inside a documented outage, and the exchange twice sent nothing
    "absent",  # the exchange sent nothing, twice and apart in time; no outage is documented
    "quarantined",  # rows came and failed their contract
    "unexplained",  # the exchange sent the neighbours and not these; to be asked again
    "truncated",  # a page came short at one end; to be asked again
    "no_answer",  # asked, and no usable answer came
    "not_asked",  # wanted, and not asked yet
]
SETTLED: frozenset[str] = frozenset(
    {"before_listing", "before_first_trade", "after_expiry", "in_progress", "outage", "absent"}
)


class Span(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Half-open interval ``[start_ms, end_ms)`` of Unix milliseconds."""

    start_ms: int
    end_ms: int


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """Rows ``[start_ms, end_ms)`` that may still be revised, and when they were last read."""

    start_ms: int
    end_ms: int
    read_ms: int


class Gap(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows the grid owes and the lake does not hold, and why."""

    start_ms: int
    end_ms: int
    reason: Reason
    seen: int = 0  # answers that show the hole between rows they did send
    retry_at_ms: int | None = None  # when asking again can settle it; None: at once
    source: str | None = None  # of a documented outage

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to ask."""
        return self.reason in SETTLED


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of one partition; derived from raw, so that it can be rebuilt at any time."""

    format: int = FORMAT
    wanted: tuple[Span, ...] = ()
    rows: int = 0
    fillers: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    checksum: str | None = None
    quarantined: int = 0
    attempts: int = 0
    gaps: tuple[Gap, ...] = ()
    provisional: tuple[Reading, ...] = ()  # read so soon after their close that they may move
    segments: tuple[str, ...] = ()  # the raw files all this was derived from

    @property
    def is_complete(self) -> bool:
        """Whether every wanted row is held or settled as not to be had."""
        return all(gap.is_settled for gap in self.gaps)

    def gap_rows(self, step_ms: int) -> dict[str, int]:
        """Return the number of missing rows by reason, for a grid of `step_ms`."""
        counts: Counter[str] = Counter()
        for gap in self.gaps:
            counts[gap.reason] += (gap.end_ms - gap.start_ms) // step_ms
        return dict(counts)


def read_record(lake: Lake, partition: Partition) -> Record | None:
    """Return the ledger of a partition, None where there is none.

    Raises
    ------
    CorruptFileError
        If the file is not a ledger.
    LakeFormatError
        If a newer version wrote it.
    """
    path = lake.ledger(partition)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        version = msgspec.json.decode(found.get("format", b"0"), type=int)
        if version > FORMAT:
            message = f"{path} has format {version}; this version reads up to {FORMAT}: upgrade it"
            raise LakeFormatError(message)
        return msgspec.json.decode(data, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptFileError(path, error) from error


def write_record(lake: Lake, partition: Partition, record: Record) -> None:
    """Replace the ledger of a partition."""
    data = msgspec.json.format(msgspec.json.encode(record), indent=1)
    publish_bytes(data + b"\n", lake.ledger(partition))


def records(lake: Lake, dataset: str | None = None) -> Iterator[tuple[Partition, Record]]:
    """Yield every partition with its ledger, sorted."""
    for partition in lake.partitions(dataset):
        if (record := read_record(lake, partition)) is not None:
            yield partition, record
