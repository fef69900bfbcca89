"""Whatever an exchange or a network sends is kept as it came, and ends nothing."""

import asyncio
import json

import pyarrow as pa
import pytest

from etl.collect import channels
from etl.collect.board import Board
from etl.collect.chain import chain_at
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.intake import Intake
from etl.collect.universe import Universe
from etl.config import Collect
from etl.instruments.record import Instrument
from etl.snapshots.index_ticks import decode
from lake.messages import SCHEMA

NOW_MS = 1_760_767_200_000
HOUR_MS = 3_600_000
OPTION = "BTC-31OCT25-100000-C"
CANDLES, FUNDING = channels.candles("BTC-PERPETUAL"), channels.funding("BTC-PERPETUAL")
INDEX, TRADES = channels.index("btc_usd"), channels.option_trades("BTC")
TICKER = channels.ticker(OPTION, "agg2", "BTC")
BAR = {"tick": NOW_MS, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1, "cost": 1}
PRICE = {"timestamp": NOW_MS, "price": 1.0, "index_name": "btc_usd"}
TRADE = {
    "trade_seq": 1,
    "trade_id": "1",
    "timestamp": NOW_MS,
    "tick_direction": 0,
    "price": 0.01,
    "mark_price": 0.01,
    "iv": 50.0,
    "instrument_name": OPTION,
    "index_price": 110_000.0,
    "direction": "buy",
    "contracts": 1.0,
    "amount": 1.0,
}
DEEP = b"[" * 100_000
ODD = [
    b"-62135596800001",
    b"9007199254740993",
    b"9223372036854775808",
    b"1" + b"0" * 400,
    b"1e300",
    b"1e400",
    b'"\xff"',
    DEEP,
    b"null",
    b"{}",
]


class Wire:
    """A wire nobody waits at."""

    frame_at = data_at = 0.0

    def answered(self, _envelope):
        return False


class Line:
    number = 1


class Taking:
    """An intake and its desk, at `NOW_MS` of the exchange's clock."""

    def __init__(self):
        self.board, self.clock = Board(NOW_MS), ExchangeClock()
        self.clock.heard(NOW_MS * 1000)
        universe = Universe(Collect(currencies=("BTC",)))
        perpetual = Instrument("BTC-PERPETUAL", "future", 0, 0.5, "perpetual", "BTC")
        universe.instruments["BTC-PERPETUAL"] = perpetual
        self.intake = Intake(self.board, self.clock)
        self.desk = Desk(self.board, self.clock, universe, lambda _: None, lambda _: None)
        for channel in (CANDLES, FUNDING, INDEX, TRADES, TICKER):
            self.intake.routes[channel.name] = self.desk.route(channel)

    def take(self, channel, data):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        name = channel.name.encode()
        self.take_whole(b'{"params":{"channel":"%s","data":%s}}' % (name, body))

    def take_whole(self, message):
        self.intake.take(Line(), Wire(), message)

    def rows(self):
        """Make rows of what came, as every minute."""
        chain_at(self.desk.tickers, NOW_MS)
        self.desk.merge(self.desk.gather())
        return {name: live.frame for name, live in self.desk.live.items()}


def run(check):
    async def inside():
        check(Taking())

    asyncio.run(inside())


def with_member(message, name, value):
    """A message as JSON with a member as it stands."""
    rest = [json.dumps(key) + ":" + json.dumps(one) for key, one in message.items() if key != name]
    return b'{"%s":%s%s}' % (name.encode(), value, "".join("," + one for one in rest).encode())


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_member_is_kept_and_takes_no_other_message_with_it(odd):
    def check(taking):
        messages = {CANDLES: BAR, FUNDING: PRICE, INDEX: PRICE, TICKER: TRADE}
        for channel, message in messages.items():
            for member in message:
                taking.take(channel, with_member(message, member, odd))
        for member in TRADE:
            taking.take(TRADES, b"[%s]" % with_member(TRADE, member, odd))
        sent = len(taking.intake.handed_over())
        assert sent == sum(map(len, messages.values())) + len(TRADE)
        taking.take(TRADES, [TRADE | {"trade_seq": 2, "trade_id": "2"}])
        assert 2 in taking.rows()["option_trades"]["trade_seq"]

    run(check)


@pytest.mark.parametrize(
    "message",
    [
        DEEP,
        b'{"method":"\xff"}',
        b'{"params":{"channel":"\xff"}}',
        b'{"params":{"channel":"x","data":' + DEEP,
        b'{"id":1,"usOut":1' + b"0" * 400 + b"}",
    ],
)
def test_a_message_that_is_no_text_or_too_deep_or_of_no_time_is_kept(message):
    def check(taking):
        taking.take_whole(message)
        assert taking.intake.handed_over()[0][-1] == message
        assert taking.clock.now_ms() - NOW_MS < HOUR_MS

    run(check)


def test_a_stamp_an_hour_ahead_hides_neither_how_old_data_are_nor_what_comes_then():
    def check(taking):
        ahead, late = NOW_MS + HOUR_MS, NOW_MS - 1_000
        taking.take(INDEX, PRICE | {"timestamp": ahead})
        taking.take(FUNDING, {"timestamp": ahead})
        taking.take(TICKER, TRADE | {"timestamp": ahead})
        taking.take(TRADES, [TRADE | {"timestamp": ahead}])
        taking.take(CANDLES, BAR | {"tick": ahead})
        assert all(one.newest_ms is None for one in taking.board.sources.values())
        assert taking.board.counts["unreadable"] == 5
        for at in (late, NOW_MS):
            taking.take(INDEX, PRICE | {"timestamp": at})
        for at in (NOW_MS - 60_000, NOW_MS):
            taking.take(CANDLES, BAR | {"tick": at})
        rows = taking.rows()
        assert len(rows["index_prices"]) == len(rows["perpetuals_ohlcv"]) == 1
        assert len(rows["option_trades"]) == 0

    run(check)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_price_of_an_index_is_folded_as_unreadable(odd):
    body = b'{"params":{"data":%s}}' % with_member(PRICE, "timestamp", odd)
    at = pa.array([NOW_MS * 1000], pa.int64()).cast(SCHEMA.types[0])
    columns = [at, pa.array([1], pa.int32()), pa.array([INDEX.name]), pa.array([body], pa.binary())]
    batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    assert decode(batch)["refused"].to_list() == ["message:unreadable"]


def test_channels_nobody_asked_for_are_kept_and_not_remembered():
    def check(taking):
        known = len(taking.intake.routes)
        for number in range(3):
            taking.take(channels.index(f"stranger_{number}"), {})
        assert len(taking.intake.routes) == known
        assert taking.board.counts["unknown_channel"] == len(taking.intake.handed_over()) == 3

    run(check)
