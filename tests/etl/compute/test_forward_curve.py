"""Forwards of expiries: recovered from other trades, futures and neighbours, never from later."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from etl.compute.forward_curve import COLUMNS, FORWARD_CURVE, curve_of
from etl.compute.run import Ask, compute
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum
from lake.span import Span
from lake.write import publish_table
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.priced_trades import NOON, moment, priced
from validators.contract import check, layout_of
from validators.schemas.forward_curve import ForwardCurve
from validators.schemas.option_trades import OptionTrades

HOUR = Span(round(NOON.timestamp() * 1000), round(NOON.timestamp() * 1000) + 3_600_000)
SHORT, FRONT, MIDDLE, BACK = (
    f"BTC-{day}-100000-C" for day in ("17OCT25", "31OCT25", "28NOV25", "26DEC25")
)


def coded(trades: pl.DataFrame) -> pa.Table:
    table = arrow(trades).select(COLUMNS)
    return table.set_column(1, "instrument", table["instrument"].dictionary_encode())


def curve(rows, closes=()):
    made = curve_of([coded(priced(rows))], closes, HOUR)
    check(made, ForwardCurve)
    return made


def at(made, name, after_s):
    day = datetime.strptime(name.split("-")[1], "%d%b%y").replace(hour=8, tzinfo=UTC)
    found = made.filter(pl.col("expiry") == day, pl.col("timestamp") == moment(after_s))
    return found.row(0, named=True)


def trade(name, after, iv=0.5, basis=0.01, **more):
    return {"instrument": name, "after": after, "iv": iv, "basis": basis, **more}


def test_the_forward_of_other_trades_is_recovered_to_a_hundredth_of_a_basis_point():
    made = curve([trade(FRONT, after, iv=0.45 + after / 1e4) for after in (5, 15, 30, 70)])

    found = at(made, FRONT, 60)

    assert found["basis"] == pytest.approx(0.01, abs=1e-6)
    assert found["source"] == "trade"
    assert found["witnesses"] == 3
    assert found["seen_at"] == moment(30)


def test_trades_of_a_minute_do_not_enter_the_forward_of_that_minute():
    before = [trade(FRONT, after) for after in (5, 15, 30)]
    true = curve([*before, trade(FRONT, 61)])
    false = curve([*before, trade(FRONT, 61, basis=0.02), trade(FRONT, 62, basis=0.02)])

    assert at(true, FRONT, 60) == at(false, FRONT, 60)


def test_one_absurd_witness_among_many_moves_nothing():
    rows = [trade(FRONT, 5 * n) for n in range(8)]
    rows[4]["basis"] = 0.03

    found = at(curve([*rows, trade(FRONT, 61)]), FRONT, 60)

    assert found["basis"] == pytest.approx(0.01, abs=2e-6)


def test_an_expiry_without_witnesses_lies_between_its_neighbours():
    rows = [trade(FRONT, 5, basis=0.004), trade(BACK, 6, basis=0.02), trade(MIDDLE, 61)]

    found = at(curve(rows), MIDDLE, 60)

    assert found["basis"] == pytest.approx(0.012, rel=1e-3)  # 28 of the 56 days between them
    assert found["source"] == "interpolated"
    assert found["error"] > 3e-4


def test_before_the_first_known_expiry_the_line_begins_at_the_index():
    rows = [trade(FRONT, 5, basis=0.004), trade(SHORT, 61, basis=0.0)]

    found = at(curve(rows), SHORT, 60)

    days, own = 14 + 20 / 24, 20 / 24
    assert found["source"] == "interpolated"
    assert found["basis"] == pytest.approx(0.004 * own / days, rel=1e-3)


def test_behind_the_last_known_expiry_the_carry_stays_and_the_error_grows():
    rows = [trade(FRONT, 5, basis=0.004), trade(BACK, 61)]

    found = at(curve(rows), BACK, 60)

    assert found["source"] == "extrapolated"
    assert found["basis"] == pytest.approx(0.004 * 70.83 / 14.83, rel=1e-3)
    assert found["error"] > 1e-3


def test_where_nothing_is_known_there_is_no_forward():
    found = at(curve([trade(FRONT, 5)]), FRONT, 0)

    assert (found["basis"], found["source"], found["seen_at"]) == (None, "none", None)


def test_the_last_price_of_the_expirys_future_is_a_witness():
    close = 100_000.0 * np.exp(0.007)
    candles = pa.table(
        {
            "timestamp": pa.array([moment(0), moment(60)], pa.timestamp("us", "UTC")),
            "close": [close, close * 1.5],
            "volume": [2.0, 0.0],  # the second is a filler
        }
    )
    rows = [trade(BACK, 30, basis=0.02), trade(FRONT, 185, basis=0.007)]

    found = at(curve(rows, [("BTC-31OCT25", candles)]), FRONT, 180)

    assert found["source"] == "future"
    assert found["basis"] == pytest.approx(0.007, abs=1e-6)
    assert found["seen_at"] == moment(60)


@pytest.mark.parametrize("price", [0.0, 1.0, 1e9])
def test_a_future_or_a_ticker_of_another_scale_tells_no_forward(price):
    candles = pa.table(
        {
            "timestamp": pa.array([moment(0)], pa.timestamp("us", "UTC")),
            "close": [price],
            "volume": [2.0],
        }
    )
    said = pl.DataFrame({"underlying": "BTC", "underlying_price": price, "index_price": 100_000.0})
    expiry = datetime(2025, 10, 31, 8, tzinfo=UTC)
    ticker = said.with_columns(
        pl.lit(when).dt.cast_time_unit("us").alias(name)
        for name, when in (("timestamp", moment(59)), ("expiry", expiry))
    )
    rows = [trade(BACK, 30, basis=0.02), trade(FRONT, 185)]

    made = curve_of([coded(priced(rows))], [("BTC-31OCT25", candles)], HOUR, [ticker])

    assert at(made, FRONT, 180)["source"] == "interpolated"
    assert_frame_equal(made, curve(rows))


def test_one_round_index_is_not_taken_for_rounded_by_a_hundredth():
    name = "XRP_USDC-31OCT25-0d625-C"
    rows = [trade(name, after, basis=0.0, index_price=0.625) for after in (5, 61)]

    found = at(curve(rows), name, 60)

    assert found["source"] == "trade"
    assert found["error"] < 5e-4


def test_trades_of_blocks_tell_no_forward():
    rows = [trade(FRONT, 5, basis=0.03, block_trade_id="BLOCK-1"), trade(FRONT, 61)]

    assert at(curve(rows), FRONT, 60)["source"] == "none"


def test_what_is_older_than_a_day_tells_nothing():
    early = priced([trade(FRONT, -86_500)])
    late = priced([trade(FRONT, 61)])

    made = curve_of([coded(early), coded(late)], [], HOUR)

    assert at(made, FRONT, 60)["source"] == "none"


def test_a_month_begins_with_what_the_day_before_it_saw(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    turn = (datetime(2025, 11, 1, tzinfo=UTC) - NOON).total_seconds()
    for month, rows in {
        "2025-10": [trade(MIDDLE, turn - 90_000, basis=0.05), trade(MIDDLE, turn - 600)],
        "2025-11": [trade(MIDDLE, turn + 30)],
    }.items():
        partition = Partition("option_trades", "BTC", month)
        table = arrow(priced(rows))
        publish_table(table, lake.clean(partition), **layout_of(OptionTrades))
        span = partition.span
        line = Record(rows=len(rows), checksum=checksum(table), first_ms=span.start_ms,
                      last_ms=span.end_ms - 1)  # fmt: skip
        write_record(lake, partition, line)

    compute(lake, FORWARD_CURVE, Listing(0, {}), LogProgress(), Ask())

    path = lake.derived(Partition("forward_curve", "BTC", "2025-11"))
    found = pl.read_parquet(path).row(0, named=True)
    assert found["timestamp"] == datetime(2025, 11, 1, tzinfo=UTC)
    assert (found["source"], found["witnesses"]) == ("trade", 1)
    assert found["basis"] == pytest.approx(0.01, abs=1e-4)


def test_a_basis_runs_down_to_nothing_at_expiry():
    hours = curve([trade(FRONT, 5), trade(FRONT, 3599)]).filter(pl.col("source") == "trade")

    assert hours["carry"].to_list() == pytest.approx(
        [0.01 / (14.8333 / 365)] * len(hours), rel=1e-3
    )


def test_every_living_expiry_that_traded_has_a_row_each_hour():
    span = Span(HOUR.start_ms, HOUR.start_ms + 3 * 3_600_000)
    rows = [trade(FRONT, 5), trade(SHORT, 10, basis=0.0), trade(FRONT, 7_300)]

    made = curve_of([coded(priced(rows))], [], span)
    hours = made.filter(pl.col("timestamp").dt.minute() == 0, pl.col("witnesses") > 0)

    assert hours.group_by("timestamp").len().sort("timestamp")["len"].to_list() == [2, 2]


@pytest.mark.parametrize("form", ["ssvi", "mixture"])
@pytest.mark.parametrize("currency", ["BTC", "USDC"])
def test_stated_errors_hold_the_true_forward_in_99_of_100_minutes(form, currency):
    market = Market(7, milliseconds("2025-12-01"), surface=form)
    start, end = milliseconds("2025-10-16"), milliseconds("2025-10-17")
    sent = market.option_trades(currency, start, end)
    truth = market.option_truth(currency, start, end)
    trades = sent.select(
        pl.col("timestamp").mul(1000).cast(pl.Datetime("us", "UTC")),
        pl.col("instrument_name").alias("instrument"), "trade_seq", "price",
        (pl.col("iv") / 100).round(10), "index_price", "block_trade_id",
        pl.col("block_rfq_id").cast(pl.String),
    ).sort("instrument", "timestamp", "trade_seq")  # fmt: skip

    made = curve_of([coded(trades)], [], Span(start, end))
    asked = trades.join(
        truth.rename({"instrument_name": "instrument"}), on=["instrument", "trade_seq"]
    )
    day = pl.col("instrument").str.split("-").list.get(1).str.to_titlecase()
    told = asked.with_columns(
        pl.col("timestamp").dt.truncate("1m").alias("minute"),
        pl.col("instrument").str.split("-").list.get(0).alias("underlying"),
        day.str.pad_start(7, "0").str.to_date("%d%b%y").cast(pl.Datetime("us", "UTC"))
        .dt.offset_by("8h").alias("expiry"),
    ).join(made.rename({"timestamp": "minute"}), on=["underlying", "expiry", "minute"])  # fmt: skip
    off = (pl.col("forward") / pl.col("index_price")).log() - pl.col("basis")
    known = told.filter(pl.col("basis").is_not_null())
    inside = known.select((off.abs() <= pl.col("error")).mean()).item()

    assert len(told) == len(trades)
    assert len(known) > 0.99 * len(told)
    assert inside >= 0.99
