"""What is known of each partition: what was asked, what it is made from, what is missing and why.

Whatever is published has a ledger line, and the line says what it was made from: a clean partition
from raw segments, a derived one from the content of others, by a step in a version.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Literal

import msgspec

from lake.errors import CorruptFileError, LakeFormatError
from lake.partition import Partition
from lake.paths import FORMAT, Lake, Top
from lake.span import Span
from lake.store.place import Place
from lake.store.together import each
from lake.write import publish_bytes

Reason = Literal[
    "before_listing",  # the instrument did not exist
    "before_first_trade",  # it existed; the exchange twice sent nothing before its first row
    "after_expiry",  # it no longer exists
    "in_progress",  # not closed yet, or closed a moment ago
    "outage",  # inside a documented outage, and the exchange twice sent nothing
    "absent",  # the exchange twice sent the neighbours and not these; no outage is documented
    "quarantined",  # rows came and failed their contract, or contradict each other
    "doubted",  # rows came in answers that are not believed; to be asked again
    "unexplained",  # the exchange sent the neighbours and not these; to be asked again
    "seen_once",  # one answer speaks for a stretch whose rows are numbered; `heal` asks for another
    "lost",  # the exchange numbered a row, and twice did not send it
    "renumbered",  # numbers that were given in a partition before came again, of other rows
    "truncated",  # a page came short at one end; to be asked again
    "no_answer",  # asked, and no usable answer came
    "not_asked",  # wanted, and not asked yet
]
SETTLED: frozenset[str] = frozenset(
    {
        "before_listing",
        "before_first_trade",
        "after_expiry",
        "in_progress",
        "outage",
        "absent",
        "seen_once",
    }
)


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """Rows ``[start_ms, end_ms)`` that may still be revised, and when they were last read."""

    start_ms: int
    end_ms: int
    read_ms: int


class Gap(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows the grid owes and the lake does not hold, and why.

    One that is settled may still be looked at again, so that no incident settles it for good.
    """

    start_ms: int
    end_ms: int
    reason: Reason
    seen: int = 0  # answers that show the hole between rows they did send
    retry_at_ms: int | None = None  # when to ask again; None: at once, or never if settled
    source: str | None = None  # of a documented outage
    rows: int = 0  # how many are missing, where no grid says it
    of: str = ""  # the instrument whose rows they are, where rows are numbered
    first: int = 0  # the number of the first of them
    is_before: bool = False  # they may lie in a partition before this one

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to ask."""
        return self.reason in SETTLED


Look = tuple[str, int, int, int]
"""An instrument whose rows were asked for by number: the first, the last, and when [ms]."""


class Input(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The content of one partition something was computed from."""

    dataset: str
    part: str
    period: str
    checksum: str

    @property
    def partition(self) -> Partition:
        """The partition whose content it was."""
        return Partition(self.dataset, self.part, self.period)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of one partition; it can be made again at any time from what it names."""

    format: int = FORMAT
    wanted: tuple[Span, ...] = ()
    rows: int = 0
    fillers: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    checksum: str | None = None
    quarantined: int = 0
    left_out: int = 0  # rows that came and were not asked for
    doubted: int = 0  # answers that are not believed
    attempts: int = 0
    judged: int = 0  # by which rules the gaps were
    gaps: tuple[Gap, ...] = ()
    provisional: tuple[Reading, ...] = ()  # read so soon after their close that they may move
    looks: tuple[Look, ...] = ()  # who asked for numbers
    seams: str = ""  # digest of the partitions before, which its numbers were held against
    segments: tuple[str, ...] = ()  # the raw files all this was derived from
    inputs: tuple[Input, ...] | None = None  # what it was computed from; None: it comes from raw
    version: int = 0  # of the step that computed it; 0: wanted, and not computed yet
    terms: str = ""  # digest of what the step was told besides its inputs
    options: dict[str, float] = {}  # what of that the user chose

    @property
    def is_complete(self) -> bool:
        """Whether every wanted row is held or settled as not to be had."""
        return all(gap.is_settled for gap in self.gaps)

    @property
    def top(self) -> Top:
        """Where the published file lies."""
        return "clean" if self.inputs is None else "derived"

    def gap_rows(self, step_ms: int) -> dict[str, int]:
        """Return the number of missing rows by reason, for a grid of `step_ms` or as counted.

        Without a grid, a stretch of which nobody knows how many rows it lacks counts as one.
        """
        counts: Counter[str] = Counter()
        for gap in self.gaps:
            on_grid = (gap.end_ms - gap.start_ms) // step_ms if step_ms else 1
            counts[gap.reason] += gap.rows or on_grid
        return dict(counts)


_decode = msgspec.json.Decoder(Record).decode


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
    return decode_record(path, data)


def decode_record(path: Place, data: bytes) -> Record:
    """Return what the ledger file at a path says.

    Raises
    ------
    CorruptFileError
        If it is not a ledger.
    LakeFormatError
        If a newer version wrote it.
    """
    try:
        record = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _check_format(path, _format_of(data))  # a newer format may well be unreadable
        raise CorruptFileError(path, error) from error
    _check_format(path, record.format)
    return record


def _check_format(path: Place, version: int) -> None:
    if version > FORMAT:
        message = f"{path} has format {version}; this version reads up to {FORMAT}: upgrade it"
        raise LakeFormatError(message)


def _format_of(data: bytes) -> int:
    """Return the format a ledger says it has, 0 where it says none that can be read."""
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(found.get("format", b"0"), type=int)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def write_record(lake: Lake, partition: Partition, record: Record) -> None:
    """Replace the ledger of a partition."""
    data = msgspec.json.format(msgspec.json.encode(record), indent=1)
    publish_bytes(data + b"\n", lake.ledger(partition))


def records(lake: Lake, dataset: str | None = None) -> Iterator[tuple[Partition, Record]]:
    """Yield every partition with its ledger, sorted."""
    for partition, record in each(lake.root, partial(_with_record, lake), lake.partitions(dataset)):
        if record is not None:
            yield partition, record


def _with_record(lake: Lake, partition: Partition) -> tuple[Partition, Record | None]:
    return partition, read_record(lake, partition)
