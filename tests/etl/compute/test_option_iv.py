"""Implied volatility of every trade: right where there is one, a reason where there is none."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from etl.compute.forward_curve import COLUMNS as WITNESSED
from etl.compute.forward_curve import curve_of
from etl.compute.option_iv import COLUMNS, vols_of
from etl.instruments.names import with_name_parts
from lake.arrow import arrow
from lake.span import Span
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.priced_trades import NOON, SCHEMA, priced
from validators.contract import check_rows
from validators.schemas.option_iv import OptionIv

HOUR = Span(round(NOON.timestamp() * 1000), round(NOON.timestamp() * 1000) + 3_600_000)
FRONT, PUT, BACK = "BTC-31OCT25-100000-C", "BTC-31OCT25-90000-P", "BTC-26DEC25-100000-C"


def coded(trades, columns):
    table = arrow(trades).select(columns)
    at = columns.index("instrument")
    return table.set_column(at, "instrument", table["instrument"].dictionary_encode())


def vols(rows, *, tick=0.0, curve_of_rows=None, **options):
    trades = priced(rows, tick=tick)
    told = priced(curve_of_rows) if curve_of_rows is not None else trades
    curve = curve_of([coded(told, WITNESSED)], [], HOUR)
    made = vols_of(coded(trades, COLUMNS), curve, **options)
    check_rows(made.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)), OptionIv)
    return made


def trade(name, after, iv=0.5, basis=0.01, **more):
    return {"instrument": name, "after": after, "iv": iv, "basis": basis, **more}


BEFORE = [trade(FRONT, 5 * n) for n in range(4)]


def last(made, name=FRONT):
    return made.filter(pl.col("instrument") == name).row(-1, named=True)


def test_a_trade_has_the_volatility_it_was_priced_at():
    found = last(vols([*BEFORE, trade(FRONT, 61, iv=0.4321)]))

    assert found["status"] == "ok"
    assert found["iv"] == pytest.approx(0.4321, abs=1e-5)
    assert found["exchange_iv"] == 0.4321
    assert found["iv_difference"] == pytest.approx(0, abs=1e-5)
    assert found["forward"] == pytest.approx(101_005.0, abs=0.1)
    assert found["forward_source"] == "trade"
    assert found["forward_age"] == pytest.approx(61 - 15)


def test_the_interval_is_that_of_half_a_price_step():
    rows = [*BEFORE, *(trade(FRONT, 61 + n, iv=0.4 + 0.0137 * n) for n in range(20))]

    found = last(vols(rows, tick=0.0005, curve_of_rows=[*BEFORE, trade(FRONT, 61)]))

    a_point = 0.0008  # of volatility, in coin: phi(d1) sqrt(14.8 / 365) / 100
    assert found["iv_low"] < found["iv"] < found["iv_high"]
    width = (found["iv_high"] - found["iv_low"]) * 100
    assert width == pytest.approx(0.0005 / a_point, rel=0.05)


def test_at_the_least_price_there_is_the_interval_begins_at_nothing():
    far = "BTC-31OCT25-200000-C"
    rows = [*BEFORE, *(trade(far, 61 + n, iv=0.9, price=0.0001 * (n + 1)) for n in range(3))]

    made = vols(rows, tick=0.0001, curve_of_rows=[*BEFORE, trade(FRONT, 61)])
    least = made.filter(pl.col("instrument") == far).row(0, named=True)

    assert least["iv_low"] == 0
    assert 0 < least["iv"] < least["iv_high"]


def test_the_volatility_the_exchange_told_of_a_trade_does_not_change_ours():
    rows = [*BEFORE, trade(FRONT, 61, iv=0.4321)]
    true = vols(rows)
    lied = priced(rows).with_columns(iv=pl.when(pl.col("trade_seq") == 5).then(0.9).otherwise("iv"))
    curve = curve_of([coded(lied, WITNESSED)], [], HOUR)

    found = last(vols_of(coded(lied, COLUMNS), curve))

    assert found["iv"] == last(true)["iv"]
    assert found["iv_difference"] == pytest.approx(0.4321 - 0.9, abs=1e-5)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (trade(FRONT, 61, index_price=None, price=0.05), "no_index"),
        (trade("BTC-31OCT25-50000-C", 61, price=0.3), "below_intrinsic"),
        (trade("BTC-31OCT25-50000-P", 61, price=0.6), "above_maximum"),
        (trade("BTC-16OCT25-100000-C", 61, price=0.01), "expired"),
    ],
)
def test_a_trade_without_a_volatility_has_its_reason(row, status):
    trades = pl.concat([priced(BEFORE), _as_given(row)]).sort("instrument", "timestamp")
    curve = curve_of([coded(priced([*BEFORE, trade(FRONT, 61)]), WITNESSED)], [], HOUR)

    found = last(vols_of(coded(trades, COLUMNS), curve), row["instrument"])

    assert found["status"] == status
    assert found["iv"] is found["iv_low"] is found["iv_high"] is found["iv_difference"] is None


def _as_given(row):
    """Return a trade nothing is priced of."""
    usual = {
        "timestamp": NOON.replace(minute=int(row["after"] // 60), second=int(row["after"] % 60)),
        "trade_seq": 9, "trade_id": "9", "amount": 1.0, "direction": "buy",
        "index_price": row.get("index_price", 100_000.0),
    }  # fmt: skip
    told = {name: usual.get(name, row.get(name)) for name in SCHEMA}
    return pl.DataFrame([told], schema=SCHEMA)


def test_a_trade_in_the_first_minute_of_all_has_no_forward():
    found = vols([trade(FRONT, 5)]).row(0, named=True)

    assert (found["status"], found["forward"], found["forward_source"]) == (
        "no_forward",
        None,
        "none",
    )


def test_a_forward_older_than_is_allowed_is_stale():
    rows = [*BEFORE, trade(FRONT, 1_800)]

    assert last(vols(rows))["status"] == "ok"
    assert last(vols(rows, oldest_s=600.0))["status"] == "stale_forward"


def test_blocks_combos_requests_liquidations_and_late_trades_are_flagged():
    rows = [
        *BEFORE,
        trade(FRONT, 61, block_trade_id="BLOCK-1", block_rfq_id="7"),
        trade(FRONT, 62, combo_id="BTC-CS-31OCT25-1_2", liquidation="T"),
    ]

    made = vols(rows).tail(2)

    assert made["is_block"].to_list() == made["is_rfq"].to_list() == [True, False]
    assert made["is_combo"].to_list() == made["is_liquidation"].to_list() == [False, True]
    assert not made["is_near_expiry"].any()
    assert made["status"].to_list() == ["ok", "ok"]


def test_less_than_four_hours_before_expiry_a_trade_is_flagged():
    rows = [trade("BTC-17OCT25-100000-C", 57_599 + n, basis=0.0) for n in (0, 2)]
    trades = priced(rows)

    made = vols_of(coded(trades, COLUMNS), curve_of([coded(trades, WITNESSED)], [], HOUR))

    assert made["is_near_expiry"].to_list() == [False, True]


@given(
    iv=st.floats(0.2, 2.0),
    basis=st.floats(-0.02, 0.05),
    strike=st.sampled_from([60_000, 80_000, 95_000, 100_000, 110_000, 140_000]),
)
def test_a_price_and_its_volatility_go_round(iv, basis, strike):
    name = f"BTC-26DEC25-{strike}-{'P' if strike < 100_000 else 'C'}"
    witnesses = [trade(BACK, 5 * n, iv=0.5, basis=basis) for n in range(3)]

    found = last(vols([*witnesses, trade(name, 61, iv=iv, basis=basis)]), name)

    assert found["iv"] == pytest.approx(iv, abs=2e-4)


@pytest.mark.parametrize("form", ["ssvi", "mixture"])
@pytest.mark.parametrize("currency", ["BTC", "ETH", "USDC"])
def test_the_true_volatility_lies_in_the_stated_interval_of_99_trades_in_100(form, currency):
    market = Market(7, milliseconds("2025-12-01"), surface=form)
    start, end = milliseconds("2025-10-16"), milliseconds("2025-10-17")
    trades = market.option_trades(currency, start, end).select(
        pl.col("timestamp").mul(1000).cast(pl.Datetime("us", "UTC")),
        pl.col("instrument_name").alias("instrument"), "trade_seq", "price",
        (pl.col("iv") / 100).round(10), "index_price", "block_trade_id",
        pl.col("block_rfq_id").cast(pl.String), "combo_id", "liquidation",
    ).sort("instrument", "timestamp", "trade_seq")  # fmt: skip
    truth = market.option_truth(currency, start, end).rename({"instrument_name": "instrument"})

    made = vols_of(
        coded(trades, COLUMNS), curve_of([coded(trades, WITNESSED)], [], Span(start, end))
    )
    ok = made.with_columns(pl.col("instrument").cast(pl.String)).filter(status="ok")
    known = ok.join(truth, on=["instrument", "trade_seq"], suffix="_true").filter(
        pl.col("iv_true").is_finite()
    )
    widened = known.with_columns(room=_moves_with_the_forward(known) * known["forward_error"])
    inside = (pl.col("iv_true") >= pl.col("iv_low") - pl.col("room")) & (
        pl.col("iv_high").is_null() | (pl.col("iv_true") <= pl.col("iv_high") + pl.col("room"))
    )

    assert len(ok) > 0.95 * len(trades)
    assert widened.select(inside.mean()).item() >= 0.99


def _moves_with_the_forward(rows):
    """Return |d iv / d ln forward| at a premium that stays, by the textbook."""
    said = with_name_parts(rows.select("instrument", "timestamp"))
    left = (said["expiry"] - said["timestamp"]).dt.total_microseconds().to_numpy()
    stdev = rows["iv"].to_numpy() * np.sqrt(left / (365 * 86_400e6))
    ratio = said["strike"].to_numpy() / rows["forward"].to_numpy()
    sign = np.where(said["option_type"] == "call", 1.0, -1.0)
    d1 = -np.log(ratio) / stdev + stdev / 2
    paid_in_coin = ratio * ndtr(sign * (d1 - stdev))
    slope = np.where(said["counter"].is_null(), paid_in_coin, ndtr(sign * d1))
    density = np.exp(-d1 * d1 / 2) / np.sqrt(2 * np.pi)
    return slope * rows["iv"].to_numpy() / (density * stdev)
