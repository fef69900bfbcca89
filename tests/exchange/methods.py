"""The public methods: what each one answers, as a function of the market and its parameters."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tests.exchange import options, settlements, spot_and_combos, tickers, volatility_index
from tests.exchange.chart import ChartQuery, chart_query
from tests.exchange.currencies import CURRENCIES
from tests.exchange.deliveries import delivery_days
from tests.exchange.errors import ApiError
from tests.exchange.expirations import get_expirations
from tests.exchange.funding import PAGE_ROWS, funding_value, hours_between
from tests.exchange.instruments import Instrument
from tests.exchange.listing import ALL_PERPETUALS, BY_NAME
from tests.exchange.market import Market
from tests.exchange.option_market import candles
from tests.exchange.option_market import tickers as option_tickers
from tests.exchange.option_market.families import families_of
from tests.exchange.params import Params
from tests.exchange.tape import RESOLUTIONS
from tests.exchange.trade_methods import TRADE_METHODS, is_option

Method = Callable[[Market, Params], Any]

API_VERSION = "1.2.26"
DAY_MS, EIGHT_HOURS_MS = 86_400_000, 28_800_000
MOST_DELIVERIES = 1_000
EXPIRED_LATELY_MS = DAY_MS
"""How long www goes on listing what expired: the documentation says "recently", no more."""

INDEX_STEPS_MS = {
    "1h": 6_000, "1d": 144_000, "2d": 288_000, "1m": 3_600_000, "1y": 12 * 3_600_000, "all": DAY_MS,
}  # fmt: skip
"""How far the points of an index chart lie apart: 6 s is recorded, the others are assumed."""
INDEX_SPANS_MS = {
    "1h": 3_600_000, "1d": DAY_MS, "2d": 2 * DAY_MS, "1m": 30 * DAY_MS, "1y": 365 * DAY_MS,
}  # fmt: skip

_KINDS = ("future", "option", "spot", "future_combo", "option_combo")
_LISTED = tuple(currency["currency"] for currency in CURRENCIES)
_SETTLED = (*_LISTED, "SOL")  # nothing settles in it any more
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
    """Return instrument records; without a currency and a kind all of them.

    `expired` asks for what expired lately instead, and on the history host, with `include_old`,
    for everything that ever did.
    """
    currency = params.one_of("currency", (*_SETTLED, "any"), "any")
    kind = params.one_of("kind", _KINDS, None)
    return [
        record
        for each in ((kind,) if kind else _KINDS)
        for record in (
            _futures(market, params, currency)
            if each == "future"
            else _unpriced(market, params, each, currency)
        )
    ]


def _futures(market: Market, params: Params, currency: str) -> list[dict[str, Any]]:
    found: Sequence[Instrument] = market.instruments
    if params.flag("expired", default=False):
        has_all = params.is_history and params.flag("include_old", default=False)
        since_ms = 0 if has_all else market.now_ms - EXPIRED_LATELY_MS
        found = [each for each in market.listed if since_ms <= each.expiration_ms <= market.now_ms]
    return [
        each.record(market.now_ms)
        for each in found
        if currency in ("any", each.settlement_currency)
    ]


def get_instrument(market: Market, params: Params) -> Any:
    """Return one instrument record."""
    name = params.text("instrument_name")
    if is_option(market, params, name):
        return options.record(market, name)
    return instrument_of(market, params).record(market.now_ms)


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
    if is_option(market, params, params.text("instrument_name")):
        return candles.chart(market, params)
    return chart_of(market, params).answer(market)


def get_funding_rate_history(market: Market, params: Params) -> Any:
    """Return hourly rows after the start up to the end; the newest 744 of too many."""
    instrument = _perpetual_of(market, params)
    hours = hours_between(instrument, *params.window(), now_ms=market.now_ms)
    return market.world.funding(instrument.name).rows(hours[-PAGE_ROWS:])


def get_funding_rate_value(market: Market, params: Params) -> Any:
    """Return the funding of a window [1]."""
    instrument = _perpetual_of(market, params)
    hours = hours_between(instrument, *params.window(), now_ms=market.now_ms)
    return funding_value(instrument, market.world.funding(instrument.name), hours)


def get_index_chart_data(market: Market, params: Params) -> Any:
    """Return prices of an index up to now: points of a spacing that goes with the range."""
    perpetual = _perpetual_on(params.text("index_name"))
    length = params.one_of("range", tuple(INDEX_STEPS_MS))
    step = INDEX_STEPS_MS[length]
    since = market.now_ms - INDEX_SPANS_MS.get(length, market.now_ms)
    first = -(-max(since, perpetual.creation_ms) // step) * step
    moments = range(first, market.now_ms + 1, step)
    return [[ms, market.at(ms).index_price(perpetual.name)] for ms in moments]


def get_volatility_index_data(market: Market, params: Params) -> Any:
    """Return bars of the volatility index, the newest 1,000, and where the rest goes on."""
    currency = params.one_of("currency", tuple(volatility_index.LOG_LEVELS))
    resolution = params.one_of("resolution", tuple(volatility_index.STEPS_MS))
    data, continuation = volatility_index.bars(
        market.seed, currency, params.window(), resolution, now_ms=market.now_ms
    )
    return {"data": data, "continuation": continuation}


def ticker(market: Market, params: Params) -> Any:
    """Return an instrument's ticker."""
    if option := _living_option(market, params):
        return option_tickers.ticker(market, option)
    return tickers.ticker(market, _living(market, params))


