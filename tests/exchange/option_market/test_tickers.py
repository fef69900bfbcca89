"""Tickers, books, summaries: members as recorded, numbers that agree with each other."""

import json

import numpy as np
import polars as pl
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.methods import METHODS
from tests.exchange.option_market import black76
from tests.exchange.option_market.conftest import NOW
from tests.exchange.params import Params

DAY_MS = 86_400_000
NOW_MS = milliseconds(NOW)
OPTION = "BTC-26DEC25-100000-C"
LINEAR = "ETH_USDC-31OCT25-4800-P"


@pytest.fixture(scope="module", params=["BTC", "ETH", "USDC"])
def summaries(request, quiet):
    asked = Params({"currency": request.param, "kind": "option"})
    return METHODS["public/get_book_summary_by_currency"](quiet, asked)


def records(client, currency):
    listed = client.result("get_instruments", currency=currency, kind="option")
    return {one["instrument_name"]: one for one in listed}


def test_every_living_option_has_a_summary(opened, summaries):
    quote = summaries[0]["quote_currency"]
    listed = records(opened(), quote)

    assert {one["instrument_name"] for one in summaries} == listed.keys()


def test_a_mark_is_worth_its_mark_iv_at_the_underlying_price(opened, summaries):
    quote = summaries[0]["quote_currency"]
    listed = records(opened(), quote)
    one = pl.DataFrame(summaries, infer_schema_length=None)
    of = [listed[name] for name in one["instrument_name"]]
    forward = one["underlying_price"].to_numpy()
    years = np.array([x["expiration_timestamp"] - NOW_MS for x in of]) / black76.YEAR_MS
    sign = np.where([x["option_type"] == "call" for x in of], 1.0, -1.0)
    strike = np.array([x["strike"] for x in of])
    unit = forward if quote != "USDC" else np.ones_like(forward)
    low, high = (
        black76.price(
            forward, strike, (one["mark_iv"].to_numpy() + side) / 100 * np.sqrt(years), sign
        )
        / unit
        for side in (-0.0051, 0.0051)
    )

    assert (low <= one["mark_price"].to_numpy() + 1e-8).all()
    assert (one["mark_price"].to_numpy() <= high + 1e-8).all()
    quoted = one.drop_nulls("mid_price")
    assert 0.6 * one.height < quoted.height < one.height
    assert (quoted["bid_price"] < quoted["ask_price"]).all()


def test_puts_and_calls_are_in_parity(summaries):
    one = pl.DataFrame(summaries, infer_schema_length=None).with_columns(
        stem=pl.col("instrument_name").str.head(-2), side=pl.col("instrument_name").str.tail(1)
    )
    calls, puts = (one.filter(pl.col("side") == side) for side in "CP")
    both = calls.join(puts, on="stem")
    strike = both["stem"].str.split("-").list.last().str.replace("d", ".").cast(pl.Float64)
    forward = both["underlying_price"]
    unit = forward if both["quote_currency"][0] != "USDC" else 1.0
    miss = both["mark_price"] - both["mark_price_right"] - (forward - strike) / unit

    assert both.height > 300
    assert miss.abs().max() < 3e-8


@pytest.mark.parametrize("name", [OPTION, LINEAR])
def test_a_ticker_agrees_with_its_summary(opened, name):
    client = opened()
    ticker = client.result("ticker", instrument_name=name)
    (summary,) = client.result("get_book_summary_by_instrument", instrument_name=name)
    book = client.result("get_order_book", instrument_name=name, depth=5)

    assert ticker["mark_price"] == round(summary["mark_price"], 4)
    assert book["mark_price"] == summary["mark_price"]
    assert ticker["underlying_price"] == pytest.approx(summary["underlying_price"], abs=0.006)
    for member in ("mark_iv", "open_interest", "underlying_index"):
        assert ticker[member] == summary[member]
    assert book["bids"][0][0] == ticker["best_bid_price"] == summary["bid_price"]
    assert book["asks"][0] == [ticker["best_ask_price"], ticker["best_ask_amount"]]
    assert [len(book[side]) for side in ("bids", "asks")] == [5, 5]


def greeks(ticker, strike, expiration_ms, sign):
    """The conventions measured on recorded tickers, written out once more."""
    f, sigma = ticker["underlying_price"], ticker["mark_iv"] / 100
    years = (expiration_ms - ticker["timestamp"]) / (365 * DAY_MS)
    stdev = sigma * np.sqrt(years)
    d1 = np.log(f / strike) / stdev + stdev / 2
    phi = np.exp(-d1 * d1 / 2) / np.sqrt(2 * np.pi)
    cdf = {x: float(black76.normal_cdf(np.array([sign * x]))[0]) for x in (d1, d1 - stdev)}
    value = sign * (f * cdf[d1] - strike * cdf[d1 - stdev])
    decay = f * phi * sigma / (2 * np.sqrt(years)) / 365 * min(1, 365 * years)
    return {
        "delta": sign * cdf[d1],
        "gamma": phi / (f * stdev),
        "vega": f * phi * np.sqrt(years) / 100,
        "theta": -min(decay, value),
        "rho": sign * strike * years * cdf[d1 - stdev] / 100,
    }


