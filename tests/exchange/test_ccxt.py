"""An unmodified third-party client finds its way: ccxt, with nothing changed but the host."""

import ccxt
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.running import running

START = milliseconds("2023-03-03")
BTC = "BTC/USD:BTC"


@pytest.fixture(scope="module")
def deribit():
    with running(now=None) as exchange:
        client = ccxt.deribit()
        client.urls["api"]["rest"] = exchange.url
        client.timeout = 120_000  # its list of everything is long, and the machine may be busy
        client.load_markets()
        yield client
        client.close()


def test_markets_are_loaded(deribit):
    perpetuals = {name for name, one in deribit.markets.items() if one["swap"]}
    assert {BTC, "ETH/USD:ETH", "BTC/USDC:USDC", "1000PEPE/USDC:USDC"} <= perpetuals
    assert not any(name.startswith(("MATIC", "SOL/USD:SOL")) for name in perpetuals)
    assert deribit.market("BTC/USD:BTC-270625")["expiry"] == milliseconds("2027-06-25T08:00")
    assert deribit.market(BTC)["inverse"]
    assert deribit.market("ETH/USDC:USDC")["linear"]


def test_candles_are_fetched_from_since_on(deribit, market):
    rows = deribit.fetch_ohlcv(BTC, "1m", START, 100)
    truth = market.candles("BTC-PERPETUAL", START, START + 100 * 60_000)
    names = ("ticks", "open", "high", "low", "close", "volume")

    assert rows == [
        list(row) for row in zip(*(truth[name].tolist() for name in names), strict=True)
    ]


def test_tickers_order_books_and_funding_are_fetched(deribit, market):
    history = deribit.fetch_funding_rate_history(BTC, START, 5)
    book = deribit.fetch_order_book(BTC, 5)

    assert deribit.fetch_ticker("ETH/USD:ETH")["last"] > 0
    assert book["bids"][0][0] < book["asks"][0][0]
    assert [row["timestamp"] for row in history] == [START + hour * 3_600_000 for hour in range(5)]
    assert (
        history[0]["fundingRate"]
        == market.funding("BTC-PERPETUAL", START, START + 1)["interest_8h"][0]
    )


def test_status_currencies_and_summaries_are_fetched(deribit):
    assert deribit.fetch_status()["status"] == "ok"
    assert "USDC" in deribit.fetch_currencies()
    assert list(deribit.fetch_tickers([BTC])) == [BTC]


def test_history_is_paged(deribit):
    since = deribit.milliseconds() - 12_000 * 60_000
    rows = deribit.fetch_ohlcv(BTC, "1m", since, params={"paginate": True})
    ticks = [row[0] for row in rows]

    assert len(ticks) >= 12_000
    assert ticks == list(range(ticks[0], ticks[-1] + 60_000, 60_000))


@pytest.fixture(scope="module")
def option(deribit):
    """A call on bitcoin with a bid and an ask: of the next month, the nearest to the index."""
    index = deribit.fetch_ticker(BTC)["last"]
    quoted = [name for name, one in deribit.fetch_option_chain("BTC").items() if one["bidPrice"]]
    calls = [deribit.market(name) for name in quoted]
    calls = [one for one in calls if one["inverse"] and one["optionType"] == "call"]
    soon = deribit.milliseconds() + 10 * 86_400_000
    expiry = min(one["expiry"] for one in calls if one["expiry"] > soon)
    at_expiry = [one for one in calls if one["expiry"] == expiry]
    return min(at_expiry, key=lambda one: abs(one["strike"] - index))["symbol"]


def test_options_are_loaded(deribit):
    settled = {one["settle"] for one in deribit.markets.values() if one["option"]}

    assert settled == {"BTC", "ETH", "USDC"}


def test_option_trades_are_fetched(deribit, option):
    trades = deribit.fetch_trades(option, limit=100)
    since = trades[0]["timestamp"]
    again = deribit.fetch_trades(option, since=since, limit=100)

    assert trades
    assert all(one["symbol"] == option and one["price"] > 0 for one in trades)
    assert all(one["side"] in {"buy", "sell"} for one in trades)
    assert {one["id"] for one in trades} <= {one["id"] for one in again}


def test_option_tickers_and_greeks_are_fetched(deribit, option):
    ticker = deribit.fetch_ticker(option)
    greeks = deribit.fetch_greeks(option)

    assert ticker["bid"] < ticker["ask"]
    assert 0.2 < greeks["delta"] < 0.8
    assert greeks["bidImpliedVolatility"] < greeks["markImpliedVolatility"]
    assert greeks["vega"] > 0 > greeks["theta"]


def test_option_chains_are_fetched(deribit, option):
    chain = deribit.fetch_option_chain("BTC")
    one = deribit.fetch_option(option)

    assert len(chain) > 700
    assert chain[option]["markPrice"] == pytest.approx(one["markPrice"], rel=0.05)
    assert chain[option]["underlyingPrice"] > 0