def get_order_book(market: Market, params: Params) -> Any:
    """Return an instrument's ticker with its best bids and asks."""
    depth = int(params.one_of("depth", _DEPTHS, "5"))
    if option := _living_option(market, params):
        return option_tickers.order_book(market, option, depth)
    instrument = _living(market, params)
    return tickers.order_book(market, instrument, depth)


def get_book_summary_by_instrument(market: Market, params: Params) -> Any:
    """Return the summary of one instrument, in a list."""
    if option := _living_option(market, params):
        chain = market.world.options.chain(option.partition("-")[0])
        return option_tickers.summaries(market, chain, np.array([chain.rows[option]]))
    return [tickers.book_summary(market, _living(market, params))]


def get_book_summary_by_currency(market: Market, params: Params) -> Any:
    """Return the summaries of a currency's instruments."""
    currency = params.one_of("currency", _LISTED)
    kind = params.one_of("kind", _KINDS, None)
    futures = _of_currency(market, currency) if kind in (None, "future") else []
    found = [tickers.book_summary(market, each) for each in futures]
    for family in families_of(currency) if kind in (None, "option") else ():
        chain = market.world.options.chain(family.name)
        rows = option_tickers.living(chain, market.now_ms)
        found += option_tickers.summaries(market, chain, rows)
    return found


def get_delivery_prices(market: Market, params: Params) -> Any:
    """Return the delivery prices of an index, the newest first, a page at a time."""
    perpetual = _perpetual_on(params.text("index_name"))
    offset, count = params.integer("offset", 0), min(params.integer("count", 10), MOST_DELIVERIES)
    days = delivery_days(perpetual.name, market.deliveries, market.now_ms)
    return {"data": [_delivery(market, perpetual, day) for day in days[offset : offset + count]],
            "records_total": len(days)}  # fmt: skip


def get_last_settlements_by_currency(market: Market, params: Params) -> Any:
    """Return what a currency's instruments were settled and delivered at, the newest first."""
    currency = params.one_of("currency", _LISTED)
    found = [each for each in market.listed if currency == each.settlement_currency]
    return _settlements(market, found, params)


def get_last_settlements_by_instrument(market: Market, params: Params) -> Any:
    """Return what an instrument was settled and delivered at, the newest first."""
    return _settlements(market, [instrument_of(market, params)], params)


METHODS: dict[str, Method] = {
    f"public/{method.__name__}": method
    for method in (
        test,
        get_time,
        status,
        get_currencies,
        get_instruments,
        get_instrument,
        get_expirations,
        get_index_price,
        get_index_price_names,
        get_tradingview_chart_data,
        get_delivery_prices,
        get_index_chart_data,
        get_volatility_index_data,
        get_funding_rate_history,
        get_funding_rate_value,
        ticker,
        get_order_book,
        get_book_summary_by_instrument,
        get_book_summary_by_currency,
        get_last_settlements_by_currency,
        get_last_settlements_by_instrument,
        *TRADE_METHODS,
    )
}


