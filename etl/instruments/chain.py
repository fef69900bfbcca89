"""The chain: every option the lists have, and which of them a user means."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from etl.errors import UsageError
from etl.instruments import table
from etl.instruments.answers import read_one
from etl.instruments.record import ANY, Instrument
from lake.paths import Lake
from lake.read import scan_files
from lake.span import Span

SIDES = ("call", "put")
NEAREST = 3


@dataclass(frozen=True, slots=True)
class Filter:
    """Words that choose options of a chain; what is empty or None chooses all.

    Attributes
    ----------
    expiries
        Days of expiry, UTC.
    low, high
        Strikes, in what the option is struck in; both belong to it.
    sides
        ``call``, ``put``.
    moneyness
        Bounds of strike / index at the trade: they choose trades, not options.
    is_active, is_expired
        Only those that live, or that do not.
    """

    expiries: tuple[date, ...] = ()
    low: float | None = None
    high: float | None = None
    sides: tuple[str, ...] = ()
    moneyness: tuple[float, float] | None = None
    is_active: bool = False
    is_expired: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it chooses everything."""
        return self == Filter()


def chain(lake: Lake) -> pl.LazyFrame:
    """Return every option the lists ever had, one row each.

    Returns
    -------
    LazyFrame
        `instrument`, `settlement_currency`, `creation_timestamp` and `expiration_timestamp` [ms],
        `strike`, `option_type`.

    Raises
    ------
    UsageError
        If the lists were never fetched.
    """
    if not lake.files(table.PARTITION.dataset):
        message = f"{lake.root} has no list of options: run `deribit-lake instruments refresh`"
        raise UsageError(message)
    columns = ("settlement_currency", "creation_timestamp", "expiration_timestamp", "strike")
    options = table.scan(lake).filter(pl.col("kind") == "option")
    return options.group_by("instrument").agg(
        pl.col(*columns, "option_type").sort_by("valid_from").last()
    )


def choose(
    options: pl.DataFrame, currencies: Sequence[str], chosen: Filter, now_ms: int
) -> pl.DataFrame:
    """Return the options a user means, sorted by expiry, strike and side.

    Raises
    ------
    UsageError
        If nothing expires on a day, or nothing is left.
    """
    of = options if ANY in currencies else _of(options, currencies)
    known = pl.from_epoch(of["expiration_timestamp"], "ms").dt.date().unique().to_list()
    check_expiries(f"no option of {', '.join(currencies)}", chosen.expiries, known)
    ends = pl.col("expiration_timestamp")
    days = pl.from_epoch(ends, "ms").dt.date()
    is_meant = [
        days.is_in(chosen.expiries) if chosen.expiries else pl.lit(value=True),
        pl.col("strike") >= (float("-inf") if chosen.low is None else chosen.low),
        pl.col("strike") <= (float("inf") if chosen.high is None else chosen.high),
        pl.col("option_type").is_in(chosen.sides or SIDES),
        ends > now_ms if chosen.is_active else pl.lit(value=True),
        ends <= now_ms if chosen.is_expired else pl.lit(value=True),
    ]
    found = of.filter(is_meant).sort("expiration_timestamp", "strike", "option_type")
    if found.is_empty():
        _refuse(of, chosen, currencies, now_ms)
    return found


def check_expiries(what: str, days: Sequence[date], known: Collection[date]) -> None:
    """Raise UsageError at the first day that is not among those known; it names the nearest."""
    for day in days:
        if day not in known:
            near = sorted(known, key=lambda one: (abs(one - day), one))[:NEAREST]
            shown = ", ".join(map(str, sorted(near))) or "none"
            message = f"{what} expires on {day}; nearest: {shown}"
            raise UsageError(message)


def life_of(options: pl.DataFrame) -> Span:
    """Return the time in which some options lived."""
    first, last = options.select(
        pl.col("creation_timestamp").min(), pl.col("expiration_timestamp").max().alias("last")
    ).row(0)
    return Span(first, last)


def named(lake: Lake, names: Collection[str]) -> dict[str, Instrument]:
    """Return what the lists said last of some instruments, those they have."""
    if not names or not (files := lake.files(table.PARTITION.dataset)):
        return {}
    held = scan_files(files).filter(pl.col("instrument").is_in([*names]))
    rows = held.sort("valid_from").select("instrument", "record").collect()
    found = ((name, read_one(record.encode())) for name, record in rows.iter_rows())
    return {name: one for name, one in found if isinstance(one, Instrument)}


def check_named(found: Collection[str], names: Sequence[str], lake: Lake) -> None:
    """Raise UsageError at the first of some names that no list of options has.

    Raises
    ------
    UsageError
        It names the nearest.
    """
    for name in names:
        if name not in found:
            known = chain(lake).select("instrument").collect()["instrument"].to_list()
            near = difflib.get_close_matches(name, known, n=NEAREST, cutoff=0.6)
            message = f"no option {name!r} was listed; nearest: {', '.join(near) or 'none'}"
            raise UsageError(message)


def _of(options: pl.DataFrame, currencies: Sequence[str]) -> pl.DataFrame:
    return options.filter(pl.col("settlement_currency").is_in([*currencies]))


def _refuse(of: pl.DataFrame, chosen: Filter, currencies: Sequence[str], now_ms: int) -> None:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    words = [f"expiry {', '.join(map(str, chosen.expiries))}"] if chosen.expiries else []
    words += [f"strike from {chosen.low:g}"] if chosen.low is not None else []
    words += [f"strike to {chosen.high:g}"] if chosen.high is not None else []
    words += [*chosen.sides]
    words += [f"active at {now:%Y-%m-%d %H:%M}"] if chosen.is_active else []
    words += [f"expired at {now:%Y-%m-%d %H:%M}"] if chosen.is_expired else []
    message = (
        f"none of {len(of):,} options of {', '.join(currencies)} is chosen by "
        f"{'; '.join(words) or 'these words'}"
    )
    raise UsageError(message)
