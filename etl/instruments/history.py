"""Every instrument the exchange ever listed, as it was: intervals of validity by instrument id.

A fold over the lists of instruments that were staged, in the order they came. What a list no
longer has is kept, and said to have vanished; an answer that did not come says nothing at all. A
candle finds its instrument by name and moment: ``valid_from <= timestamp < valid_to``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """The members of a record that have a column of their own."""

    instrument_id: int
    instrument_name: str
    kind: str
    creation_timestamp: int
    tick_size: float
    base_currency: str | None = None
    quote_currency: str | None = None
    counter_currency: str | None = None
    settlement_currency: str | None = None
    settlement_period: str | None = None
    instrument_type: str | None = None
    price_index: str | None = None
    expiration_timestamp: int | None = None
    contract_size: float | None = None
    min_trade_amount: float | None = None
    strike: float | None = None
    option_type: str | None = None
    state: str | None = None
    is_active: bool | None = None


class _Named(msgspec.Struct, frozen=True):
    instrument_id: int
    creation_timestamp: int


class _Envelope(msgspec.Struct):
    result: list[msgspec.Raw]


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
decode_named = msgspec.json.Decoder(_Named).decode
_decode_listed = msgspec.json.Decoder(Listed).decode


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

    def listed(self) -> Listed:
        """Return what the record says."""
        return _decode_listed(self.record)


@dataclass(slots=True)
class History:
    """Intervals by instrument id, in order of time, and what is known of the lists."""

    intervals: dict[int, list[Interval]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)  # scope of a list: when it last came [µs]
    segments: set[str] = field(default_factory=set)


def fold(history: History, answers: Iterable[ListAnswer]) -> History:
    """Fold lists of instruments, in order of time, into what is known already."""
    for answer in answers:
        scope = f"{answer.kind} {answer.currency} {'expired' if answer.is_expired else 'living'}"
        history.heard[scope] = answer.heard_us
        for one in _decode_envelope(answer.body).result:
            _see(history, bytes(one), scope, answer.heard_us)
    return history


def _see(history: History, record: bytes, scope: str, heard_us: int) -> None:
    named = decode_named(record)
    held = history.intervals.setdefault(named.instrument_id, [])
    last = held[-1] if held else None
    if last is None or not _is_same(last.record, record):
        start = named.creation_timestamp * 1000 if last is None else heard_us
        lists = last.lists if last else frozenset()
        last = Interval(record, start, heard_us, heard_us, lists)
        held.append(last)
    last.last_us = heard_us
    last.lists = _with(last.lists, scope)


@lru_cache
def _with(lists: frozenset[str], scope: str) -> frozenset[str]:
    """Return the lists with one more, the same object each time."""
    return lists | {scope}


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two records say the same, in whatever order."""
    return one == other or msgspec.json.decode(one) == msgspec.json.decode(other)


def vanished(history: History) -> list[str]:
    """Return the names of instruments a later list should have had and does not, sorted.

    A living one should be in the latest list of living ones unless it expired before that; an
    expired one that was in a list of expired ones should be in the latest of them.
    """
    return sorted(
        held[-1].listed().instrument_name
        for held in history.intervals.values()
        if _is_missed(held[-1], history.heard)
    )


def _is_missed(last: Interval, heard: dict[str, int]) -> bool:
    scopes = [scope for scope in last.lists if heard[scope] > last.last_us]
    end = last.listed().expiration_timestamp if scopes else None
    return any(
        scope.endswith("expired") or end is None or end * 1000 > heard[scope] for scope in scopes
    ) and not any(heard[scope] == last.last_us for scope in last.lists)
