"""What every proof is told, and what it says: what to ask next, and what the answers show.

A proof belongs to a dataset. `GridProof` knows every moment a row is owed at, `SequenceProof` the
numbers the exchange gave its rows. A list of instruments owes nothing but itself, and has no proof.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lake.ledger import Gap, Reading, Record
from lake.span import Span, subtract, union
from validators.outages import Outage

Ticks = NDArray[np.int64]  # timestamps of rows [ms], sorted


class Answer(NamedTuple):
    """What one attempt says of its window: nothing, if it failed, or the rows it sent.

    `first_ms` and `last_ms` are the timestamps of the first and last of them, None if none came.
    A page is shifted if rows came that nobody asked for: it does not show what is missing. It is
    full if it has as many rows as a page can hold: there may be more.
    """

    window: Span
    fetched_ms: int
    is_ok: bool
    first_ms: int | None = None
    last_ms: int | None = None
    is_shifted: bool = False
    is_full: bool = False


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

    def asks(
        self, record: Record, *, within: Span, clock_ms: int, read_since_ms: int
    ) -> list[Span]:
        """Return the windows to ask for now, so that the record may become complete."""

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
