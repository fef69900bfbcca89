"""What channels bring, as a function of two moments: the truth, whole, however it is cut."""

from itertools import pairwise

import numpy as np
import orjson
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.methods import METHODS
from tests.exchange.option_market.tickers import living
from tests.exchange.params import Params
from tests.exchange.socket.channels import Channels
from tests.exchange.socket.frames import frame

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def channels(present):
    return Channels(present)


@pytest.fixture(scope="module")
def between(channels):
    def between(market, name, start_ms, end_ms):
        data = channels.feed(market, name).between(market.at(end_ms), start_ms, end_ms)
        return [orjson.loads(each) for each in data]

    return between


@pytest.fixture(scope="module")
def option(present):
    """An option that trades today."""
    return present.option_trades("BTC", present.now_ms - 3_600_000, present.now_ms)[
        "instrument_name"
    ][-1]


def trades_of(between, market, name, start_ms, end_ms):
    messages = between(market, name, start_ms, end_ms)
    return [trade for message in messages for trade in message]


def rest(market, name, ms, method="ticker", **params):
    return METHODS[f"public/{method}"](market.at(ms), Params({"instrument_name": name} | params))


@pytest.mark.parametrize(
    "name",
    [
        "chart.trades.BTC-PERPETUAL.3",
        "ticker.ETH-PERPETUAL.100ms",
        "incremental_ticker.BTC-30OCT26",
        "quote.BTC-PERPETUAL",
        "trades.BTC-PERPETUAL.agg2",
        "trades.any.USDC.100ms",
        "perpetual.ETH-PERPETUAL.agg2",
        "deribit_price_index.btc_usd",
        "deribit_volatility_index.eth_usd",
        "markprice.options.xrp_usdc",
        "platform_state",
    ],
)
def test_a_window_in_pieces_brings_what_it_brings_at_once(present, between, name):
    start = present.now_ms
    cuts = [start, start + 37, start + 5_100, start + 5_101, start + 40_000]

    whole = between(present, name, cuts[0], cuts[-1])
    pieces = [each for a, b in pairwise(cuts)
              for each in between(present, name, a, b)]  # fmt: skip

    assert whole == pieces
    assert len(whole) > 1


@pytest.mark.parametrize("resolution", ["1", "5", "60", "1D"])
@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL", "BTC-30OCT26"])
def test_bars_close_with_what_rest_serves(present, between, name, resolution):
    start, end = milliseconds("2026-10-18T07:00"), milliseconds("2026-10-18T10:00") + 1
    last = {}
    for bar in between(present, f"chart.trades.{name}.{resolution}", start, end):
        last[bar["tick"]] = bar
    served = rest(present, name, end, "get_tradingview_chart_data", resolution=resolution,
                  start_timestamp=min(last), end_timestamp=end)  # fmt: skip
    columns = ("open", "high", "low", "close", "volume", "cost")
    rows = zip(*(served[each].tolist() for each in ("ticks", *columns)), strict=True)
    expected = {row[0]: row[1:] for row in rows if row[0] < end - 1}

    found = {tick: tuple(bar[each] for each in columns) for tick, bar in last.items()}

    assert found == {tick: expected[tick] for tick in found}
    if resolution == "1":
        assert list(found) == list(expected)


def test_every_update_is_the_bar_rest_has_at_that_millisecond(present, between):
    name, start = "chart.trades.BTC-PERPETUAL.5", milliseconds("2026-10-18T09:00")
    trades = trades_of(between, present, "trades.BTC-PERPETUAL.100ms", start, start + 600_000)
    columns = ("open", "high", "low", "close", "volume", "cost")
    for trade in trades:
        end = trade["timestamp"] + 1
        told = between(present, name, start, end)[-1]
        served = rest(present, "BTC-PERPETUAL", end, "get_tradingview_chart_data",
                      resolution="5", start_timestamp=told["tick"], end_timestamp=end)  # fmt: skip
        assert [served[each].tolist() for each in columns] == [[told[each]] for each in columns]
    assert len(trades) > 20


