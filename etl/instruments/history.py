"""Every instrument the exchange ever listed, as it was: intervals of validity by instrument id.

A fold over the lists of instruments that were staged, in the order they came. What a list no
longer has is kept, and said to have vanished; an answer that did not come says nothing at all. A
candle finds its instrument by name and moment: ``valid_from <= timestamp < valid_to``.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from etl.instruments.answers import Odd, decode, read_answer
from etl.instruments.record import KINDS, TOLD, Instrument


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """One list of instruments: of which kind and currency, expired or living, heard when [µs]."""

    kind: str
    currency: str
    is_expired: bool
    heard_us: int
    body: bytes


@dataclass(slots=True)
class Interval:
    """A record as it held from `from_us` on [µs]: bytes alone, for there are a hundred thousand."""

    record: bytes
    from_us: int
    first_us: int
    last_us: int
    lists: frozenset[str]

    def listed(self) -> Instrument:
        """Return what the record says."""
        return decode(self.record)


@dataclass(frozen=True, slots=True)
class Aside:
    """A record that was set aside: of which list, heard when [µs], and what is odd about it."""

    scope: str
    heard_us: int
    odd: Odd


@dataclass(slots=True)
class History:
    """Intervals by instrument id, in order of time, and what is known of the lists.

    `aside` and `apart` are of the lists folded just now, and told; they are not kept.
    """

    intervals: dict[int, list[Interval]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)  # scope of a list: when it last came [µs]
    segments: set[str] = field(default_factory=set)
    aside: list[Aside] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)  # why no other dataset has it, by name


def fold(history: History, answers: Iterable[ListAnswer]) -> History:
    """Fold lists of instruments, in order of time, into what is known already.

    A record that cannot be used is set aside, and nothing else is.
    """
    for answer in answers:
        scope = f"{answer.kind} {answer.currency} {'expired' if answer.is_expired else 'living'}"
        history.heard[scope] = max(answer.heard_us, history.heard.get(scope, 0))
        records: dict[int, bytes] = {}
        for record, found in read_answer(answer.body):
            odd = _odd(record, found, records)
            if odd is not None:
                history.aside.append(Aside(scope, answer.heard_us, odd))
            elif isinstance(found, Instrument) and found.instrument_id is not None:
                records[found.instrument_id] = record
                _see(history, record, found, scope=scope, heard_us=answer.heard_us)
                if why := _apart(found):
                    history.apart[found.instrument_name] = why
    return history


def _apart(found: Instrument) -> str:
    """Return why no dataset but this has anything of an instrument, or nothing."""
    if found.is_routed:
        return "traded on Coinbase: Deribit has no trades and no candles of it"
    return "" if found.kind in KINDS else f"of a kind this version does not know: {found.kind!r}"


def _odd(record: bytes, found: Instrument | Odd, records: dict[int, bytes]) -> Odd | None:
    """Return what keeps a record out of the history, beside those its list had before it."""
    if isinstance(found, Odd):
        return found
    if found.instrument_id is None:
        return Odd(found.instrument_name, "it has no instrument_id")
    before = records.get(found.instrument_id)
    if before is not None and not _is_same(before, record):
        return Odd(found.instrument_name, f"instrument_id {found.instrument_id} comes twice")
    return None


def _see(history: History, record: bytes, found: Instrument, *, scope: str, heard_us: int) -> None:
    held = history.intervals.setdefault(found.instrument_id or 0, [])
    last = held[-1] if held else None
    if last is None or not _is_same(last.record, record):
        start = found.creation_timestamp * 1000
        if last is not None:  # the exchange's clock may have gone back: an interval does not
            start = max(heard_us, last.from_us + 1)
        lists = last.lists if last else frozenset()
        last = Interval(record, start, heard_us, heard_us, lists)
        held.append(last)
    last.last_us = max(heard_us, last.last_us)
    last.lists = _with(last.lists, scope)


@lru_cache
def _with(lists: frozenset[str], scope: str) -> frozenset[str]:
    """Return the lists with one more, the same object each time."""
    return lists | {scope}


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two records say the same, in whatever order."""
    if one == other:
        return True
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except msgspec.DecodeError:  # a member nobody reads, as a number that is too large
        return False


def vanished(history: History) -> list[str]:
    """Return the names of instruments a later list should have had and does not, sorted.

    A living one should be in the latest list of living ones unless it expired before that; an
    expired one that was in a list of expired ones should be in the latest of them. What the latest
    list has and cannot be used has not vanished.
    """
    odd = {one.odd.name for one in history.aside if one.heard_us == history.heard.get(one.scope)}
    found = (
        held[-1].listed().instrument_name
        for held in history.intervals.values()
        if _is_missed(held[-1], history.heard)
    )
    return sorted(name for name in found if name not in odd)


def _is_missed(last: Interval, heard: dict[str, int]) -> bool:
    scopes = [scope for scope in last.lists if heard[scope] > last.last_us]
    end = last.listed().expiration_timestamp if scopes else None
    return any(
        scope.endswith("expired") or end is None or end * 1000 > heard[scope] for scope in scopes
    ) and not any(heard[scope] == last.last_us for scope in last.lists)


def notes(history: History) -> list[str]:
    """Return what the user should know of the lists that were folded just now."""
    told = [
        f"{one.odd.name} in the list {one.scope} is set aside: {one.odd.reason}"
        for one in history.aside[:TOLD]
    ]
    rest = len(history.aside) - len(told)
    if rest:
        told.append(f"{rest:,} more records are set aside")
    reasons = Counter(history.apart.values())
    return told + [
        f"{number:,} {'is' if number == 1 else 'are'} {why}"
        for why, number in sorted(reasons.items())
    ]
