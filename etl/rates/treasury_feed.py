"""Pages of the Treasury's daily yield curve: an Atom feed with an entry a day."""

from datetime import date
from pyexpat import ExpatError
from typing import NoReturn
from xml.parsers.expat import ParserCreate

import polars as pl

from etl.errors import RatePageError
from etl.rates.cells import day_of, frame, is_html, percent_of, shown
from lake.span import PeriodKind, period_of, period_span

ATOM = "http://www.w3.org/2005/Atom"
DAY = "NEW_DATE"
FIELDS = {
    "BC_1MONTH": "rate_1m",
    "BC_1_5MONTH": "rate_1_5m",
    "BC_2MONTH": "rate_2m",
    "BC_3MONTH": "rate_3m",
    "BC_4MONTH": "rate_4m",
    "BC_6MONTH": "rate_6m",
    "BC_1YEAR": "rate_1y",
}
"""The Treasury's names, and ours; longer tenors are of no use to options."""


def read_treasury(body: bytes, period: str) -> pl.DataFrame:
    """Return the curves of a page, in its order.

    Parameters
    ----------
    body
        The page.
    period
        The year or month that was asked for, as ``2024`` or ``2024-05``.

    Returns
    -------
    pl.DataFrame
        `day`, the seven columns of rates [%], null where there is none, and `refused`, null but
        where an entry has what is no number.

    Raises
    ------
    RatePageError
        If the body is no such feed, not whole, or of another year or month.
    """
    entries = _entries(body)
    if entries and not any(name in FIELDS for entry in entries for name in entry):
        found = sorted({name for entry in entries for name in entry})
        message = f"expected {', '.join(FIELDS)} in its entries, got {', '.join(found)[:120]}"
        raise RatePageError(message)
    days = [_day(entry) for entry in entries]
    _check_period(days, period)
    columns: dict[str, list[float | None]] = {name: [] for name in FIELDS.values()}
    odd: list[str] = []
    for entry in entries:
        cells = {ours: percent_of(entry.get(name, "")) for name, ours in FIELDS.items()}
        for name, (percent, _) in cells.items():
            columns[name].append(percent)
        odd.append(
            ",".join(f"{name}:not_a_number" for name, (_, good) in cells.items() if not good)
        )
    return frame(days, columns, odd)


class _Feed:
    """What the parser has met so far; names without their namespaces, which a prefix may hide."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self._depth = 0
        self._inside = 0  # the depth of the properties that are open
        self._field = ""
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._depth += 1
        if self._depth == 1 and (space, local) != (ATOM, "feed"):
            message = f"expected Atom, got a document of <{local[:40]}>"
            raise RatePageError(message)
        if local == "properties" and not self._inside:
            self._inside = self._depth
            self.entries.append({})
        elif self._inside and self._depth == self._inside + 1:
            is_null = any(
                key.rpartition(" ")[2] == "null" and value == "true"
                for key, value in attributes.items()
            )
            self._field, self._text = ("" if is_null else local), []

    def text(self, text: str) -> None:
        if self._field and self._depth == self._inside + 1:
            self._text.append(text)

    def end(self, _name: str) -> None:
        if self._field and self._depth == self._inside + 1:
            self._add(self._field, "".join(self._text))
            self._field = ""
        if self._depth == self._inside:
            self._inside = 0
        self._depth -= 1

    def _add(self, name: str, text: str) -> None:
        entry = self.entries[-1]
        if entry.setdefault(name, text) != text:
            message = f"an entry has {name[:40]} twice: {entry[name][:40]!r} and {text[:40]!r}"
            raise RatePageError(message)


def _entries(body: bytes) -> list[dict[str, str]]:
    """Return the texts of the fields of each entry."""
    if is_html(body):
        message = f"expected Atom, got {shown(body)}"
        raise RatePageError(message)
    feed, parser = _Feed(), ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = feed.start, feed.end
    parser.CharacterDataHandler = feed.text
    parser.StartDoctypeDeclHandler = _refuse  # so that there is no entity to expand
    try:
        parser.Parse(body, True)  # noqa: FBT003  (it is the end; expat takes it by place)
    except ExpatError as error:
        what = f"expected Atom, got {shown(body)}" if not feed.entries else "the feed is not whole"
        message = f"{what} ({error})"
        raise RatePageError(message) from error
    except (LookupError, ValueError) as error:  # an encoding nobody has, or not a text one
        message = f"expected Atom, got {shown(body)} ({str(error)[:60]})"
        raise RatePageError(message) from error
    return feed.entries


def _refuse(*_declared: object) -> NoReturn:
    message = "expected Atom, got a document type: a feed has none, and entities are not expanded"
    raise RatePageError(message)


def _day(entry: dict[str, str]) -> date:
    if DAY not in entry:
        message = f"an entry has no {DAY}; it has {', '.join(sorted(entry))[:120] or 'nothing'}"
        raise RatePageError(message)
    return day_of(entry[DAY])


def _check_period(days: list[date], period: str) -> None:
    """Refuse a page that is of another time than was asked for, in all or in part."""
    span = period_span(period)
    kind: PeriodKind = "year" if period.isdecimal() else "month"
    moments = [(day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400_000 for day in days]
    other = next((ms for ms in moments if not span.start_ms <= ms < span.end_ms), None)
    if other is not None:
        message = f"asked for {period}, it has {period_of(other, kind)}"
        raise RatePageError(message)
