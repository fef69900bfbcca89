"""The lists of instruments: living ones, those that expired, as fetched and as last staged."""

import asyncio
import re
from collections.abc import Collection, Iterable, Sequence

from etl.deribit.answer import OK
from etl.deribit.client import DeribitClient
from etl.deribit.request import Request
from etl.errors import DeribitError, RateLimitedError, TransientError, UsageError
from etl.instruments.answers import check, check_filled, read_answer
from etl.instruments.names import settles_in
from etl.instruments.record import ANY, FORMER, KINDS, Instrument, Listing
from lake import raw
from lake.paths import Lake
from lake.span import Span
from lake.store.files import matching
from lake.store.together import each

METHOD = "public/get_instruments"
LATELY = 32  # lists that are looked through for an instrument the newest one lacks
_CURRENCY = re.compile(r"[A-Z0-9]{1,20}")

Found = dict[str, Instrument]


async def fetch_listing(
    client: DeribitClient,
    lake: Lake,
    expired_of: Sequence[str] = (),
    names: Collection[str] = (),
) -> Listing:
    """Return the listed futures, staged as they came.

    With currencies in `expired_of`, those that expired too, as the history host lists them;
    ``any`` is all that ever settled one. Of the instruments and indices in `names` that no living
    list has, the history host is asked as well: they may have expired, or been delisted. What an
    earlier list had and this one lacks is kept, and named in `missing` unless it has expired: a
    list that shrinks does not undo a life.

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    """
    before = await asyncio.to_thread(_lately, lake)
    attempt = await client.call(living_request(lake, "future"))
    now_us = attempt.us_out or attempt.fetched_at
    client.take_clock(now_us)
    living, aside = _read(attempt.body or b"")
    named = {word for word in expired_of if word != ANY}
    for currency in expired_of:
        check_currency(currency, settled((before | living).values()))
    wanted = named | _elsewhere(names, living)
    if ANY in expired_of:
        wanted |= {*await asyncio.to_thread(ever_settled, lake, settled(living.values()))}
    expired: Found = await asyncio.to_thread(_expired, lake) if wanted else {}
    for currency in sorted(wanted):
        answer = await fetch_expired(client, lake, "future", currency)
        if isinstance(answer, bytes):
            found, odd = _read(answer)
            expired |= found
            aside |= odd
        elif currency in named:
            raise unknown(currency, settled((before | living | expired).values()), answer)
    missing = sorted(
        name
        for name in before.keys() - living.keys() - expired.keys() - aside.keys()
        if before[name].life.end_ms > now_us // 1000
    )
    return Listing(now_us // 1000, before | expired | living, tuple(missing), aside)


async def fetch_expired(
    client: DeribitClient, lake: Lake, kind: str, currency: str
) -> bytes | DeribitError:
    """Return the list of all that ever expired of a kind and currency, staged as it came.

    Where the exchange refuses the currency, for it knows none of that name, how it says so.

    Raises
    ------
    RateLimitedError, TransientError, UnavailableError
        If it does not answer now.
    """
    request = expired_request(lake, kind, currency)
    try:
        return (await client.call(request)).body or b""
    except (RateLimitedError, TransientError):
        raise
    except DeribitError as error:
        return error


def living_request(lake: Lake, kind: str) -> Request:
    """Return the request for the list of what lives of a kind, in all currencies."""
    params = {"currency": ANY, "kind": kind, "expired": "false"}
    folder = lake.raw("get_instruments", currency=ANY, kind=kind)
    return Request(METHOD, params, Span(0, 0), folder, check_filled if kind == "future" else check)


def expired_request(lake: Lake, kind: str, currency: str) -> Request:
    """Return the request for the list of all that ever expired of a kind and currency."""
    params = {"currency": currency, "kind": kind, "expired": "true", "include_old": "true"}
    folder = lake.raw("get_instruments", kind=kind, expired="true", currency=currency)
    return Request(METHOD, params, Span(0, 0), folder, check, on_history=True)


def ever_settled(lake: Lake, found: Collection[str] = ()) -> list[str]:
    """Return the currencies that something staged ever settled in, and those of old, sorted."""
    return sorted({*settled((_lately(lake) | _expired(lake)).values()), *found, *FORMER})


def settled(found: Iterable[Instrument]) -> set[str]:
    """Return the currencies some instruments settle in, so far as they can be currencies."""
    words = (one.settlement_currency or "" for one in found)
    return {word for word in words if _CURRENCY.fullmatch(word)}


def staged_listing(lake: Lake) -> Listing:
    """Return the instruments as last staged, for work without the exchange; none if never."""
    found = raw.latest(living_request(lake, "future").folder, OK)
    if found is None:
        return Listing(0, _expired(lake))
    us_out, body = found
    living, aside = _read(body)
    return Listing((us_out or 0) // 1000, _lately(lake) | _expired(lake) | living, aside=aside)


def check_currency(currency: str, known: Collection[str]) -> None:
    """Raise UsageError where a word can be no currency: it names a folder, too."""
    if currency != ANY and not _CURRENCY.fullmatch(currency):
        raise unknown(currency, known)


def unknown(
    currency: str, known: Collection[str], refusal: DeribitError | None = None
) -> UsageError:
    """Return the error of a currency nobody knows, with those there are."""
    why = f" ({refusal})" if refusal else ""
    there = ", ".join(sorted(known)) or "none"
    return UsageError(f"no currency {currency!r}; there are: {there}{why}")


def _elsewhere(names: Collection[str], living: Found) -> set[str]:
    """Return what the named that do not live settle in, so far as their names say it."""
    followed = {one.price_index for one in living.values()}
    return {
        currency
        for name in names
        if name not in living and name not in followed and (currency := settles_in(name))
    }


def _lately(lake: Lake) -> Found:
    """Return what the last lists of living futures had, each as it was last listed."""
    folder = living_request(lake, "future").folder
    found: Found = {}
    names = raw.segments(folder)[-LATELY:]
    for answers in each(folder, lambda name: [*raw.answers(folder / name, OK)], names):
        for _, body in answers:
            found |= _read(body)[0]
    return found


def _expired(lake: Lake) -> Found:
    """Return every future any list of expired ones ever had."""
    found: Found = {}
    there = lake.raw("get_instruments", kind="future", expired="true")
    for folder in matching(there, "currency=*"):
        for _, body in raw.bodies(folder, OK):
            found |= _read(body)[0]
    return found


def _read(body: bytes) -> tuple[Found, dict[str, str]]:
    """Return the futures of a list by name, and the names that are left out with the reason."""
    found: Found = {}
    aside: dict[str, str] = {}
    for _, one in read_answer(body):
        if not isinstance(one, Instrument):
            aside[one.name] = one.reason
        elif why := _no_future(one):
            aside[one.instrument_name] = why
        else:
            found[one.instrument_name] = one
    return found, {name: why for name, why in aside.items() if name not in found}


def _no_future(one: Instrument) -> str:
    """Return why an instrument is none that a dataset of futures has, or nothing."""
    if one.is_routed:
        return "it is traded on Coinbase, and Deribit has no candles of it"
    if one.kind == "future":
        return ""
    known = "" if one.kind in KINDS else ", which this version does not know"
    return f"it is of kind {one.kind!r}{known}"
