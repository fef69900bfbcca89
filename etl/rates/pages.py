"""What is asked of the Treasury and of FRED for a year, and where the answers lie.

A year's page begins with the year, and its first day is a holiday: so the December before is asked
for as well, and what a year amounts to is a function of its own raw files alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec
import polars as pl

from etl.rates.fred_csv import SERIES, read_fred
from etl.rates.treasury_feed import read_treasury
from lake.partition import Partition
from lake.paths import Lake
from lake.span import DAY_MS, Span, is_period
from lake.store.files import names_below
from lake.store.place import Place

DATASET, CURRENCY = "treasury_bills", "USD"
FIRST_YEAR = 1990  # the Treasury's pages begin on 1990-01-02
TREASURY, FRED = SOURCES = "treasury", "fred"
METHODS: dict[str, str] = {TREASURY: "daily_treasury_yield_curve", FRED: "fredgraph"}
"""The words of both sources for what is asked, which name folders, too."""
FINAL_AFTER_MS = 8 * DAY_MS
"""How long after its end a year's page may still change: FRED is days behind over New Year."""
_FEED = "resource-center/data-chart-center/interest-rates/pages/xml"
_GRAPH = "graph/fredgraph.csv"


@dataclass(frozen=True, slots=True)
class Page:
    """One page to ask for.

    Attributes
    ----------
    span
        The days it covers; it does not change any more some days after their end.
    is_before
        Whether it is of the December before the year, which tells what its first days carry.
    """

    source: str
    path: str
    params: dict[str, str]
    span: Span
    is_before: bool = False

    @property
    def key(self) -> str:
        """What tells it from other pages of its partition."""
        return msgspec.json.encode(self.params, order="sorted").decode()

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.params.get("id") or f"the page of {self._period}"

    @property
    def _period(self) -> str:
        month = self.params.get("field_tdr_date_value_month", "")
        return f"{month[:4]}-{month[4:]}" if month else self.params["field_tdr_date_value"]

    @property
    def is_final_ms(self) -> int:
        """From when on an answer says all that will ever be said."""
        return self.span.end_ms + FINAL_AFTER_MS

    def read(self, body: bytes) -> pl.DataFrame:
        """Return the rows of an answer.

        Raises
        ------
        RatePageError
            If it is no such page.
        """
        if self.source == TREASURY:
            return read_treasury(body, self._period)
        last = day_at(self.span.end_ms - 1)
        return read_fred(body, self.params["id"], day_at(self.span.start_ms), last)


def pages_of(year: int, sources: Iterable[str] = SOURCES) -> list[Page]:
    """Return the pages that tell the curves of a year, and the last one before it."""
    first, end = midnight_ms(date(year, 1, 1)), midnight_ms(date(year + 1, 1, 1))
    december = midnight_ms(date(year - 1, 12, 1))
    pages: list[Page] = []
    if TREASURY in sources:
        data = {"data": METHODS[TREASURY]}
        whole = data | {"field_tdr_date_value": str(year)}
        before = data | {"field_tdr_date_value_month": f"{year - 1}12"}
        pages.append(Page(TREASURY, _FEED, whole, Span(first, end)))
        if year > FIRST_YEAR:
            pages.append(Page(TREASURY, _FEED, before, Span(december, first), is_before=True))
    if FRED in sources:
        bounds = {"cosd": f"{year - 1}-12-01", "coed": f"{year}-12-31"}
        span = Span(december, end)
        pages += [Page(FRED, _GRAPH, {"id": series, **bounds}, span) for series in SERIES]
    return pages


def folder_of(lake: Lake, source: str, partition: Partition) -> Place:
    """Return where the answers of a source for a year are staged."""
    return lake.raw(METHODS[source], currency=partition.part, year=partition.period)


def staged(lake: Lake) -> Iterator[Partition]:
    """Yield the years something was staged or wanted of, sorted."""
    found = set(lake.partitions(DATASET))
    for method in METHODS.values():
        for *keys, name in names_below(lake.raw(method), 3):
            told = [key.partition("=") for key in keys]
            if [word for word, *_ in told] == ["currency", "year"] and name.endswith(".parquet"):
                (*_, currency), (*_, year) = told
                if is_period(year):
                    found.add(Partition(DATASET, currency, year))
    return iter(sorted(found))


def midnight_ms(day: date) -> int:
    """Return the beginning of a day in UTC [ms]."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS


def day_at(ms: int) -> date:
    """Return the day of a moment in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).date()