def test_a_bar_gets_many_updates_and_a_silent_minute_a_filler_as_it_ends(present, between):
    name, start = "chart.trades.BTC-30OCT26.1", milliseconds("2026-10-18T09:00")
    bars = between(present, name, start, start + 3_600_000)
    silent = next(bar for bar in bars if bar["volume"] == 0)
    ends = silent["tick"] + MINUTE_MS
    busy = [bar["tick"] for bar in bars if bar["volume"]]

    assert len(busy) > 1.5 * len(set(busy))
    assert silent["open"] == silent["high"] == silent["low"] == silent["close"]
    assert silent not in between(present, name, start, ends)
    assert silent in between(present, name, ends, ends + 1)


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "BTC-30OCT26", "SOL_USDC-PERPETUAL"])
def test_trades_of_a_future_add_up_to_its_candles(present, between, name):
    start = milliseconds("2026-10-18T07:30")
    end = start + 3_600_000
    trades = trades_of(between, present, f"trades.{name}.100ms", start, end)
    candles = present.candles(name, start, end)
    seq = [trade["trade_seq"] for trade in trades]
    linear = "USDC" in name

    assert seq == list(range(seq[0], seq[0] + len(seq)))
    total = candles["volume" if linear else "cost"].sum()
    assert sum(trade["amount"] for trade in trades) == pytest.approx(total)
    assert len({trade["trade_id"] for trade in trades}) == len(trades)
    assert not any("liquidation" in trade for trade in trades)


def test_a_new_future_begins_with_the_first_trade(present, between):
    name, day = "BTC-21OCT26", milliseconds("2026-10-17T08:00")
    trades = trades_of(between, present.at(day + 86_400_000),f"trades.{name}.agg2",
                         day, day + 86_400_000)  # fmt: skip

    assert [trade["trade_seq"] for trade in trades] == list(range(1, len(trades) + 1))
    assert len(trades) > 100


@pytest.mark.parametrize("currency", ["BTC", "ETH", "USDC"])
def test_option_trades_are_the_truth_but_for_liquidations(present, between, currency):
    start, end = milliseconds("2026-10-18T06:00"), milliseconds("2026-10-18T12:00")
    trades = trades_of(between, present, f"trades.option.{currency}.100ms", start, end)
    truth = present.option_trades(currency, start, end)
    expected = [
        {name: value for name, value in row.items() if value is not None and name != "liquidation"}
        for row in truth.to_dicts()
    ]

    assert trades == expected
    assert len(trades) > 50


def test_the_truth_has_liquidations(present):
    start = milliseconds("2026-10-17T08:00")
    assert present.option_trades("BTC", start, start + 86_400_000)["liquidation"].count() > 0


def test_one_option_s_trades_are_those_of_its_currency(present, between, option):
    start, end = present.now_ms - 6 * 3_600_000, present.now_ms
    own = trades_of(between, present, f"trades.{option}.100ms", start, end)
    everybody = trades_of(between, present, "trades.option.BTC.100ms", start, end)

    assert own == [trade for trade in everybody if trade["instrument_name"] == option]
    assert own


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "ETH-30OCT26", "option"])
def test_a_ticker_is_what_public_ticker_says_at_its_timestamp(present, between, option, name):
    name = option if name == "option" else name
    start = present.now_ms
    told = between(present, f"ticker.{name}.agg2", start, start + 70_000)

    assert len(told) == 70
    for one in told[::23]:
        assert one == rest(present, name, one["timestamp"])


def test_an_incremental_ticker_adds_up_to_the_whole(present, channels, between, option):
    name = f"incremental_ticker.{option}"
    whole = orjson.loads(channels.feed(present, name).first(present)[0])
    changes = between(present, name, present.now_ms + 1, present.now_ms + 30_000)
    for change in changes:
        whole |= change

    assert whole.pop("type") == "change"
    assert whole == rest(present, option, whole["timestamp"])
    assert all(len(change) < 15 for change in changes)


