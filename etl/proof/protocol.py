"""What every proof is told, and what it says: what to ask next, and what the answers show.

A proof belongs to a dataset. `GridProof` knows every moment a row is owed at, `SequenceProof` the
numbers the exchange gave its rows, `ListProof` how many rows a list has. A list of instruments owes
nothing but itself, and has no proof.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lake.ledger import Gap, Look, Reading, Record
from lake.span import DAY_MS, Span, subtract, union
from validators.outages import Outage

if TYPE_CHECKING:
    from etl.proof.agreement import Agreed

Ticks = NDArray[np.int64]  # timestamps of rows [ms], sorted
Flags = NDArray[np.bool_]
LONGEST_WAIT_MS = 3 * DAY_MS  # no gap that is unsettled waits longer for its next look
LONGEST_REST_MS = 31 * DAY_MS  # and none that is settled
SETTLED_BY_ANSWERS = ("absent", "before_first_trade", "outage")
"""Reasons a gap is settled for because answers showed that there is nothing."""


class Numbers(Span, frozen=True, array_like=True, order=True):
    """Rows `first` to `last` of one instrument, asked for by number; both belong to it.

    The span is where they must lie, so far as that is known.
    """

    of: str = ""
    first: int = 0
    last: int = 0


class Answer(NamedTuple):
    """What one attempt says of its window: nothing, if it failed, or the rows it sent.

    `first_ms` and `last_ms` are the timestamps of the first and last of them, None if none came;
    `left_out` is how many came that nobody asked for. An answer is full if it has as many rows as
    a page can hold: there may be more. One that is in `doubt` is no witness, and its rows are not
    used; `sent_ms` is the exchange's clock when it was sent. `asked` are the parameters, as JSON,
    and `whole` is what a page of a list shows whole: a row that is not in it is not in the list.
    `numbers` is what was asked for by number, and `rows` counts what came of a stretch that is not.
    """

    window: Span
    fetched_ms: int
    is_ok: bool
    first_ms: int | None = None
    last_ms: int | None = None
    is_full: bool = False
    left_out: int = 0
    sent_ms: int | None = None
    doubt: str = ""
    asked: str = "{}"
    whole: Span | None = None
    numbers: Numbers | None = None
    rows: int = 0

    @property
    def is_believed(self) -> bool:
        """Whether it came, and nothing speaks against it."""
        return self.is_ok and not self.doubt


@dataclass(frozen=True, slots=True)
class Rules:
    """What a user may set of how answers are judged."""

    settle_ms: int  # how long after its close a row may still be revised
    confirm_after_ms: int  # how far apart two looks at a hole nothing explains must lie
    outages: Sequence[Outage]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a partition is judged by, besides its raw."""

    life: Span  # from the listing to the expiry
    now_ms: int  # the exchange's clock
    rules: Rules


@dataclass(frozen=True, slots=True)
class Due:
    """What makes a gap, or a row that may have been revised, due to be asked for again.

    Attributes
    ----------
    clock_ms
        Our own clock, which says when a gap may be looked at again.
    read_since_ms
        Moment on our own clock; rows that may move and were last read before it are read again.
    is_now
        Whether gaps that wait for a later look are looked at now.
    is_first
        Whether nothing was asked for yet: what is settled is looked at no more than once.
    again
        Reasons that are looked at again, settled or not.
    """

    clock_ms: int
    read_since_ms: int
    is_now: bool = False
    again: frozenset[str] = frozenset()
    is_first: bool = True

    def has(self, gap: Gap) -> bool:
        """Whether a gap is due; what is settled for good is not, unless its reason is named."""
        if not gap.is_settled:
            return self.is_now or self._is_time(gap.retry_at_ms or 0, LONGEST_WAIT_MS)
        if not self.is_first:
            return False
        if gap.retry_at_ms is None:
            return gap.reason in self.again
        is_time = self._is_time(gap.retry_at_ms, LONGEST_REST_MS)
        return gap.reason in self.again or self.is_now or is_time

    def _is_time(self, at_ms: int, longest_ms: int) -> bool:
        """Whether a moment has come; what lies too far off was set by a clock since put back."""
        return at_ms <= self.clock_ms or at_ms - self.clock_ms > longest_ms

    def has_read(self, reading: Reading) -> bool:
        """Whether rows that may move were read lately enough; one in the future tells nothing.

        A moment our own clock has not come to is one of a clock that was put back since.
        """
        return self.read_since_ms <= reading.read_ms <= max(self.clock_ms, self.read_since_ms)


