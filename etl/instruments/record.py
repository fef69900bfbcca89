"""What the exchange says of an instrument, and of all it lists: find one by name, know its life."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated

import msgspec

from etl.errors import UsageError
from etl.instruments.names import Kind, kind_by_name, parse_name
from lake.span import Span

NEVER_MS = 32_503_680_000_000  # the exchange writes the year 3000 for "does not expire"
EXCHANGE_DAY_MS = 8 * 3_600_000
DAY_MS = 24 * 3_600_000
LAST_MS = 253_402_300_799_999  # the last moment of the year 9999, the last a calendar can say
KINDS = ("future", "option", "spot", "future_combo", "option_combo")  # as records say it
FORMER = ("SOL",)  # nothing living settles in these any more; the history host knows what did
ANY = "any"  # all currencies, in Deribit's word
TOLD = 3  # of what is left out, by name; of the rest the number


Moment = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Word = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[  # it names files, whose names have 255 bytes at most
    str, msgspec.Meta(pattern=r"^[^./\x00-\x1f][^/\x00-\x1f]*$", max_length=120)
]
Step = Annotated[float, msgspec.Meta(gt=0)]


class Instrument(msgspec.Struct, frozen=True):
    """What the exchange says of one instrument; members not named here are kept in raw.

    A state or a kind that this version does not know is kept as it is said.
    """

    instrument_name: Name
    kind: Word
    creation_timestamp: Moment
    tick_size: Step
    settlement_period: str | None = None
    settlement_currency: str | None = None
    expiration_timestamp: Moment | None = None
    price_index: str | None = None
    instrument_id: Number | None = None
    base_currency: str | None = None
    quote_currency: str | None = None
    counter_currency: str | None = None
    instrument_type: str | None = None
    contract_size: float | None = None
    min_trade_amount: float | None = None
    strike: float | None = None
    option_type: str | None = None
    state: str | None = None
    is_active: bool | None = None
    is_cbe_routed: bool | None = None
    is_csr: bool | None = None  # what `is_cbe_routed` is called, too

    @property
    def is_perpetual(self) -> bool:
        """Whether it has no expiry of its own; it may be taken off the list all the same."""
        return self.settlement_period == "perpetual"

    @property
    def is_routed(self) -> bool:
        """Whether it is traded on Coinbase: Deribit has no trades and no candles of it."""
        return bool(self.is_cbe_routed or self.is_csr)

    @property
    def life(self) -> Span:
        """From listing to expiry, in Unix milliseconds.

        A perpetual that was delisted has an end before the year 3000 too.
        """
        end = self.expiration_timestamp
        return Span(self.creation_timestamp, NEVER_MS if end is None else min(end, NEVER_MS))

    @property
    def first_asked_ms(self) -> int:
        """The start of the day it was listed on, at 00:00 or 08:00, whichever is earlier.

        Candles of some resolutions start their day at the one, some at the other: the first that
        describes any of its life starts no earlier.
        """
        midnight = self.creation_timestamp // DAY_MS * DAY_MS
        exchange_day = (self.creation_timestamp - EXCHANGE_DAY_MS) // DAY_MS * DAY_MS
        return min(midnight, exchange_day + EXCHANGE_DAY_MS)


def always(name: str) -> Instrument:
    """Return what was always there, as if it were an instrument: a currency, say."""
    return Instrument(name, "currency", 0, tick_size=0.0)


@dataclass(frozen=True, slots=True)
class Listing:
    """All listed futures, and the exchange's clock when it listed them.

    `missing` were listed lately, have not expired and are not in the newest list; `aside` stand in
    it and cannot be used, or are nothing a dataset has, with the reason of each.
    """

    now_ms: int
    instruments: dict[str, Instrument]
    missing: tuple[str, ...] = ()
    aside: Mapping[str, str] = field(default_factory=dict, compare=False)

    def notes(self) -> list[str]:
        """Return what the user should know of the newest list."""
        told = [f"{name} is left out: {why}" for name, why in islice(self.aside.items(), TOLD)]
        rest = len(self.aside) - len(told)
        return [*told, f"{rest:,} more are left out of the list of instruments"] if rest else told

    def kind_of(self, name: str) -> Kind:
        """Return what an instrument is: by its record, else by the grammar of names."""
        found = self.instruments.get(name)
        if found is None:
            return kind_by_name(name)
        return "perpetual" if found.is_perpetual else found.kind  # type: ignore[return-value]

    def index_of(self, perpetual: str) -> str:
        """Return the index a perpetual follows: by its record, else by the grammar of names."""
        found = self.instruments.get(perpetual)
        if found is not None and found.price_index:
            return found.price_index
        said = parse_name(perpetual)
        return f"{said.base}_{said.counter or 'usd'}".lower()

    def expiry_ms(self, name: str) -> int:
        """Return when an instrument expires [ms]: by its record, else by its name.

        Raises
        ------
        UsageError
            If it has neither a record nor a name that says it.
        """
        found = self.instruments.get(name)
        if found is not None:
            return found.life.end_ms
        expiry = parse_name(name).expiry
        if expiry is None:
            message = f"{name} has no record, and its name tells no expiry"
            raise UsageError(message)
        return round(expiry.timestamp() * 1000)

    def perpetual(self, name: str) -> Instrument:
        """Return the perpetual of that name.

        Raises
        ------
        UsageError
            If there is none; the message names the nearest.
        """
        found = self.instruments.get(name)
        if found is not None and found.is_perpetual:
            return found
        names = [one.instrument_name for one in self.instruments.values() if one.is_perpetual]
        near = difflib.get_close_matches(name.upper(), names, n=3, cutoff=0.5) or sorted(names)[:5]
        message = f"{self.lacks(name, 'perpetual')}; nearest: {', '.join(near) or 'none listed'}"
        raise UsageError(message)

    def find(self, name: str) -> Instrument | None:
        """Return the instrument or index of that name, or None."""
        return self.instruments.get(name) or self._index(name)

    def index(self, name: str) -> Instrument:
        """Return an index as if it were an instrument: listed with its first perpetual.

        Raises
        ------
        UsageError
            If no perpetual follows it.
        """
        found = self._index(name)
        if found is None:
            followed = {one.price_index for one in self.instruments.values() if one.is_perpetual}
            check_words("no perpetual follows an index", [name], followed)
            message = f"no index {name!r}"
            raise UsageError(message)
        return found

    def followers(self, index: str) -> list[Instrument]:
        """Return the perpetuals that follow an index, by name.

        Raises
        ------
        UsageError
            If there is none.
        """
        self.index(index)
        found = [
            one
            for one in self.instruments.values()
            if one.is_perpetual and one.price_index == index
        ]
        return sorted(found, key=lambda one: one.instrument_name)

    def _index(self, name: str) -> Instrument | None:
        listed = [
            one.creation_timestamp
            for one in self.instruments.values()
            if one.is_perpetual and one.price_index == name
        ]
        return Instrument(name, "index", min(listed), tick_size=0.0) if listed else None

    def lacks(self, name: str, kind: Kind) -> str:
        """Return why there is nothing of that kind and name."""
        if name in self.aside and name not in self.instruments:
            return f"{name} is left out: {self.aside[name]}"
        found = self.kind_of(name)
        if found not in (kind, "index"):
            article = "an" if found.startswith("o") else "a"
            said = "" if name in self.instruments else " by its name"
            return f"{name} is {article} {found}{said}: no {kind} {name!r}"
        return f"no instrument {name!r}"

    def futures(self, currencies: Sequence[str], periods: Sequence[str] = ()) -> list[Instrument]:
        """Return the dated futures that settle in some currencies, in order of expiry.

        `periods` chooses settlement periods; without any, all are meant. The currency ``any``
        means all of them.

        Raises
        ------
        UsageError
            If no dated future settles in a currency, or none has a settlement period.
        """
        dated = [
            one
            for one in self.instruments.values()
            if one.kind == "future" and not one.is_perpetual
        ]
        settled = {one.settlement_currency for one in dated}
        named = [currency for currency in currencies if currency != ANY]
        check_words("no dated future settles in", named, settled)
        check_words(
            "no dated future has settlement period",
            periods,
            {one.settlement_period for one in dated},
        )
        chosen = [
            one
            for one in dated
            if (one.settlement_currency in currencies or ANY in currencies)
            and (not periods or one.settlement_period in periods)
        ]
        return sorted(chosen, key=lambda one: (one.life.end_ms, one.instrument_name))


def check_words(what: str, words: Sequence[str], known: set[str | None]) -> None:
    """Raise UsageError at the first of some words that is not among those known."""
    unknown = [word for word in words if word not in known]
    if unknown:
        there = ", ".join(sorted(filter(None, known))) or "none"
        message = f"{what} {unknown[0]!r}; there are: {there}"
        raise UsageError(message)