@pytest.mark.parametrize("name", [OPTION, LINEAR, "BTC-19OCT25-108000-C", "ETH-18OCT25-4600-P"])
def test_greeks_follow_the_measured_conventions(opened, name):
    client = opened()
    listed = records(client, "USDC" if "USDC" in name else name[:3])
    name = name if name in listed else nearest(listed, name)
    ticker = client.result("ticker", instrument_name=name)
    record = listed[name]
    sign = 1 if record["option_type"] == "call" else -1
    expected = greeks(ticker, record["strike"], record["expiration_timestamp"], sign)

    tolerance = {"delta": 2e-4, "gamma": 1e-5, "vega": 0.05, "theta": 2.0, "rho": 0.03}
    for greek, value in ticker["greeks"].items():
        assert value == pytest.approx(expected[greek], abs=tolerance[greek]), greek
        assert round(value, 5) == value


def nearest(listed, name):
    """The listed option of the same expiry and side whose strike is nearest to that of a name."""
    family, day, strike, side = name.split("-")
    found = [one for one in listed if one.startswith(f"{family}-{day}-") and one.endswith(side)]
    return min(found, key=lambda one: abs(listed[one]["strike"] - float(strike)))


def test_theta_never_takes_more_than_the_price():
    ones = np.ones(2)
    found = black76.greeks(100 * ones, np.array([100.0, 140.0]), 0.5 / 365 * ones, 0.8 * ones, ones)
    price = black76.price(
        100 * ones, np.array([100.0, 140.0]), 0.8 * np.sqrt(0.5 / 365) * ones, ones
    )

    assert found["theta"][1] == -price[1]
    uncapped = 100 * black76.density(np.array([0.8 * np.sqrt(0.5 / 365) / 2])) * 0.8 / 2
    assert found["theta"][0] == pytest.approx(-uncapped[0] / np.sqrt(0.5 / 365) / 365 * 0.5)


def test_time_is_in_whole_minutes_the_nearest_and_never_none():
    minutes = np.array([0.2, 0.6, 1.4, 1.6, 525_600.3])

    counted = black76.whole_minutes(minutes / 525_600) * 525_600

    np.testing.assert_allclose(counted, [1, 1, 1, 2, 525_600])


def test_theta_is_capped_by_the_mark_where_it_is_told():
    one = np.ones(1)
    found = black76.greeks(100 * one, 100 * one, 0.5 / 365 * one, 0.8 * one, one, 1e-3 * one)

    assert found["theta"].tolist() == [-1e-3]


def test_statistics_are_those_of_the_trades_of_a_day(quiet, summaries):
    quote = summaries[0]["quote_currency"]
    trades = quiet.option_trades(quote, NOW_MS - DAY_MS, NOW_MS)
    by_name = {one["instrument_name"]: one for one in summaries}
    for (name,), group in trades.group_by("instrument_name"):
        if name in by_name:
            assert by_name[name]["high"] == group["price"].max()
            assert by_name[name]["last"] == group["price"][-1]
            assert by_name[name]["volume"] == pytest.approx(group["amount"].sum())


def test_an_option_that_is_over_has_no_book(opened):
    assert opened().error("ticker", instrument_name="BTC-27JUN25-100000-C") == (400, 13019)


def test_without_a_bid_there_is_no_bid_iv(opened):
    client = opened()
    for name in [one for one in records(client, "BTC") if "-18OCT25-" in one][::5]:
        ticker = client.result("ticker", instrument_name=name)
        for side in ("bid", "ask"):
            if ticker[f"best_{side}_price"] == 0.0:
                assert ticker[f"{side}_iv"] == ticker[f"best_{side}_amount"] == 0.0
        assert ticker["bid_iv"] <= ticker["mark_iv"] or ticker["mark_price"] < 1e-3
        assert ticker["min_price"] < ticker["max_price"]


def test_members_are_those_of_recorded_answers(opened, recorded):
    client = opened()
    theirs = recorded("rest_results_2026_09/option_tickers.json")

    for name, ticker in theirs.items():
        ours = client.result("ticker", instrument_name=LINEAR if "USDC" in name else OPTION)
        assert ours.keys() == ticker.keys()
        assert ours["greeks"].keys() == ticker["greeks"].keys()
        assert ours["stats"].keys() == ticker["stats"].keys()
    (summary,) = client.result("get_book_summary_by_instrument", instrument_name=OPTION)
    assert (
        summary.keys()
        == recorded("book_summary_2025_06/BTC_option_book_summary_20250615_055819.json")[0].keys()
    )


def test_a_trade_has_the_members_of_a_recorded_one(opened, recorded):
    theirs = recorded("rest_results_2026_09/trades_currency.json")["trades"]
    ours = opened(now="2026-09-20T18:00:00").trades(
        "by_currency", "www", currency="BTC", kind="option", count=1_000
    )["trades"]
    members = {frozenset(trade) for trade in theirs}
    types = {name: type(value) for name, value in theirs[0].items()}

    assert members <= {frozenset(trade) for trade in ours}
    for trade in ours:
        assert {name: type(trade[name]) for name in types if name in trade}.items() <= types.items()


def test_expirations_are_days_in_order(opened, recorded):
    client = opened()
    named = client.result("get_expirations", currency="BTC", kind="option")
    everything = client.result("get_expirations", currency="any", kind="any")

    assert named["btc"]["option"][:3] == ["18OCT25", "19OCT25", "20OCT25"]
    assert set(everything["option"]) >= set(named["btc"]["option"])
    assert everything["future"][-1] == "PERPETUAL"
    assert everything.keys() == recorded("rest_results_2026_09/expirations_flat.json").keys()
    assert json.dumps(named)
