"""Candles of options are made of trades, and only where all of them were heard."""

from etl.collect.confirm import Part
from etl.collect.unheard import Unheard
from tests.etl.collect.test_foreign_bytes import NOW_MS, TRADE, TRADES, run

MINUTE_MS = 60_000
PART = Part("option_trades", "BTC")


def test_a_candle_of_trades_waits_until_rest_told_what_was_not_heard():
    def check(taking):
        desk = taking.desk
        taking.clock.heard((NOW_MS + MINUTE_MS) * 1000)
        taking.clock.heard((NOW_MS + MINUTE_MS) * 1000)  # the minute of the trade is over
        taking.take(TRADES, [TRADE])
        assert len(taking.rows()["options_ohlcv"]) == 0  # nobody knows what was before the start
        desk.heard_again([TRADES], NOW_MS - MINUTE_MS)
        desk.looked(PART, NOW_MS - 1)
        assert len(taking.rows()["options_ohlcv"]) == 1
        desk.hushed([TRADES])
        taking.take(TRADES, [TRADE | {"trade_seq": 2, "trade_id": "2", "timestamp": NOW_MS + 1}])
        assert taking.rows()["options_ohlcv"]["volume"].to_list() == [2.0]

    run(check)


def test_a_minute_that_is_not_over_has_no_candle_of_trades():
    def check(taking):
        taking.clock.heard(NOW_MS * 1000)
        taking.desk.heard_again([TRADES], NOW_MS - MINUTE_MS)
        taking.desk.looked(PART, NOW_MS - 1)
        taking.take(TRADES, [TRADE])
        assert len(taking.rows()["option_trades"]) == 1
        assert len(taking.rows()["options_ohlcv"]) == 0

    run(check)


def test_what_rest_told_before_a_connection_was_heard_again_makes_nothing_whole():
    unheard = Unheard()
    unheard.hushed("BTC", 100)
    unheard.looked("BTC", 200)
    assert unheard.since == {"BTC": 200}
    unheard.heard_again("BTC", 300)
    unheard.looked("BTC", 299)
    assert unheard.since == {"BTC": 299}
    unheard.looked("BTC", 300)
    assert unheard.since == {}


def test_a_connection_that_ends_again_is_unheard_from_where_it_first_was():
    unheard = Unheard()
    unheard.hushed("BTC", 100)
    unheard.heard_again("BTC", 150)
    unheard.hushed("BTC", 200)
    unheard.looked("BTC", 160)
    assert unheard.since == {"BTC": 160}
