"""What the parsers of both sources share: days, percentages, and words on what is none of them."""

import re
from contextlib import suppress
from datetime import date

import polars as pl

from etl.errors import RatePageError

MISSING = frozenset({"", ".", "N/A", "NA", "ND"})
"""What both sources, or either in older forms, write where there is no rate."""
SHOWN = 40
DIGITS = 5  # behind the point of a percentage: old pages have 8.640000343322754 for 8.64
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T.*)?", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d{1,300}\.?\d{0,300}|\.\d{1,300})(?:[eE][+-]?\d{1,9})?", re.ASCII)
_NO_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII)
_HTML = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>\s*(.{1,80}?)\s*</title>", re.IGNORECASE | re.DOTALL)


def day_of(text: str) -> date:
    """Return the day a source writes, as it is written: a time of day or zone moves it nowhere.

    Raises
    ------
    RatePageError
        If it is none.
    """
    if found := _DAY.fullmatch(text.strip()):
        with suppress(ValueError):
            return date(*map(int, found.groups()))
    message = f"{text[:SHOWN]!r} is no day like 2024-01-02"
    raise RatePageError(message)


def percent_of(text: str) -> tuple[float | None, bool]:
    """Return a yield in percent, None where there is none, and whether the text can be read."""
    word = text.strip()
    if word.upper() in MISSING:
        return None, True
    if _NUMBER.fullmatch(word) or _NO_FINITE.fullmatch(word):
        return round(float(word), DIGITS), True
    return None, False


def shown(body: bytes) -> str:
    """Return some words on a body that is no page of rates."""
    if not body.strip():
        return "an empty body"
    if not _HTML.match(body):
        return repr(body[:SHOWN].decode(errors="replace"))
    title = _TITLE.search(body[:10_000])
    words = " ".join(title[1].decode(errors="replace").split()) if title else ""
    return f"an HTML page titled {words!r}" if words else "an HTML page"


def is_html(body: bytes) -> bool:
    """Whether a body is a web page."""
    return _HTML.match(body) is not None


def frame(days: list[date], columns: dict[str, list[float | None]], odd: list[str]) -> pl.DataFrame:
    """Return rows as a source has them: `day`, yields [%], and what of the row is unreadable."""
    return pl.DataFrame(
        [
            pl.Series("day", days, pl.Date),
            *(pl.Series(name, cells, pl.Float64) for name, cells in columns.items()),
            pl.Series("refused", odd, pl.String).replace("", None),
        ]
    )