def test_an_index_is_what_rest_says(present, between):
    told = between(present, "deribit_price_index.btc_usdc", present.now_ms, present.now_ms + 3_000)

    for one in told:
        now = METHODS["public/get_index_price"](
            present.at(one["timestamp"]), Params({"index_name": "btc_usdc"})
        )
        assert one["price"] == now["index_price"]
    assert len(told) == 3


def test_marks_are_the_whole_chain_first_and_then_what_changed(present, channels, between):
    name = "markprice.options.btc_usd"
    first = orjson.loads(channels.feed(present, name).first(present)[0])
    marks = {one["instrument_name"]: one for one in first}
    chain = present.world.options.chain("BTC")
    alive = {chain.names[row] for row in living(chain, present.now_ms)}
    for changes in between(present, name, present.now_ms + 1, present.now_ms + 5_001):
        assert len(changes) < len(alive) / 2
        marks |= {one["instrument_name"]: one for one in changes}
    later = {
        one["instrument_name"]: (one["mark_price"], one["iv"])
        for one in orjson.loads(
            channels.feed(present, name).first(present.at(present.now_ms + 5_000))[0]
        )
    }

    assert set(marks) == alive
    assert {one: (of["mark_price"], of["iv"]) for one, of in marks.items()} == later


def test_what_is_listed_comes_once_with_its_record(present, between):
    eight = milliseconds("2026-10-18T08:00")
    told = between(present, "instrument.creation.option.BTC", eight, eight + MINUTE_MS)
    states = between(present, "instrument.state.option.BTC", eight, eight + 2 * MINUTE_MS)
    opened = [one["instrument_name"] for one in states if one["state"] == "open"]
    ended = [one["instrument_name"] for one in states if one["state"] == "delivered"]

    assert sorted(one["instrument_name"] for one in told) == sorted(opened)
    for one in told:
        assert one == rest(present, one["instrument_name"], one["timestamp"], "get_instrument") | {
            "timestamp": one["creation_timestamp"]
        }
    assert {name.split("-")[1] for name in ended} == {"18OCT26"}
    assert len(opened) > 10


def test_an_expired_instrument_cannot_be_subscribed_to_and_says_no_more(present, channels, between):
    name, eight = "ticker.BTC-18OCT26.agg2", milliseconds("2026-10-18T08:00")
    before = present.at(eight - 5_000)

    assert len(between(before, name, eight - 5_000, eight + 5_000)) == 5
    assert channels.feed(present, name) is None


def test_the_platform_says_hundreds_of_times_a_minute_that_nothing_is_locked(present):
    breaks = [(present.now_ms + 30_000, present.now_ms + 90_000)]
    feed = Channels(present, breaks).feed(present, "platform_state")
    told = [
        orjson.loads(each)
        for each in feed.between(present, present.now_ms, present.now_ms + 57_000)
    ]

    assert 130 <= len(told) <= 175
    assert told.count({"maintenance": True}) == 1
    assert {one["locked"] for one in told if "locked" in one} == {False}


def test_a_replayed_ticker_is_that_of_its_second_with_another_timestamp(present, option):
    channels = Channels(present, is_replay=True)
    feed = channels.feed(present, f"ticker.{option}.100ms")
    start = present.now_ms
    told = [orjson.loads(each) for each in feed.between(present, start, start + 2_000)]

    assert [one["timestamp"] for one in told] == list(range(start, start + 2_000, 100))
    assert told[17] == rest(present, option, start + 1_000) | {"timestamp": start + 1_700}


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_state_their_length(size):
    text = frame(b"x" * size)
    head = len(text) - size

    assert text[0] == 0x81
    assert head == (2 if size < 126 else 4 if size < 65_536 else 10)
    assert head == 2 or int.from_bytes(text[2:head], "big") == size
    assert np.frombuffer(text[head:], dtype=np.uint8).tolist() == [ord("x")] * size
