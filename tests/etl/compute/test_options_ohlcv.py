"""Candles of options: equal to a loop over the trades, on every minute of made-up months."""

import math
from datetime import UTC, datetime

import polars as pl
import pytest
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from etl.backfill.seams import digests
from etl.check.status import statuses
from etl.compute.options_ohlcv import OPTIONS_OHLCV, candles_of
from etl.compute.run import Ask, as_told, compute
from etl.instruments.record import Listing
from etl.pipeline import derive
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Gap, Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum, read_table
from lake.views import open_views, select
from lake.write import publish_table
from tests.option_trades import made_up_trades
from validators.contract import check, layout_of
from validators.schemas.candles import OptionsOhlcv
from validators.schemas.option_trades import OptionTrades

JUNE = Partition("option_trades", "BTC", "2024-06")
CANDLES = Partition("options_ohlcv", "BTC", "2024-06")


def by_hand(trades, *, with_blocks):
    """Return the candles of trades, a plain loop over them."""
    found, order = {}, sorted(trades, key=lambda one: (one["timestamp"], one["trade_seq"]))
    for one in order:
        minute = one["timestamp"].replace(second=0, microsecond=0)
        is_block = any(
            one[name] is not None for name in ("block_trade_id", "block_rfq_id", "combo_id")
        )
        mine = found.setdefault((one["instrument"], minute), {"counted": [], "blocks": []})
        if is_block:
            mine["blocks"].append(one)
        if with_blocks or not is_block:
            mine["counted"].append(one)
    return [candle(*key, **of) for key, of in sorted(found.items()) if of["counted"]]


def candle(instrument, minute, counted, blocks):
    prices, last = [one["price"] for one in counted], counted[-1]
    volume = added(one["amount"] for one in counted)
    cost = added(one["price"] * one["amount"] for one in counted)
    return {
        "timestamp": minute, "instrument": instrument, "open": prices[0], "high": max(prices),
        "low": min(prices), "close": prices[-1], "volume": volume, "cost": cost,
        "trades": len(counted), "vwap": cost / volume, "iv": last["iv"],
        "mark_price": last["mark_price"], "index_price": last["index_price"],
        "block_trades": len(blocks), "block_volume": added(one["amount"] for one in blocks),
    }  # fmt: skip


def added(numbers):
    total = 0.0
    for number in numbers:  # `sum` compensates from Python 3.12 on
        total += number
    return total


def publish(lake, trades, **known):
    path, table = lake.clean(JUNE), arrow(trades)
    publish_table(table, path, **layout_of(OptionTrades))
    vouch(lake, Record(rows=len(trades), checksum=checksum(table), wanted=(JUNE.span,), **known))
    return path


def vouch(lake, record):
    """Write the ledger of a month that was held against what lies before: nothing."""
    (seams,) = digests([(JUNE, record)])
    write_record(lake, JUNE, replace(record, seams=seams))


@pytest.mark.parametrize("with_blocks", [False, True])
def test_every_candle_is_what_a_loop_over_the_trades_makes(tmp_path, with_blocks):
    trades = made_up_trades(40_000, options=300, month=datetime(2024, 6, 1, tzinfo=UTC))
    check(trades.sort("instrument", "trade_seq"), OptionTrades)
    path = publish(open_lake(tmp_path, create=True), trades)
    found = candles_of(read_table(path, coded=["instrument"]), with_blocks=with_blocks)

    expected = by_hand(trades.to_dicts(), with_blocks=with_blocks)
    assert len(expected) > 10_000
    assert found.to_dicts() == expected
    check(found, OptionsOhlcv)


def test_a_minute_of_blocks_alone_has_no_candle_unless_they_are_taken_in(tmp_path):
    trades = made_up_trades(2_000, options=50, blocks=1.0)
    lake = open_lake(tmp_path, create=True)
    publish(lake, trades)

    rows = [
        compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask(options=options)).rows
        for options in ({}, {"blocks": 1.0})
    ]
    assert rows[0] == 0
    assert rows[1] > 500


def test_candles_of_a_month_are_published_in_order_and_the_same_each_time(tmp_path):
    lake, content = open_lake(tmp_path, create=True), []
    publish(lake, made_up_trades(20_000, options=100))
    for _ in range(2):
        compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask(anew=True))
        content.append(lake.derived(CANDLES).read_bytes())

    assert content[0] == content[1]
    check(pl.read_parquet(lake.derived(CANDLES)), OptionsOhlcv)


@pytest.mark.parametrize(("reason", "verdict"), [("lost", "INCOMPLETE"), ("seen_once", "COMPLETE")])
def test_candles_are_complete_when_their_trades_are(tmp_path, reason, verdict):
    lake, start = open_lake(tmp_path, create=True), JUNE.span.start_ms
    gap = Gap(start, start + 5_000, reason, rows=3, of="BTC-28JUN24-60000-C", first=7)
    publish(lake, made_up_trades(1_000, options=10), gaps=(gap,))
    compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask())

    (status,) = statuses(lake, "options_ohlcv")
    assert (status.verdict, status.gaps) == (verdict, {reason: 3})


def test_a_month_without_trades_has_no_candles_and_owes_none(tmp_path):
    lake = open_lake(tmp_path, create=True)
    vouch(lake, Record(wanted=(JUNE.span,)))
    compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask())

    (status,) = statuses(lake, "options_ohlcv")
    assert (status.verdict, status.rows) == ("COMPLETE", 0)


def test_members_that_are_absent_are_null(tmp_path):
    trades = made_up_trades(3_000, options=20).with_columns(iv=pl.lit(None, pl.Float64))
    path = publish(open_lake(tmp_path, create=True), trades)
    found = candles_of(read_table(path, coded=["instrument"]))

    assert found["iv"].null_count() == len(found)
    assert not any(math.isnan(one) for one in found["index_price"].drop_nulls())


def test_what_was_told_of_blocks_holds_for_what_is_made_unasked(tmp_path):
    lake = open_lake(tmp_path, create=True)
    publish(lake, made_up_trades(2_000, options=50))
    compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask(options={"blocks": 1.0}))
    before = lake.derived(CANDLES).read_bytes()
    derive(lake, ["option_trades"], LogProgress())

    assert lake.derived(CANDLES).read_bytes() == before
    assert as_told(lake, OPTIONS_OHLCV, Listing(0, {})) == [({"blocks": 1.0}, ["BTC"])]


def test_hours_and_days_of_options_are_made_from_their_minutes(tmp_path):
    lake = open_lake(tmp_path, create=True)
    publish(lake, made_up_trades(20_000, options=100))
    compute(lake, OPTIONS_OHLCV, Listing(0, {}), LogProgress(), Ask())
    minutes = pl.read_parquet(lake.derived(CANDLES))

    for view, width in (("options_1h", "1h"), ("options_1d", "1d")):
        found = select(open_views(lake), f"FROM {view}").pl()
        bucket = pl.col("timestamp").dt.truncate(width)
        expected = minutes.group_by("instrument", bucket).agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("trades").sum(),
            minutes=pl.len().cast(pl.Int64),
        )
        assert_frame_equal(
            found.select(expected.columns), expected, check_row_order=False, check_exact=False
        )
