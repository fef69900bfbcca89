"""Answers of both sources, staged as a run would have: what the simulation sends, at a moment."""

import itertools
from datetime import UTC, datetime

from etl.deribit.answer import OK
from etl.errors import RatePageError
from etl.rates.pages import CURRENCY, DATASET, SOURCES, folder_of, pages_of
from lake import raw
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import Span
from tests.exchange import fred, treasury

NOTHING = Span(0, 0)
_numbers = itertools.count(1)


def ms(text):
    """Return a moment or the beginning of a day [ms]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def span(first, after):
    return Span(ms(first), ms(after))


def year(number):
    return Partition(DATASET, CURRENCY, str(number))


def body_of(page, now_ms, faults=frozenset()):
    """Return what the simulation sends of a page."""
    if page.source == "treasury":
        return treasury.page(*treasury.period_of(page.params), now_ms * 1000, faults).encode()
    return fred.graph(*fred.asked(page.params), now_ms * 1000, faults).encode()


def attempt(page, heard, body, *, wanted=NOTHING, outcome=None):
    """Return an attempt that was answered at a moment; what cannot be read is no page."""
    try:
        page.read(body)
    except RatePageError as error:
        outcome = outcome or str(error)
    number = next(_numbers)
    return raw.Attempt(
        attempt_id=f"{ms(heard) * 1000 + number}-{number:08}",
        fetched_at=ms(heard) * 1000 + number,
        host="https://sim",
        params=page.key,
        window_start=wanted.start_ms * 1000,
        window_end=wanted.end_ms * 1000,
        outcome=outcome or OK,
        http_status=200,
        body=body,
    )


def stage(lake, number, heard, **faults):
    """Stage all pages of a year as sent at a moment; None for a source that does not answer."""
    for page in pages_of(number, SOURCES):
        names = faults.get(page.source, ())
        body = None if names is None else body_of(page, ms(heard), frozenset(names))
        one = attempt(page, heard, body or b"", outcome="no answer" if body is None else None)
        raw.stage([one], folder_of(lake, page.source, year(number)))


def lake_of(root, number, heard, *wanted, **faults):
    """Return a lake in which a year was asked for once, and the days of a span wanted."""
    lake = open_lake(root, create=True)
    stage(lake, number, heard, **faults)
    write_record(lake, year(number), Record(wanted=(span(*wanted),)))
    return lake
