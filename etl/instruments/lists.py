"""The lists of instruments: living ones, those that expired, as fetched and as last staged."""

from collections.abc import Callable, Sequence

import msgspec

from etl.deribit.client import FIRST_TRY, OK, DeribitClient, Request
from etl.instruments.record import Instrument, Listing
from lake import raw
from lake.paths import Lake
from lake.span import Span

METHOD = "public/get_instruments"
LATELY = 32  # lists that are looked through for an instrument the newest one lacks


Check = Callable[[msgspec.Raw], object]


async def fetch_listing(
    client: DeribitClient, lake: Lake, expired_of: Sequence[str] = ()
) -> Listing:
    """Return the listed instruments, staged as they came.

    With currencies in `expired_of`, those that expired too, as the history host lists them. What
    an earlier list had and this one lacks is kept, and named in `missing` unless it has expired:
    a list that shrinks does not undo a life.

    Raises
    ------
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    """
    known = _lately(lake)
    attempt = await client.call(living_request(lake, "future", _check), retry=FIRST_TRY)
    living = _listing(attempt.body or b"", attempt.us_out or attempt.fetched_at)
    expired: dict[str, Instrument] = {}
    if expired_of:
        Listing(living.now_ms, known | living.instruments).check_currencies(expired_of)
        expired = _expired(lake)
    for currency in expired_of:
        request = expired_request(lake, "future", currency, _check_shape)
        answer = await client.call(request, retry=FIRST_TRY)
        expired |= _listing(answer.body or b"", 0).instruments
    missing = sorted(
        name
        for name in known.keys() - living.instruments.keys() - expired.keys()
        if known[name].life.end_ms > living.now_ms
    )
    found = known | expired | living.instruments
    return Listing(living.now_ms, found, tuple(missing))


def living_request(lake: Lake, kind: str, check: Check) -> Request:
    """Return the request for the list of what lives of a kind, in all currencies."""
    params = {"currency": "any", "kind": kind, "expired": "false"}
    folder = lake.raw("get_instruments", currency="any", kind=kind)
    return Request(METHOD, params, Span(0, 0), folder, check)


def expired_request(lake: Lake, kind: str, currency: str, check: Check) -> Request:
    """Return the request for the list of all that ever expired of a kind and currency."""
    params = {"currency": currency, "kind": kind, "expired": "true", "include_old": "true"}
    folder = lake.raw("get_instruments", kind=kind, expired="true", currency=currency)
    return Request(METHOD, params, Span(0, 0), folder, check, on_history=True)


def _lately(lake: Lake) -> dict[str, Instrument]:
    """Return what the last lists of living futures had, each as it was last listed."""
    folder = living_request(lake, "future", _check).folder
    found: dict[str, Instrument] = {}
    for name in raw.segments(folder)[-LATELY:]:
        for _, body in raw.answers(folder / name, OK):
            found |= _listing(body, 0).instruments
    return found


def _expired(lake: Lake) -> dict[str, Instrument]:
    """Return every future any list of expired ones ever had."""
    found: dict[str, Instrument] = {}
    for folder in sorted(
        lake.raw("get_instruments", kind="future", expired="true").glob("currency=*")
    ):
        for _, body in raw.bodies(folder, OK):
            found |= _listing(body, 0).instruments
    return found


class _Envelope(msgspec.Struct):
    result: list[Instrument]


def _check(result: msgspec.Raw) -> None:
    if not msgspec.json.decode(result, type=list[Instrument]):
        message = "an empty list of instruments"
        raise msgspec.ValidationError(message)


def _check_shape(result: msgspec.Raw) -> None:
    msgspec.json.decode(result, type=list[Instrument])


def staged_listing(lake: Lake) -> Listing:
    """Return the instruments as last staged, for work without the exchange; none if never."""
    found = raw.latest(living_request(lake, "future", _check).folder, OK)
    if found is None:
        return Listing(0, _expired(lake))
    us_out, body = found
    living = _listing(body, us_out or 0)
    return Listing(living.now_ms, _lately(lake) | _expired(lake) | living.instruments)


def _listing(body: bytes, now_us: int) -> Listing:
    result = msgspec.json.decode(body, type=_Envelope).result
    return Listing(now_us // 1000, {one.instrument_name: one for one in result})
