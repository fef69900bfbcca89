"""What one look at a lake finds, which the sections of its page tell."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from etl.check.books import Books
from etl.check.status import Status, Verdict, overall, statuses_of
from lake.paths import EVERYTHING, Lake
from lake.span import Span

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Survey:
    """The books of a lake with the status of each part, and the moment they were looked at [ms]."""

    books: Books
    found: Sequence[Status]
    now_ms: int

    @property
    def lake(self) -> Lake:
        """The lake."""
        return self.books.lake

    @cached_property
    def by_dataset(self) -> Mapping[str, Sequence[Status]]:
        """The status of the parts of each dataset that is held or owed, by name."""
        found: dict[str, list[Status]] = defaultdict(list)
        for one in self.found:
            found[one.dataset].append(one)
        return found

    @property
    def verdict(self) -> Verdict:
        """The worst verdict; UNKNOWN where there is nothing."""
        return overall(self.found)

    @cached_property
    def span(self) -> Span:
        """From the first row of the lake to the end of its last; a day where it has none."""
        return span_of(self.found, self.now_ms)


def survey(lake: Lake, now_ms: int) -> Survey:
    """Return what is found in a lake.

    Raises
    ------
    CorruptFileError
        If a ledger file cannot be read.
    """
    books = Books(lake.listed(EVERYTHING))
    return Survey(books, statuses_of(books), now_ms)


def span_of(found: Sequence[Status], now_ms: int) -> Span:
    """Return the stretch from the first row of some parts to the end of their last."""
    firsts = [one.first_ms for one in found if one.first_ms is not None]
    lasts = [one.last_ms for one in found if one.last_ms is not None]
    if not firsts or not lasts:
        return Span(now_ms - DAY_MS, now_ms)
    return Span(min(firsts), max(lasts) + 1)
