"""Hold our Greeks of tickers against the exchange's own, day by day, and write what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from etl.check.greek_age import Age, age_of
from etl.check.greek_conventions import EXCHANGE
from etl.check.greek_hints import Hint, hints
from etl.check.greek_tally import SOURCES, TICKER, Tally, tally
from etl.errors import UsageError
from lake.errors import CorruptFileError, MissingColumnError
from lake.paths import Lake
from lake.read import footer, scan_files
from lake.span import Span, period_span
from lake.store.place import Place
from lake.write import write_out
from validators.greeks.errors import judged
from validators.greeks.quotes import NEEDED

DATASET = "option_tickers"
MAKER = "`deribit-lake snapshot options --currency BTC --tickers`"
ROWS_AT_ONCE = 1 << 16
AUTO, MOST_AGE_S = "auto", 3600.0
MOST_DIGITS = 6  # of a number of days
ERRORS, OUTSIDE, PAGE = "greeks_errors.csv", "greeks_outside.csv", "greeks.html"
Verdict = Literal["PASS", "FAIL", "UNKNOWN"]


@dataclass(frozen=True)
class GreeksReport:
    """How near our Greeks are to the exchange's.

    Attributes
    ----------
    first, last : the days compared.
    table : a line per source, bucket and quantity; as `judged`, with `source`.
    overall : the same per source, underlying and quantity, without a verdict.
    tally : what the rows amount to.
    ages : how old the Greeks of each underlying are inside their ticker.
    age_s : how old they were taken to be [s].
    hints : what the exchange's side may have done where it differs.
    """

    first: str
    last: str
    table: pl.DataFrame
    overall: pl.DataFrame
    tally: Tally
    ages: list[Age]
    age_s: float
    hints: list[Hint]

    @property
    def failed(self) -> pl.DataFrame:
        """The buckets that fail, those by mark_iv first, then the worst."""
        order = [
            pl.col("source") == TICKER,
            pl.col("outside") / pl.col("rows"),
            pl.col("ratio").abs(),
        ]
        failed = self.table.filter(pl.col("verdict") == "fail")
        return failed.sort(order, descending=True, nulls_last=True, maintain_order=True)

    @property
    def verdict(self) -> Verdict:
        """FAIL where a bucket does, UNKNOWN where none has rows enough, else PASS."""
        words = set(self.table["verdict"])
        if "fail" in words:
            return "FAIL"
        return "PASS" if "pass" in words else "UNKNOWN"


def parse_age(text: str) -> float | None:
    """Return an age [s], None where it is to be estimated.

    Raises
    ------
    UsageError
        If it is neither a number of seconds nor the word.
    """
    if text == AUTO:
        return None
    try:
        age = float(text)
    except ValueError:
        age = float("nan")
    if not 0 <= age <= MOST_AGE_S:
        message = f"--age {text!r}: expected seconds from 0 to {MOST_AGE_S:g}, or {AUTO}"
        raise UsageError(message)
    return age


def parse_days(text: str) -> int:
    """Return a number of days.

    Raises
    ------
    UsageError
        If it is none, or less than one.
    """
    days = int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else 0
    if days < 1:
        message = f"--days {text!r}: expected a number of days, 1 or more"
        raise UsageError(message)
    return days


def validate(
    lake: Lake,
    currencies: Sequence[str],
    *,
    days: int,
    span: Span | None,
    age_s: float | None,
    stale_s: float,
) -> GreeksReport:
    """Compare the Greeks of the last days held, or of those in a span.

    Parameters
    ----------
    currencies
        What the options settle in; none means all held.
    days
        How many of the last days held, where no span is given.
    age_s
        How old the exchange's Greeks are taken to be [s]; None to estimate it first, and take it
        where it is more than chance.
    stale_s
        Up to how long before its snapshot a row may be quoted [s].

    Raises
    ------
    UsageError
        If nothing is held, of that currency or then.
    LakeError
        If a file cannot be read or lacks a column.
    """
    paths = _files(lake, currencies, days, span)
    told = tally(_pieces(paths, span), EXCHANGE.older(age_s or 0.0), stale_s=stale_s)
    ages = _ages(told)
    if age_s is None:
        old = [age.seconds for age in ages if age.is_old and age.seconds is not None]
        age_s = round(max(old), 2) if old else 0.0
        if age_s:
            told = tally(_pieces(paths, span), EXCHANGE.older(age_s), stale_s=stale_s)
    return _report(paths, told, ages, age_s)


def _report(paths: Sequence[Place], told: Tally, ages: list[Age], age_s: float) -> GreeksReport:
    days = sorted({path.stem for path in paths})
    if not told.counts:
        columns = ("rows", "underlying", "reason")
        left = pl.DataFrame() if told.left is None else told.left.select(columns)
        counted = left.sort(left.columns, descending=True).rows() if len(left) else []
        why = "; ".join(f"{rows:,} of {name}: {reason}" for rows, name, reason in counted)
        why = why or "no row at all"
        message = f"no ticker with Greeks from {days[0]} to {days[-1]} ({why}): run {MAKER}"
        raise UsageError(message)
    lines = [_judged(told, source) for source in SOURCES]
    table = pl.concat(by_bucket for by_bucket, _ in lines)
    overall = pl.concat(whole for _, whole in lines)
    found: list[Hint] = []
    if told.sample is not None:
        found = hints(told.sample, table.filter(source=TICKER), ages, age_s)
    return GreeksReport(days[0], days[-1], table, overall, told, ages, age_s, found)


def _judged(told: Tally, source: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    word = pl.lit(source).alias("source")
    by_bucket = judged(*told.counts[source]).select(word, pl.all())
    overall = judged(*told.counts[source], by=("underlying",)).drop("verdict")
    return by_bucket, overall.select(word, pl.all())


def _ages(told: Tally) -> list[Age]:
    if told.pairs is None or TICKER not in told.counts:
        return []
    names = told.counts[TICKER][1]["underlying"].unique().sort()
    return [age_of(name, told.pairs) for name in names]


def _files(lake: Lake, currencies: Sequence[str], days: int, span: Span | None) -> list[Place]:
    held = lake.files(DATASET)
    if not held:
        message = f"{lake.root} holds nothing of {DATASET} yet: run {MAKER}"
        raise UsageError(message)
    parts = sorted({path.parent.name for path in held})
    for currency in currencies:
        if currency not in parts:
            message = f"no {DATASET} settled in {currency!r}; there are: {', '.join(parts)}"
            raise UsageError(message)
    mine = [path for path in held if path.parent.name in (currencies or parts)]
    if span is None:
        last = sorted({path.stem for path in mine})[-days:]
        return [path for path in mine if path.stem in last]
    found = [path for path in mine if period_span(path.stem).meets(span)]
    if not found:
        first, latest = min(path.stem for path in mine), max(path.stem for path in mine)
        message = f"no {DATASET} then; those held are of {first} to {latest}"
        raise UsageError(message)
    return found


def _pieces(paths: Sequence[Place], span: Span | None) -> Iterator[pl.DataFrame]:
    """Yield the rows of files, some at a time; a chain of an instant stands together."""
    for path in paths:
        known = footer(path)
        for name in NEEDED:
            if name not in known.schema.names:
                raise MissingColumnError(path, name)
        rows = scan_files([path]).select(NEEDED)
        for start in range(0, known.num_rows, ROWS_AT_ONCE):
            try:
                piece = rows.slice(start, ROWS_AT_ONCE).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise CorruptFileError(path, error) from error
            yield piece if span is None else piece.filter(_is_in(span))


def _is_in(span: Span) -> pl.Expr:
    return pl.col("timestamp").dt.epoch("ms").is_between(span.start_ms, span.end_ms, closed="left")


def write_tables(report: GreeksReport, out: Path) -> None:
    """Write the errors of each bucket, and the rows outside, the worst of them first.

    Raises
    ------
    LakeError
        If they cannot be written.
    """
    outside = report.tally.outside
    for frame, name in ((report.table, ERRORS), (outside, OUTSIDE)):
        if frame is not None:
            text = frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
            write_out(text.encode(), out / name)