def looks_of(answers: Sequence[Answer]) -> tuple[Look, ...]:
    """Return who looked for numbers: instrument, first, last, and when [ms]."""
    return tuple(
        (one.numbers.of, one.numbers.first, one.numbers.last, one.fetched_ms)
        for one in answers
        if one.numbers is not None and one.is_believed
    )


class Read(NamedTuple):
    """When each attempt was fetched by our clock, and sent by the exchange's [ms]."""

    fetched_ms: Ticks
    sent_ms: Ticks


class Proof(Protocol):
    """How a dataset shows that nothing is missing."""

    @property
    def page_rows(self) -> int:
        """The most rows a page can hold."""

    def heard(self, page: pl.DataFrame, answer: Answer) -> tuple[pl.DataFrame, Answer]:
        """Return the rows of a page that were asked for, and the answer with what it says."""

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return the rows of a page that were final enough to be kept when they were sent."""

    def is_young(self, rows: pl.DataFrame, read: Read, settle_ms: int) -> Flags:
        """Tell which rows were sent so soon after their close that they may still move."""

    def agreed(self, rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> "Agreed":
        """Return the rows answers agree on, and those that are contradicted."""

    def misplaced(
        self, rows: pl.DataFrame, answers: Sequence[Answer], settle_ms: int
    ) -> frozenset[int]:
        """Return the answers whose rows do not begin or end where other answers have a row."""

    def gaps(
        self,
        wanted: Sequence[Span],
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> tuple[Gap, ...]:
        """Return every stretch of `wanted` that is not held, with its reason, sorted."""

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the rows that may still be revised, by reading."""

    def extend(self, record: Record, wanted: Sequence[Span], terms: Terms) -> Record:
        """Return the record with more wanted and time gone by."""

    def asks(self, record: Record, *, within: Span, due: Due) -> list[Span]:
        """Return the windows to ask for now, so that the record may become complete."""

    def parts(self, window: Span) -> list[Span]:
        """Return a window cut into what a page can hold."""

    def most_rows(self, window: Span) -> int:
        """Return how many rows a window can bring at most."""

    def count(self, records: Sequence[Record]) -> dict[str, int]:
        """Count what is missing by reason, over the partitions of one part, in order of time."""


def ticks_of(frame: pl.DataFrame) -> Ticks:
    """Return the timestamps of rows [ms]."""
    ticks: Ticks = frame["timestamp"].dt.epoch("ms").to_numpy()
    return ticks


def within_ms(page: pl.DataFrame, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return the rows of a page inside ``[start_ms, end_ms)``: most often the page itself."""
    first, last = bounds_ms(page)
    if first is None or last is None or (start_ms <= first and last < end_ms):
        return page
    return page.filter(pl.col("timestamp_ms").is_between(start_ms, end_ms, closed="left"))


def bounds_ms(page: pl.DataFrame) -> tuple[int, int] | tuple[None, None]:
    """Return the first and the last moment of a page's rows [ms]."""
    ticks = page["timestamp_ms"].to_numpy()
    return (int(ticks.min()), int(ticks.max())) if ticks.size else (None, None)


def not_owed(span: Span, life: Span, owed_until_ms: int) -> Iterator[Gap]:
    """Yield the parts of a span in which the exchange owes nothing, with the reason."""
    for start_ms, end_ms, reason in (
        (span.start_ms, min(span.end_ms, life.start_ms), "before_listing"),
        (max(span.start_ms, owed_until_ms), min(span.end_ms, life.end_ms), "in_progress"),
        (max(span.start_ms, life.end_ms), span.end_ms, "after_expiry"),
    ):
        if start_ms < end_ms:
            yield Gap(start_ms, end_ms, reason)  # type: ignore[arg-type]


def newly_wanted(record: Record, wanted: Sequence[Span]) -> list[Span]:
    """Return what is wanted and was not, and what was in progress when last looked at."""
    running = [Span(gap.start_ms, gap.end_ms) for gap in record.gaps if gap.reason == "in_progress"]
    return [*subtract(wanted, record.wanted), *running]


def also_wanted(record: Record, wanted: Sequence[Span]) -> tuple[Span, ...]:
    """Return all that is wanted, with what was before."""
    return tuple(union([*record.wanted, *wanted]))
