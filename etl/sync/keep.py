"""What the section [keep] of the settings amounts to: which datasets, which of each, since when."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from etl.catalog import DATASETS, computed, find, find_computed, maker_of
from etl.compute.options_greeks import OPTIONS_GREEKS
from etl.config import Keep, KeepOwn
from etl.dataset import Computed, Dataset, Fetched, Snapshot
from etl.errors import UsageError
from etl.instruments import selection
from etl.instruments.chain import Filter
from etl.instruments.selection import Choice, Select
from etl.pipeline import following, made_from
from etl.sources.instruments import INSTRUMENTS
from etl.sources.treasury_bills import TREASURY_BILLS
from etl.when import format_moment, parse_moment

RATES_SINCE = "2016-01-01"
RATES_BEFORE_MS = 14 * 86_400_000  # Greeks of the first day take a rate of the days before
CHAIN = ("expiries", "min_strike", "max_strike")
WORDS: dict[Select, tuple[str, ...]] = {
    selection.perpetuals: ("instruments",),
    selection.futures: ("currencies", "settlement", "instruments"),
    selection.indices: ("indices",),
    selection.currencies: ("currencies", *CHAIN),
    selection.options: ("instruments",),
}
"""The words that choose something of a dataset, by how it is chosen from."""
ANY_WORDS = ("instruments", "currencies", "indices", "settlement")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one dataset that pages are fetched for; `start_ms` None: all there is."""

    dataset: Fetched
    choice: Choice
    start_ms: int | None = None
    options: Filter = field(default_factory=Filter)


@dataclass(frozen=True, slots=True)
class Keeping:
    """All that is kept, in order: what is computed stands after what it is made from.

    `rates_ms` is from when on yields of bills are, None where they are not. With `has_lists` every
    list of instruments is fetched, whether or not anything kept needs it.
    """

    fetched: tuple[Kept, ...]
    computed: tuple[Computed, ...]
    has_lists: bool = False
    rates_ms: int | None = None

    @property
    def datasets(self) -> list[Dataset]:
        """The datasets that are kept, in the order of the catalog."""
        names = {one.dataset.name for one in self.fetched} | {one.name for one in self.computed}
        names |= {INSTRUMENTS.name} if self.has_lists else set()
        names |= {TREASURY_BILLS.name} if self.rates_ms is not None else set()
        return [one for one in DATASETS.values() if one.name in names]

    @property
    def choice(self) -> Choice:
        """Whose lists are needed: of futures by currency, of all that is named."""
        listed = [one for one in self.fetched if one.dataset.is_of_instruments]
        return Choice(
            names=list(dict.fromkeys(name for one in listed for name in one.choice.names)),
            currencies=list(
                dict.fromkeys(word for one in listed for word in one.choice.currencies)
            ),
        )


def keeping_of(keep: Keep, now_ms: int) -> Keeping:
    """Return what a section [keep] amounts to; `now_ms` is our own clock.

    Raises
    ------
    UsageError
        If it names a dataset there is none of, or that is not fetched by asking; a word that
        chooses nothing of a dataset; or a day that is still to come.
    """
    named = _named(keep)
    names = {one.name for one in named}
    names |= made_from({one.name for one in named if isinstance(one, Computed)})
    chosen = [one for one in DATASETS.values() if one.name in names]
    owns = _owns(keep, names)
    made = [one.name for one in (*chosen, *following(names)) if isinstance(one, Computed)]
    fetched = tuple(
        _kept(keep, one, owns.get(one.name, KeepOwn()), now_ms)
        for one in chosen
        if isinstance(one, Fetched)
    )
    has_rates = keep.rates if keep.rates is not None else OPTIONS_GREEKS.name in made
    is_named = any(one is TREASURY_BILLS for one in named)
    own = owns.get(TREASURY_BILLS.name, KeepOwn())
    return Keeping(
        fetched=fetched,
        computed=tuple(one for one in computed() if one.name in made),
        has_lists=any(one is INSTRUMENTS for one in named),
        rates_ms=_rates_ms(keep, own, now_ms) if has_rates or is_named else None,
    )


