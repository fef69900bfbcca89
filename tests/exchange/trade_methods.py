"""public/get_last_trades_by_…: the four ways to ask for trades, on both hosts.

www reaches back a day and has a thousand trades a page: an older start gives an empty list
without an error. The history host has everything, ten thousand a page, some five seconds after it
happened. Only options have trades here: of what else exists the answer is an empty list.
"""

from dataclasses import replace
from typing import Any

from tests.exchange import options, spot_and_combos
from tests.exchange.errors import ApiError
from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market
from tests.exchange.option_market import pages
from tests.exchange.option_market.families import CURRENCIES
from tests.exchange.option_market.pages import Bounds, Page
from tests.exchange.params import Params

REACH_MS = 86_400_000
LATE_MS = 5_000
MOST, MOST_ON_HISTORY = 1_000, 10_000
SORTINGS = ("asc", "desc", "default")
KINDS = ("future", "option", "spot", "future_combo", "option_combo", "combo", "any")
_KNOWN = ("BTC", "ETH", "USDC", "USDT", "EURR", "SOL")
_WITH_ROUTED_SPOT = ("BTC", "ETH", "USDC")


def get_last_trades_by_currency(market: Market, params: Params) -> Any:
    """Return the last trades of a currency, or those between two trade ids."""
    return _of_currency(market, params)


def get_last_trades_by_currency_and_time(market: Market, params: Params) -> Any:
    """Return the trades of a currency in a window; one of its ends will do."""
    _check_window(params)
    return _of_currency(market, params)


def get_last_trades_by_instrument(market: Market, params: Params) -> Any:
    """Return the last trades of an instrument, or those between two sequence numbers."""
    return _of_instrument(market, params)


def get_last_trades_by_instrument_and_time(market: Market, params: Params) -> Any:
    """Return the trades of an instrument in a window; one of its ends will do."""
    _check_window(params)
    return _of_instrument(market, params)


TRADE_METHODS = (
    get_last_trades_by_currency,
    get_last_trades_by_currency_and_time,
    get_last_trades_by_instrument,
    get_last_trades_by_instrument_and_time,
)


def _check_window(params: Params) -> None:
    if _window(params) == (None, None):
        raise ApiError(-32602, "value required", "start_timestamp")


def _window(params: Params) -> tuple[int | None, int | None]:
    start, end = params.optional("start_timestamp"), params.optional("end_timestamp")
    if start is not None and end is not None and start > end:
        raise ApiError(11029, "start_timestamp is after end_timestamp", "start_timestamp")
    return start, end


def _of_currency(market: Market, params: Params) -> Any:
    currency = params.one_of("currency", _KNOWN)
    kind = params.one_of("kind", KINDS, "any")
    if kind == "any" and currency in _WITH_ROUTED_SPOT:
        raise ApiError(11060)
    ids = _number(params.text("start_id", None)), _number(params.text("end_id", None))
    bounds = _bounds(market, params, starts=ids[0] is not None)
    if kind not in {"option", "any"} or bounds is None or not _has_options(currency, params):
        return _result(Page([], has_more=False))
    numbers = tuple(
        default if one is None else one for one, default in zip(ids, bounds.number, strict=True)
    )
    bounds = replace(bounds, number=numbers)
    return _result(pages.of_currency(market.world.sent, currency, bounds, market.now_ms))


def _has_options(currency: str, params: Params) -> bool:
    is_hidden = currency in options.ON_HISTORY_ONLY and not params.is_history
    return currency in CURRENCIES and not is_hidden


def _of_instrument(market: Market, params: Params) -> Any:
    name = params.text("instrument_name")
    seq = params.optional("start_seq"), params.optional("end_seq")
    bounds = _bounds(market, params, starts=seq[0] is not None)
    if not is_option(market, params, name):
        _check_other(market, name)
        return _result(Page([], has_more=False))
    if bounds is None:
        return _result(Page([], has_more=False))
    low, high = (
        default if one is None else one for one, default in zip(seq, bounds.seq, strict=True)
    )
    bounds = replace(bounds, seq=(low, high))
    return _result(pages.of_instrument(market.world.sent, name, bounds, market.now_ms))


def is_option(market: Market, params: Params, name: str) -> bool:
    """Whether a name is that of an option that the host knows by now."""
    record = options.record(market, name)
    return record is not None and _has_options(record["settlement_currency"], params)


def _check_other(market: Market, name: str) -> None:
    if spot_and_combos.is_routed(name, market.now_ms):
        raise ApiError(11060)
    instrument = BY_NAME.get(name)
    if instrument is None or instrument.creation_ms > market.now_ms:
        raise ApiError(-32602, "instrument not found", "instrument_name")


def _bounds(market: Market, params: Params, *, starts: bool) -> Bounds | None:
    """Return what a call asks for; None where its start lies further back than www reaches."""
    params.flag("include_old", default=False)
    most = MOST_ON_HISTORY if params.is_history else MOST
    count = params.integer("count", 10)
    if not 1 <= count <= most:
        raise ApiError(-32602, f"must be between 1 and {most}", "count")
    sorting = params.one_of("sorting", SORTINGS, "default")
    start, end = _window(params)
    latest = market.now_ms - (LATE_MS if params.is_history else 0) - 1
    earliest = 0 if params.is_history else market.now_ms - REACH_MS
    if start is not None and start < earliest:
        return None
    return Bounds(
        ms=(earliest if start is None else start, latest if end is None else min(end, latest)),
        count=count,
        is_from_start=sorting == "asc" or (sorting == "default" and (starts or start is not None)),
        is_descending=sorting != "asc",
    )


def _number(trade_id: str | None) -> int | None:
    """Return what a trade id ends with: ids count all trades of a currency."""
    if trade_id is None:
        return None
    digits = trade_id.rpartition("-")[2]
    if not digits.isdecimal():
        raise ApiError(-32602, "must be a trade id", "start_id")
    return int(digits)


def _result(page: Page) -> dict[str, Any]:
    return {"trades": page.trades, "has_more": page.has_more}
