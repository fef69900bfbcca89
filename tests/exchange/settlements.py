"""What was settled and delivered at 08:00 UTC each day, the newest first."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tests.exchange.errors import ApiError
from tests.exchange.instruments import Instrument
from tests.exchange.market import Market
from tests.exchange.path import EPOCH_MS
from tests.exchange.tickers import open_interest, prices

DAY_MS, EIGHT_HOURS_MS = 86_400_000, 28_800_000
LATE_MS = 65
"""How long after 08:00:00 it is done, as recorded."""
MOST = 1_000
TYPES = ("settlement", "delivery", "bankruptcy")


def page(
    market: Market,
    instruments: Sequence[Instrument],
    *,
    count: int,
    kind: str | None,
    before_ms: int,
    continuation: str | None,
) -> dict[str, Any]:
    """Return up to `count` events before a moment, and where the next page goes on.

    The continuation is opaque, as on the real exchange: it says how many events were sent.
    """
    skipped = _skipped(continuation)
    events = islice(_events(market, instruments, kind, before_ms), skipped, None)
    found = list(islice(events, min(count, MOST) + 1))
    sent, rest = found[: min(count, MOST)], found[min(count, MOST) :]
    token = base64.urlsafe_b64encode(str(skipped + len(sent)).encode()).decode()
    return {
        "settlements": [_event(market, *each) for each in sent],
        "continuation": token if rest else None,
    }


def _skipped(continuation: str | None) -> int:
    if continuation is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(continuation))
    except (ValueError, binascii.Error):
        raise ApiError(-32602, "invalid continuation", "continuation") from None


def _events(
    market: Market, instruments: Sequence[Instrument], kind: str | None, before_ms: int
) -> Iterator[tuple[Instrument, int]]:
    """Yield which instrument had an event at which 08:00, the newest first."""
    newest = min(market.now_ms, before_ms) - EIGHT_HOURS_MS - LATE_MS
    for day in range(newest // DAY_MS, EPOCH_MS // DAY_MS, -1):
        moment = day * DAY_MS + EIGHT_HOURS_MS
        for instrument in instruments:
            if instrument.creation_ms < moment <= instrument.expiration_ms and (
                kind in (None, _kind(instrument, moment))
            ):
                yield instrument, moment


def _kind(instrument: Instrument, moment: int) -> str:
    return "delivery" if instrument.expiration_ms == moment else "settlement"


def _event(market: Market, instrument: Instrument, moment: int) -> dict[str, Any]:
    then = market.at(moment)
    if instrument.expiration_ms == moment:
        index = mark = market.delivery_price(instrument.perpetual, moment)
    else:
        index, mark = prices(then, instrument)
    position = open_interest(then, instrument, index)
    return {
        "type": _kind(instrument, moment),
        "timestamp": moment + LATE_MS,
        "instrument_name": instrument.name,
        "index_price": index,
        "mark_price": mark,
        "position": position,
        "profit_loss": round((mark / index - 1) * position / index, 9),
        "session_profit_loss": round(position / index * 0.01, 9),
    }
