"""Every instrument the exchange ever listed, as it was: intervals of validity by instrument id.

A fold over the lists of instruments that were staged, in the order they came. What a list no
longer has is kept, and said to have vanished; an answer that did not come says nothing at all. A
candle finds its instrument by name and moment: ``valid_from <= timestamp < valid_to``.
"""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from etl.instruments.answers import Odd, decode, read_answer
from etl.instruments.record import KINDS, TOLD, Instrument
from etl.instruments.records import Records


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
    """A record as it held from `from_us` on [µs]: its number alone, for there are 300,000.

    Records of one `mark` are the same to the byte.
    """

    record: int
    mark: int
    from_us: int
    first_us: int
    last_us: int
    lists: frozenset[str]


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

    records: Records = field(default_factory=Records)
    intervals: dict[int, list[Interval]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)  # scope of a list: when it last came [µs]
    segments: set[str] = field(default_factory=set)
    aside: list[Aside] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)  # why no other dataset has it, by name

    def listed(self, interval: Interval) -> Instrument:
        """Return what the record of an interval says."""
        return decode(self.records[interval.record])

    def is_same(self, interval: Interval, record: bytes) -> bool:
        """Whether a record says what that of an interval does, in whatever order."""
        if interval.mark == hash(record):
            return True
        try:
            before = msgspec.json.decode(self.records[interval.record])
            return bool(before == msgspec.json.decode(record))
        except msgspec.DecodeError:  # a member nobody reads, as a number that is too large
            return False

    def add(
        self, id_: int, record: bytes, moments: tuple[int, int, int], lists: frozenset[str]
    ) -> Interval:
        """Return a new interval, the last of its instrument."""
        one = Interval(self.records.add(record), hash(record), *moments, lists)
        self.intervals.setdefault(id_, []).append(one)
        return one


def fold(history: History, answers: Iterable[ListAnswer]) -> History:
    """Fold lists of instruments, in order of time, into what is known already.

    A record that cannot be used is set aside, and nothing else is.
    """
    for answer in answers:
        scope = f"{answer.kind} {answer.currency} {'expired' if answer.is_expired else 'living'}"
        history.heard[scope] = max(answer.heard_us, history.heard.get(scope, 0))
        ids: set[int] = set()
        for record, found in read_answer(answer.body):
            odd = _odd(history, record, found, ids)
            if odd is not None:
                history.aside.append(Aside(scope, answer.heard_us, odd))
            elif isinstance(found, Instrument) and found.instrument_id is not None:
                ids.add(found.instrument_id)
                _see(history, record, found, scope=scope, heard_us=answer.heard_us)
                if why := _apart(found):
                    history.apart[found.instrument_name] = why
    return history


def _apart(found: Instrument) -> str:
    """Return why no dataset but this has anything of an instrument, or nothing."""
    if found.is_routed:
        return "traded on Coinbase: Deribit has no trades and no candles of it"
    return "" if found.kind in KINDS else f"of a kind this version does not know: {found.kind!r}"


def _odd(
    history: History, record: bytes, found: Instrument | Odd, ids: Container[int]
) -> Odd | None:
    """Return what keeps a record out of the history, after the `ids` its list had before it."""
    if isinstance(found, Odd):
        return found
    if found.instrument_id is None:
        return Odd(found.instrument_name, "it has no instrument_id")
    id_ = found.instrument_id
    if id_ in ids and not history.is_same(history.intervals[id_][-1], record):
        return Odd(found.instrument_name, f"instrument_id {id_} comes twice")
    return None


def _see(history: History, record: bytes, found: Instrument, *, scope: str, heard_us: int) -> None:
    id_ = found.instrument_id or 0
    held = history.intervals.get(id_)
    last = held[-1] if held else None
    if last is None or not history.is_same(last, record):
        start = found.creation_timestamp * 1000
        if last is not None:  # the exchange's clock may have gone back: an interval does not
            start = max(heard_us, last.from_us + 1)
        lists = last.lists if last else frozenset()
        last = history.add(id_, record, (start, heard_us, heard_us), lists)
    last.last_us = max(heard_us, last.last_us)
    last.lists = _with(last.lists, scope)


@lru_cache
def _with(lists: frozenset[str], scope: str) -> frozenset[str]:
    """Return the lists with one more, the same object each time."""
    return lists | {scope}


def vanished(history: History) -> list[str]:
    """Return the names of instruments a later list should have had and does not, sorted.

    A living one should be in the latest list of living ones unless it expired before that; an
    expired one that was in a list of expired ones should be in the latest of them. What the latest
    list has and cannot be used has not vanished.
    """
    odd = {one.odd.name for one in history.aside if one.heard_us == history.heard.get(one.scope)}
    found = (
        history.listed(held[-1]).instrument_name
        for held in history.intervals.values()
        if _is_missed(history, held[-1])
    )
    return sorted(name for name in found if name not in odd)


def _is_missed(history: History, last: Interval) -> bool:
    heard = history.heard
    scopes = [scope for scope in last.lists if heard[scope] > last.last_us]
    end = history.listed(last).expiration_timestamp if scopes else None
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