# What the history host serves; everything else is www's.
ON_HISTORY = {
    f"public/{method.__name__}"
    for method in (
        get_instruments,
        get_instrument,
        get_tradingview_chart_data,
        *TRADE_METHODS,
    )
}


def _perpetual_on(index: str) -> Instrument:
    """Return the perpetual that follows an index."""
    found = next((each for each in ALL_PERPETUALS if each.price_index == index), None)
    if found is None:
        raise ApiError(-32602, "unknown index", "index_name")
    return found


def _delivery(market: Market, perpetual: Instrument, day: int) -> dict[str, Any]:
    moment = day * DAY_MS + EIGHT_HOURS_MS
    date = datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()
    return {"date": date, "delivery_price": market.delivery_price(perpetual.name, moment)}


def _settlements(market: Market, found: Sequence[Instrument], params: Params) -> Any:
    return settlements.page(
        market,
        found,
        count=params.integer("count", 20),
        kind=params.one_of("type", settlements.TYPES, None),
        before_ms=params.integer("search_start_timestamp", market.now_ms),
        continuation=params.text("continuation", None),
    )


def _unpriced(market: Market, params: Params, kind: str, currency: str) -> Any:
    """Return records of what is listed and has no market here."""
    has_all = params.is_history and params.flag("include_old", default=False)
    since_ms = 0 if has_all else market.now_ms - EXPIRED_LATELY_MS
    is_expired = params.flag("expired", default=False)
    if kind == "option":
        is_hidden = currency in options.ON_HISTORY_ONLY and not params.is_history
        since_ms = max(since_ms, market.options_since_ms) if is_expired else 0
        return [] if is_hidden else options.texts(market, currency, since_ms, is_expired=is_expired)
    found = spot_and_combos.records(market, kind, currency, is_expired=is_expired)
    return [each for each in found if each.get("expiration_timestamp", since_ms) >= since_ms]


def chart_of(market: Market, params: Params) -> ChartQuery:
    """Return which bars a call asks for."""
    instrument = instrument_of(market, params)
    span = RESOLUTIONS[params.one_of("resolution", RESOLUTIONS)]
    return chart_query(instrument, span, params.window(), now_ms=market.now_ms)


def instrument_of(market: Market, params: Params) -> Instrument:
    """Return the instrument a call names, expired or not."""
    name = params.text("instrument_name")
    instrument = BY_NAME.get(name)
    if spot_and_combos.is_routed(name, market.now_ms):
        raise ApiError(11060)
    if instrument is None or instrument.creation_ms > market.now_ms:
        raise ApiError(-32602, "instrument not found", "instrument_name")
    ended_ms = instrument.expiration_ms + EXPIRED_LATELY_MS
    if instrument.is_on_history_only and ended_ms < market.now_ms and not params.is_history:
        raise ApiError(-32602, "instrument not found", "instrument_name")
    return instrument


def _living_option(market: Market, params: Params) -> str | None:
    """Return the name of the option that a call names, None if it names something else."""
    name = params.text("instrument_name")
    if not is_option(market, params, name):
        return None
    if options.record(market, name)["state"] != "open":
        raise ApiError(13019)  # orderbook_closed
    return name


def _living(market: Market, params: Params) -> Instrument:
    instrument = instrument_of(market, params)
    if instrument.expiration_ms <= market.now_ms:
        raise ApiError(13019)  # orderbook_closed
    return instrument


def _perpetual_of(market: Market, params: Params) -> Instrument:
    instrument = instrument_of(market, params)
    if not instrument.is_perpetual:
        raise ApiError(10031)  # invalid_args_for_instrument
    return instrument


def _of_currency(market: Market, currency: str) -> list[Instrument]:
    return [
        instrument
        for instrument in market.instruments
        if currency in ("any", instrument.settlement_currency)
    ]