def _named(keep: Keep) -> list[Dataset]:
    """Return the datasets that are named, those that are computed of them among them."""
    named = [_found(name) for name in keep.datasets]
    if keep.computed != "all":
        return [*named, *(find_computed(name) for name in keep.computed)]
    held = {one.name for one in named}
    for one in computed():
        asked = {name for name in one.inputs if not isinstance(DATASETS[name], Snapshot)}
        if asked <= held:
            held.add(one.name)
            named.append(one)
    return named


def _found(name: str) -> Dataset:
    found = find(name)
    if isinstance(found, Snapshot) and found not in (INSTRUMENTS, TREASURY_BILLS):
        message = f"keep.datasets: {found.name} is true of its moment only: run {maker_of(found)}"
        raise UsageError(message)
    return found


def _owns(keep: Keep, names: Iterable[str]) -> dict[str, KeepOwn]:
    """Return what is said of single datasets, by their names."""
    owns: dict[str, KeepOwn] = {}
    for word, own in (keep.model_extra or {}).items():
        found = find(word)
        if isinstance(found, Computed):
            message = (
                f"[keep.{word}]: {found.name} is computed; say it of {', '.join(found.inputs)}"
            )
            raise UsageError(message)
        if found.name in owns:
            message = f"{found.name} has two tables, [keep.{word}] and one more: put them together"
            raise UsageError(message)
        if found.name not in names:
            message = f"[keep.{word}]: {found.name} is not kept: name it in keep.datasets"
            raise UsageError(message)
        known = ("since", *_words(found))
        for given in sorted(own.model_fields_set - {*known}):
            message = f"keep.{word}.{given}: {found.name} takes {', '.join(known)}"
            raise UsageError(message)
        owns[found.name] = own
    return owns


def _words(dataset: Dataset) -> Sequence[str]:
    return WORDS.get(dataset.select, ANY_WORDS) if isinstance(dataset, Fetched) else ()


def _kept(keep: Keep, dataset: Fetched, own: KeepOwn, now_ms: int) -> Kept:
    words = _words(dataset)
    usual = keep.instruments if dataset.kind == "perpetual" else ()
    names = (own.instruments or usual) if "instruments" in words else ()
    named = (own.indices or keep.indices) if "indices" in words else ()
    currencies = (own.currencies or keep.currencies) if "currencies" in words else ()
    choice = Choice(
        names=list(dict.fromkeys((*names, *named))),
        currencies=list(dict.fromkeys(currencies)),
        periods=own.settlement,
    )
    if not (choice.names or choice.currencies):
        message = f"nothing of {dataset.name} is named: say instruments in [keep.{dataset.name}]"
        raise UsageError(message)
    options = Filter(expiries=own.expiries, low=own.min_strike, high=own.max_strike)
    return Kept(dataset, choice, _since_ms(keep, own, dataset.name, now_ms), options)


def _since_ms(keep: Keep, own: KeepOwn, name: str, now_ms: int) -> int | None:
    day, where = (own.since, f"keep.{name}.since") if own.since else (keep.since, "keep.since")
    return None if day is None else _past_ms(day, where, now_ms)


def _past_ms(day: dt.date, where: str, now_ms: int) -> int:
    start_ms = parse_moment(day.isoformat(), where)
    if start_ms > now_ms:
        message = f"{where} {day} is in the future: it is {format_moment(now_ms)} UTC"
        raise UsageError(message)
    return start_ms


def _rates_ms(keep: Keep, own: KeepOwn, now_ms: int) -> int:
    first_ms = parse_moment(RATES_SINCE, "rates")
    if own.since:
        return _past_ms(own.since, f"keep.{TREASURY_BILLS.name}.since", now_ms)
    if keep.since is None:
        return first_ms
    return max(first_ms, _past_ms(keep.since, "keep.since", now_ms) - RATES_BEFORE_MS)
