"""Which instruments a user means: perpetuals by name or index, futures by currency, indices."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etl.errors import UsageError
from etl.instruments.record import ANY, FORMER, Instrument, Listing, always, check_words


@dataclass(frozen=True, slots=True)
class Choice:
    """Words that choose instruments.

    Dated futures are chosen by `currencies` and settlement `periods`; `names` then picks some of
    them, or all where it is empty. Perpetuals may be chosen by the indices they follow.
    """

    names: Sequence[str] = ()
    currencies: Sequence[str] = ()
    periods: Sequence[str] = ()
    indices: Sequence[str] = ()


Select = Callable[[Listing, Choice], list[Instrument]]


def perpetuals(listing: Listing, choice: Choice) -> list[Instrument]:
    """Return the perpetuals that are named, or follow an index that is.

    Raises
    ------
    UsageError
        If there is no such perpetual or index.
    """
    followers = (one for index in choice.indices for one in listing.followers(index))
    names = [*choice.names, *(one.instrument_name for one in followers)]
    return [listing.perpetual(name) for name in dict.fromkeys(names)]


def futures(listing: Listing, choice: Choice) -> list[Instrument]:
    """Return the dated futures of some currencies, in order of expiry, or those of them named.

    Raises
    ------
    UsageError
        If there is no such future, currency or settlement period.
    """
    found = listing.futures(choice.currencies, choice.periods)
    known = {future.instrument_name: future for future in found}
    for name in choice.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or [found[-1].instrument_name]
            said = listing.lacks(name, "future")
            what = f"no such future {name!r} was listed" if said.startswith("no ") else said
            message = f"{what}; nearest: {', '.join(near)}"
            raise UsageError(message)
    return [known[name] for name in dict.fromkeys(choice.names)] if choice.names else found


def indices(listing: Listing, choice: Choice) -> list[Instrument]:
    """Return the indices that are named, as if they were instruments.

    Raises
    ------
    UsageError
        If no perpetual follows one of them.
    """
    return [listing.index(name) for name in dict.fromkeys(choice.names)]


def currencies(listing: Listing, choice: Choice) -> list[Instrument]:
    """Return settlement currencies, as if they were instruments that were always there.

    Raises
    ------
    UsageError
        If nothing settles in one of them.
    """
    settled = {one.settlement_currency for one in listing.instruments.values()}
    known = {word for word in settled if word} | {*FORMER}
    named = [word for word in choice.currencies if word != ANY]
    check_words("nothing settles in", named, {*known})
    chosen = sorted(known) if ANY in choice.currencies else dict.fromkeys(named)
    return [always(word) for word in chosen]


def options(listing: Listing, choice: Choice) -> list[Instrument]:
    """Return the options that are named, as the lists have them.

    Raises
    ------
    UsageError
        If no list has one of them.
    """
    for name in choice.names:
        found = listing.instruments.get(name)
        if found is None or found.kind != "option":
            message = f"{listing.lacks(name, 'option')} in the lists"
            raise UsageError(message)
    return [listing.instruments[name] for name in dict.fromkeys(choice.names)]
