"""FRED's graph as CSV: one series of constant-maturity yields, a row a day."""

import csv
import io
from collections.abc import Sequence
from datetime import date

import polars as pl

from etl.errors import RatePageError
from etl.rates.cells import SHOWN, day_of, frame, is_html, percent_of, shown

SERIES = {"DGS1MO": "rate_1m", "DGS3MO": "rate_3m", "DGS6MO": "rate_6m", "DGS1": "rate_1y"}
"""FRED's names of the Treasury's yields, and ours."""
DAYS = ("observation_date", "DATE")
"""What the column of days is called, now and formerly."""


def read_fred(body: bytes, series: str, first: date, last: date) -> pl.DataFrame:
    """Return the rows of a series, in the order they came.

    Parameters
    ----------
    body
        The CSV.
    series
        FRED's name of it, one of `SERIES`.
    first, last
        The days that were asked for.

    Returns
    -------
    pl.DataFrame
        `day`, the column of rates the series is [%], null where a day has none, and `refused`,
        null but where it is no number.

    Raises
    ------
    RatePageError
        If the body is no such CSV, of another series, or has a day that was not asked for.
    """
    rows = _rows(body, series)
    place = _place(rows[0] if rows else [], body, series)
    days: list[date] = []
    percents: list[float | None] = []
    odd: list[str] = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) <= place:
            message = f"line {number} of {series} is cut: {','.join(row)[:40]!r}"
            raise RatePageError(message)
        percent, is_read = percent_of(row[place])
        days.append(day_of(row[0]))
        percents.append(percent)
        odd.append("" if is_read else f"{SERIES[series]}:not_a_number")
    if days and not body.endswith((b"\n", b"\r")):  # cut within a number, it is one: 5 of 5.40
        last_line = body[-SHOWN:].decode(errors="replace")
        message = f"{series} is not whole: its last line has no end, {last_line!r}"
        raise RatePageError(message)
    _check_days(days, series, first, last)
    return frame(days, {SERIES[series]: percents}, odd)


def _place(head: Sequence[str], body: bytes, series: str) -> int:
    """Return the column a series is in."""
    words = [word.strip() for word in head]
    if words and words[0] in DAYS and series in words[1:]:
        return words.index(series, 1)
    got = shown(body) if not words or is_html(body) else repr(",".join(words)[:60])
    message = f"expected CSV of {DAYS[0]},{series}, got {got}"
    raise RatePageError(message)


def _rows(body: bytes, series: str) -> list[list[str]]:
    """Return the lines that have something in them, cut at their commas."""
    try:
        text = body.decode("utf-8-sig")
        return [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"expected CSV of {DAYS[0]},{series}, got {shown(body)} ({error})"
        raise RatePageError(message) from error


def _check_days(days: list[date], series: str, first: date, last: date) -> None:
    other = next((day for day in days if not first <= day <= last), None)
    if other is not None:
        message = f"asked for {series} of {first} to {last}, it has {other}"
        raise RatePageError(message)
