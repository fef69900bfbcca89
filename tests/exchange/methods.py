"""The public methods: what each one answers, as a function of the market and its parameters."""

from collections.abc import Callable
from typing import Any

from tests.exchange import tickers
from tests.exchange.chart import ChartQuery, chart_query
from tests.exchange.currencies import CURRENCIES
from tests.exchange.errors import ApiError
from tests.exchange.funding import PAGE_ROWS, funding_value, hours_between
from tests.exchange.instruments import Instrument
from tests.exchange.market import Market
from tests.exchange.params import Params
from tests.exchange.tape import RESOLUTIONS

Method = Callable[[Market, Params], Any]

API_VERSION = "1.2.26"
_KINDS = ("future", "option", "spot", "future_combo", "option_combo")
_LISTED = tuple(currency["currency"] for currency in CURRENCIES)
_DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")


def test(_market: Market, params: Params) -> Any:
    """Return the version, or fail on request."""
    if params.one_of("expected_result", ("exception",), None) == "exception":
        raise ApiError(11094, "expected exception")
    return {"version": API_VERSION}


def get_time(market: Market, _params: Params) -> Any:
    """Return the present [Unix ms]."""
    return market.now_ms


def status(_market: Market, _params: Params) -> Any:
    """Return whether trading is locked: a string, as on the real exchange."""
    return {"locked": "false"}


def get_currencies(_market: Market, _params: Params) -> Any:
    """Return the currencies."""
    return CURRENCIES


def get_instruments(market: Market, params: Params) -> Any:
    """Return instrument records; without a currency all of them, as ccxt asks."""
    currency = params.one_of("currency", (*_LISTED, "any"), "any")
    kind = params.one_of("kind", _KINDS, "future")
    if params.flag("expired", default=False) or kind != "future":
        return []
    return [each.record() for each in _of_currency(market, currency)]


def get_instrument(market: Market, params: Params) -> Any:
    """Return one instrument record."""
    return instrument_of(market, params).record()


def get_index_price(market: Market, params: Params) -> Any:
    """Return an index now."""
    name = params.text("index_name")
    for instrument in market.instruments:
        if instrument.price_index == name:
            price = market.index_price(instrument.name)
            return {"index_price": price, "estimated_delivery_price": price}
    raise ApiError(-32602, "unknown index", "index_name")


def get_index_price_names(market: Market, params: Params) -> Any:
    """Return the names of the indices."""
    names = sorted({instrument.price_index for instrument in market.instruments})
    if not params.flag("extended", default=False):
        return names
    combos = {"future_combo_creation_enabled": False, "option_combo_creation_enabled": False}
    return [{"name": name, **combos} for name in names]


def get_tradingview_chart_data(market: Market, params: Params) -> Any:
    """Return bars that open in a window, both ends included; the newest 5,001 of too many."""
    return chart_of(market, params).answer(market)


def get_funding_rate_history(market: Market, params: Params) -> Any:
    """Return hourly rows after the start up to the end; the newest 744 of too many."""
    instrument = instrument_of(market, params)
    hours = hours_between(instrument, *params.window(), now_ms=market.now_ms)
    return market.world.funding(instrument.name).rows(hours[-PAGE_ROWS:])


def get_funding_rate_value(market: Market, params: Params) -> Any:
    """Return the funding of a window [1]."""
    instrument = instrument_of(market, params)
    hours = hours_between(instrument, *params.window(), now_ms=market.now_ms)
    return funding_value(instrument, market.world.funding(instrument.name), hours)


def ticker(market: Market, params: Params) -> Any:
    """Return an instrument's ticker."""
    return tickers.ticker(market, instrument_of(market, params))


def get_order_book(market: Market, params: Params) -> Any:
    """Return an instrument's ticker with its best bids and asks."""
    instrument = instrument_of(market, params)
    depth = int(params.one_of("depth", _DEPTHS, "5"))
    return tickers.order_book(market, instrument, depth)


def get_book_summary_by_instrument(market: Market, params: Params) -> Any:
    """Return the summary of one instrument, in a list."""
    return [tickers.book_summary(market, instrument_of(market, params))]


def get_book_summary_by_currency(market: Market, params: Params) -> Any:
    """Return the summaries of a currency's instruments."""
    currency = params.one_of("currency", _LISTED)
    if params.one_of("kind", _KINDS, "future") != "future":
        return []
    return [tickers.book_summary(market, each) for each in _of_currency(market, currency)]


METHODS: dict[str, Method] = {
    f"public/{method.__name__}": method
    for method in (
        test,
        get_time,
        status,
        get_currencies,
        get_instruments,
        get_instrument,
        get_index_price,
        get_index_price_names,
        get_tradingview_chart_data,
        get_funding_rate_history,
        get_funding_rate_value,
        ticker,
        get_order_book,
        get_book_summary_by_instrument,
        get_book_summary_by_currency,
    )
}


def chart_of(market: Market, params: Params) -> ChartQuery:
    """Return which bars a call asks for."""
    instrument = instrument_of(market, params)
    span = RESOLUTIONS[params.one_of("resolution", RESOLUTIONS)]
    return chart_query(instrument, span, params.window(), now_ms=market.now_ms)


def instrument_of(market: Market, params: Params) -> Instrument:
    """Return the instrument a call names."""
    name = params.text("instrument_name")
    for instrument in market.instruments:
        if instrument.name == name:
            return instrument
    raise ApiError(13020, f"no instrument {name}", "instrument_name")


def _of_currency(market: Market, currency: str) -> list[Instrument]:
    return [
        instrument
        for instrument in market.instruments
        if currency in ("any", instrument.settlement_currency)
    ]
