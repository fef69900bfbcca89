"""What a user asks to be fetched, and the partitions it covers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import polars as pl

from etl.dataset import Fetched
from etl.errors import UsageError
from etl.instruments.chain import life_of
from etl.instruments.record import Instrument, Listing
from etl.instruments.selection import Choice
from etl.when import format_moment, parse_moment
from lake.partition import Partition
from lake.span import Span, by_period, clip


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for, in Unix milliseconds; a bound that is None is open."""

    dataset: Fetched
    choice: Choice = field(default_factory=Choice)
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One partition to be completed."""

    partition: Partition
    dataset: Fetched
    instrument: Instrument
    wanted: tuple[Span, ...]


def words(text: str | None, option: str | None = None) -> list[str]:
    """Return the words of a list with commas; none where there is no list.

    Raises
    ------
    UsageError
        If what an option was given has no word in it.
    """
    found = [word.strip() for word in (text or "").split(",") if word.strip()]
    if option is not None and text is not None and not found:
        message = f"{option} {text!r} names nothing: expected names, separated by commas"
        raise UsageError(message)
    return found


def days_of(text: str | None, option: str) -> tuple[date, ...]:
    """Return the days an option was given, separated by commas; none where it was not given.

    Raises
    ------
    UsageError
        If it names nothing, or what is no day.
    """
    moments = (parse_moment(word, option) for word in words(text, option))
    return tuple(datetime.fromtimestamp(ms / 1000, UTC).date() for ms in moments)


def wish_for(
    dataset: Fetched, choice: Choice, start: str | None = None, end: str | None = None
) -> Wish:
    """Return the wish a user's words amount to; the bounds are UTC dates or nothing.

    Raises
    ------
    UsageError
        If nothing is chosen, or a date cannot be read or lies behind the other.
    """
    first = parse_moment(start, "--start") if start else None
    last = parse_moment(end, "--end") if end else None
    if first is not None and last is not None and first >= last:
        message = f"--start {start} is not before --end {end}"
        raise UsageError(message)
    if not (choice.names or choice.currencies or choice.indices):
        message = f"nothing of {dataset.name} is named: expected instruments, indices or currencies"
        raise UsageError(message)
    return Wish(dataset, choice, first, last)


def narrowed(wish: Wish, options: pl.DataFrame, now_ms: int) -> Wish:
    """Return a wish for no more than the time in which some options lived.

    Raises
    ------
    UsageError
        If none lived between its bounds.
    """
    asked = Span(wish.start_ms or 0, min(wish.end_ms or now_ms, now_ms))
    span = clip(life_of(options), asked)
    if span.start_ms >= span.end_ms:
        message = f"none of the {len(options):,} options chosen lived between the bounds"
        raise UsageError(message)
    return replace(wish, start_ms=span.start_ms, end_ms=span.end_ms)


def jobs_of(wish: Wish, listing: Listing, note: Callable[[str], object]) -> list[Job]:
    """Return the partitions a wish covers, each with the part of it that is wanted.

    `note` is told what the user should know of it.
    """
    now = listing.now_ms
    _check_past("--start", wish.start_ms, now)
    _check_past("--end", wish.end_ms, now)
    since_ms = max(wish.start_ms or 0, wish.dataset.since_ms)
    span = Span(since_ms, now if wish.end_ms is None else wish.end_ms)
    jobs = []
    for instrument in wish.dataset.choose(listing, wish.choice):
        name = instrument.instrument_name
        for words_ in _notes(wish, instrument, listing):
            note(words_)
        owed = clip(span, Span(instrument.first_asked_ms, min(now, instrument.life.end_ms)))
        jobs += [
            Job(Partition(wish.dataset.name, name, period), wish.dataset, instrument, (part,))
            for period, part in by_period(owed, wish.dataset.period).items()
        ]
    return jobs


def _notes(wish: Wish, instrument: Instrument, listing: Listing) -> list[str]:
    now_ms, missing = listing.now_ms, listing.missing
    name, listed_ms, notes = instrument.instrument_name, instrument.creation_timestamp, []
    if name in missing:
        notes.append(f"{name} is in no list and has not expired: taken as last listed")
    if instrument.is_perpetual and wish.start_ms is not None and wish.start_ms < listed_ms:
        listed = format_moment(listed_ms)
        notes.append(f"{name} was listed {listed} UTC: there is nothing before to fetch")
    if instrument.is_perpetual and instrument.life.end_ms < min(now_ms, wish.end_ms or now_ms):
        ended = format_moment(instrument.life.end_ms)
        notes.append(f"{name} was delisted {ended} UTC: there is nothing after to fetch")
    return notes


def _check_past(name: str, ms: int | None, now_ms: int) -> None:
    if ms is not None and ms > now_ms:
        moment, clock = format_moment(ms), format_moment(now_ms)
        message = f"{name} {moment} is in the future: the exchange's clock says {clock} UTC"
        raise UsageError(message)
