"""instrument.state and instrument.creation: what is listed, delivered and put away.

A book says `open` when it is listed; at expiry `settlement`, some seconds later `delivered` and
after a minute `archivized`, as the documentation has the states; how long each takes is assumed.
The daily settlement of everything else is not told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from tests.exchange import options
from tests.exchange.listing import BY_NAME, INSTRUMENTS
from tests.exchange.market import Market
from tests.exchange.option_market.chain import Chain, chain
from tests.exchange.option_market.families import FAMILIES
from tests.exchange.trades import Ints

_AT_THE_END = ((0, "settlement"), (3_000, "delivered"), (60_000, "archivized"))

Happening = tuple[int, str, str]


@dataclass(frozen=True)
class Lives:
    """When some instruments are listed and expire; both arrays have shape (n,) [Unix ms]."""

    names: list[str]
    creation_ms: Ints
    expiration_ms: Ints

    @cached_property
    def by_creation(self) -> Ints:
        """Their order of listing."""
        return np.argsort(self.creation_ms, kind="stable")

    @cached_property
    def by_expiration(self) -> Ints:
        """Their order of expiry."""
        return np.argsort(self.expiration_ms, kind="stable")

    def listed(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, str]]:
        """Yield moment and name of what is listed in a window."""
        yield from self._between(self.creation_ms, self.by_creation, start_ms, end_ms)

    def expired(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, str]]:
        """Yield moment and name of what expires in a window."""
        yield from self._between(self.expiration_ms, self.by_expiration, start_ms, end_ms)

    def _between(
        self, moments: Ints, order: Ints, start_ms: int, end_ms: int
    ) -> Iterator[tuple[int, str]]:
        rows = order[slice(*np.searchsorted(moments, [start_ms, end_ms], sorter=order))]
        for row in rows.tolist():
            yield int(moments[row]), self.names[row]


def lives_of(seed: int, kind: str, currency: str) -> tuple[Lives, ...]:
    """Return the lives of what is of a kind and settles in a currency; both may be `any`."""
    found = []
    if kind in {"future", "any"}:
        futures = [one for one in INSTRUMENTS if currency in ("any", one.settlement_currency)]
        found.append(
            Lives(
                [one.name for one in futures],
                np.array([one.creation_ms for one in futures], dtype=np.int64),
                np.array([one.expiration_ms for one in futures], dtype=np.int64),
            )
        )
    if kind in {"option", "any"}:
        families = [one for one in FAMILIES if currency in ("any", one.settlement_currency)]
        found += [_of_chain(chain(seed, family.name)) for family in families]
    return tuple(found)


def _of_chain(one: Chain) -> Lives:
    return Lives(one.names, one.creation_ms, one.expiration_ms)


@dataclass(frozen=True)
class States:
    """instrument.state.{kind}.{currency}."""

    lives: tuple[Lives, ...]

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing."""
        return []

    def between(self, _market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the states of a window."""
        return [
            orjson.dumps({"timestamp": ms, "state": state, "instrument_name": name})
            for ms, name, state in sorted(self._happened(start_ms, end_ms), key=lambda one: one[0])
        ]

    def _happened(self, start_ms: int, end_ms: int) -> Iterator[Happening]:
        for lives in self.lives:
            yield from ((ms, name, "open") for ms, name in lives.listed(start_ms, end_ms))
            for later, state in _AT_THE_END:
                for ms, name in lives.expired(start_ms - later, end_ms - later):
                    yield ms + later, name, state


@dataclass(frozen=True)
class Creations:
    """instrument.creation.{kind}.{currency}: the record of what is listed, with a timestamp."""

    lives: tuple[Lives, ...]

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing."""
        return []

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the records of what is listed in a window."""
        listed = [one for lives in self.lives for one in lives.listed(start_ms, end_ms)]
        return [
            orjson.dumps(_record(market.at(ms), name) | {"timestamp": ms})
            for ms, name in sorted(listed)
        ]


def _record(market: Market, name: str) -> dict[str, Any]:
    future = BY_NAME.get(name)
    found = future.record(market.now_ms) if future else options.record(market, name)
    assert found is not None
    return found
