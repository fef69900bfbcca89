"""Surfaces of trades and of snapshots: right where there is one, a reason where there is none."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from etl.compute.forward_curve import COLUMNS as WITNESSED
from etl.compute.forward_curve import curve_of
from etl.compute.option_iv import COLUMNS, vols_of
from etl.compute.surface_quotes import CURVE, TRADED, Chain, of_tickers, of_trades
from etl.compute.vol_slices import slices_of, usable
from lake.arrow import arrow
from lake.span import Span
from quant.black76 import with_price_and_greeks
from quant.essvi import total_variance
from tests.priced_trades import NOON, priced
from validators.contract import check
from validators.schemas.vol_slices import VolSlices

START = round(NOON.timestamp() * 1000)
EXPIRIES = {"31OCT25": 14.83, "28NOV25": 42.83, "26DEC25": 70.83}  # days from noon
RATIOS = (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4)


def smile(k, days):
    """Return the volatility of a surface free of arbitrage: SSVI with a power law."""
    tenor = days / 365
    theta = np.array(0.25 * tenor)
    psi = 0.9 * np.sqrt(theta)
    return float(np.sqrt(total_variance(np.array(k), theta, np.array(-0.2), psi) / tenor))


def chain(after, days=EXPIRIES, ratios=RATIOS, base="BTC", **more):
    """Return a trade of each expiry and strike out of the money, all at the right volatility."""
    rows = []
    for day, left in days.items():
        for ratio in ratios:
            name = f"{base}-{day}-{round(100_000 * ratio)}-{'C' if ratio >= 1 else 'P'}"
            iv = smile(np.log(ratio), left - after / 86_400)
            rows.append({"instrument": name, "after": after, "iv": iv, "basis": 0.0} | more)
    return rows


def coded(trades, columns):
    table = arrow(trades).select(columns)
    at = columns.index("instrument")
    return table.set_column(at, "instrument", table["instrument"].dictionary_encode())


def surfaces(rows, *, hours=1, every=60, with_blocks=False):
    """Return the smiles of trades, a row an expiry and hour."""
    trades = priced(rows)
    span = Span(START, START + (hours + 1) * 3_600_000)
    curve = curve_of([coded(trades, WITNESSED)], [], span)
    vols = vols_of(coded(trades, COLUMNS), curve).with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    )
    told = usable(vols, with_blocks=with_blocks).select(TRADED)
    made = slices_of(of_trades(told, curve.select(CURVE), every=every))
    check(made, VolSlices)
    return made


def at(made, hours):
    return made.filter(pl.col("timestamp") == NOON + timedelta(hours=hours))


# A forward is known from the minute after the first trades on: those come before the chains.
KNOWN = chain(0, ratios=(1.0,))
LATE = chain(3_700, ratios=(1.0,))  # so that the hour at one o'clock is told
HOUR = [*KNOWN, *chain(600), *chain(1_800), *LATE]


def test_the_trades_of_an_hour_make_the_surface_of_the_next_full_hour():
    made = at(surfaces(HOUR), 1)

    assert made["status"].to_list() == ["ok"] * 3
    assert made["quotes"].to_list() == [18, 18, 18]
    assert made["atm_iv"].to_list() == pytest.approx([0.5] * 3, abs=1e-3)
    assert made["rho"].to_list() == pytest.approx([-0.2] * 3, abs=0.02)
    assert made["violations_after"].to_list() == [0, 0, 0]
    assert made["forward"].to_list() == pytest.approx([100_000.0] * 3)


def test_what_was_agreed_or_forced_shapes_no_surface():
    lie = {"iv": 1.5}
    odd = [
        row | lie | flag
        for row in chain(1_200)
        for flag in ({"block_trade_id": "BLOCK-1"}, {"combo_id": "BTC-CS-1"}, {"liquidation": "T"},
                     {"block_rfq_id": "9"})
    ]  # fmt: skip

    assert_frame_equal(at(surfaces(HOUR), 1), at(surfaces([*HOUR, *odd]), 1))


def test_blocks_shape_a_surface_where_they_are_taken_in():
    agreed = [row | {"block_trade_id": "BLOCK-1"} for row in chain(1_200)]

    made = at(surfaces([*HOUR, *agreed], with_blocks=True), 1)

    assert made["quotes"].to_list() == [27, 27, 27]


def test_a_finer_grid_has_a_surface_of_the_trades_since_the_one_before():
    made = surfaces(HOUR, every=15)

    counts = made.filter(pl.col("expiry") == pl.col("expiry").min())
    assert counts["timestamp"].dt.minute().to_list() == [0, 15, 30, 45, 0]
    # at ten minutes past and at half past; what comes at a moment is not before it
    assert counts["quotes"].to_list() == [0, 9, 0, 9, 0]


def test_a_coarser_grid_takes_trades_of_the_last_hour_alone():
    late = [row | {"after": row["after"] + 12_000} for row in [*chain(600), *chain(2_500)]]

    made = surfaces([*HOUR, *late], hours=5, every=240)

    assert made["timestamp"].dt.hour().unique().sort().to_list() == [12, 16]
    assert at(made, 4)["quotes"].to_list() == [9, 9, 9]


def test_fills_of_one_order_count_once():
    twice = [*KNOWN, *chain(600), *chain(600, trade_seq=77), *chain(1_800), *LATE]

    assert at(surfaces(twice), 1)["quotes"].to_list() == [18, 18, 18]


@pytest.mark.parametrize("strikes", [1, 2])
def test_an_expiry_with_one_or_two_strikes_has_no_smile_and_touches_no_other(strikes):
    thin = {"14NOV25": 28.83}
    few = chain(700, days=thin, ratios=RATIOS[4 : 4 + strikes])
    late = chain(3_700, days=thin, ratios=(1.0,))

    made = at(surfaces([*HOUR, *chain(0, days=thin, ratios=(1.0,)), *few, *late]), 1)
    told = made.row(1, named=True)

    assert (told["status"], told["quotes"], told["theta"]) == ("few_quotes", strikes, None)
    assert_frame_equal(
        made.filter(status="ok").drop("calendar_margin"),
        at(surfaces(HOUR), 1).drop("calendar_margin"),
    )


def test_an_hour_without_trades_has_no_surface_and_never_an_older_one():
    again = [row | {"after": row["after"] + 7_300} for row in LATE]

    made = surfaces([*HOUR, *again], hours=4)

    assert at(made, 3)["status"].to_list() == ["no_quotes"] * 3
    assert at(made, 3)["theta"].null_count() == 3
    assert at(made, 3)["quotes"].to_list() == [0, 0, 0]


def test_a_sparse_hour_is_drawn_toward_the_hour_before():
    off = [row | {"iv": row["iv"] + 0.02} for row in chain(4_000, ratios=(0.95,))]
    late = chain(7_300, ratios=(1.0,))

    made = at(surfaces([*HOUR, *off, *late], hours=2), 2)

    assert made["status"].to_list() == ["ok"] * 3
    assert (made["atm_iv"] - 0.5).to_list() == pytest.approx([0.01] * 3, abs=0.012)
    assert (made["atm_error"] > at(surfaces(HOUR), 1)["atm_error"]).all()


def test_a_surface_of_older_trades_is_less_sure():
    old, new = (at(surfaces([*KNOWN, *chain(after), *LATE]), 1) for after in (120, 3_580))

    assert (old["atm_error"] > 1.3 * new["atm_error"]).all()


def test_less_than_four_hours_before_expiry_there_is_no_smile():
    soon = {"17OCT25": 0.83}
    late = [row | {"after": row["after"] + 16.6 * 3600} for row in chain(600, days=soon)]
    end = [row | {"after": 17.1 * 3600} for row in chain(0, days=soon, ratios=(1.0,))]

    made = surfaces([*KNOWN, *chain(0, days=soon, ratios=(1.0,)), *late, *end], hours=18)
    last = at(made, 17).filter(pl.col("tenor") < 4 / 8760)

    assert last["status"].to_list() == ["near_expiry"]
    assert last["atm_iv"].to_list() == [None]


def test_a_smile_that_its_quotes_do_not_pin_down_is_none():
    wing = np.array([1.0, 1.01, 1.02])  # seven deviations out: parameters trade off as they like
    none = np.zeros(1, np.int64)
    expiry = np.array([round(NOON.timestamp() * 1e6) + 30 * 86_400_000_000])
    far = Chain(
        round(NOON.timestamp() * 1e6), "BTC", "trades", expiry, np.array([100_000.0]), none,
        np.zeros(3, np.int64), 2.5 * wing, np.array([0.1, 0.9, 2.0]), np.full(3, 0.01), none, none,
    )  # fmt: skip

    made = slices_of([far])

    assert made.select("status", "quotes", "atm_iv").row(0) == ("no_fit", 3, None)
    check(made, VolSlices)


def test_the_order_of_fills_of_a_millisecond_changes_no_bit():
    trades, ratio = priced(HOUR), np.arange(0.99, 1.011, 0.0005)
    span = Span(START, START + 7_200_000)
    curve = curve_of([coded(trades, WITNESSED)], [], span)
    vols = vols_of(coded(trades, COLUMNS), curve).with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    )
    several = pl.concat([usable(vols).with_columns(pl.col("iv") * each) for each in ratio])

    told = [
        slices_of(of_trades(each.select(TRADED), curve.select(CURVE)))
        for each in (several, several.reverse(), several.sample(fraction=1, shuffle=True, seed=3))
    ]

    assert told[0].equals(told[1])
    assert told[0].equals(told[2])


def test_the_same_trades_make_the_same_surface_to_the_bit():
    assert surfaces(HOUR).equals(surfaces(HOUR))


# Snapshots.


def quotes(*, spread=0.0005, marks=None, days=EXPIRIES, ratios=RATIOS):
    """Return the chain of an instant: marks at the right volatility, bids and asks around them."""
    rows = []
    for day, left in days.items():
        for ratio in ratios:
            rows += [
                {
                    "expiry_day": day, "strike": float(round(100_000 * ratio)), "option_type": side,
                    "tenor": left / 365, "iv": marks or smile(np.log(ratio), left),
                }
                for side in ("call", "put")
            ]  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(
        forward=pl.lit(100_000.0), instrument_type=pl.lit("reversed")
    )
    priced_rows = with_price_and_greeks(frame)
    fair = pl.col("model_price")
    left = pl.duration(microseconds=(pl.col("tenor") * 365 * 86_400e6).round().cast(pl.Int64))
    return priced_rows.select(
        pl.lit(NOON).dt.cast_time_unit("us").alias("timestamp"),
        pl.lit("BTC").alias("underlying"),
        (pl.lit(NOON).dt.cast_time_unit("us") + left).alias("expiry"),
        "strike", "option_type",
        bid_price=((fair - spread / 2) / 0.0001).floor() * 0.0001,
        ask_price=((fair + spread / 2) / 0.0001).ceil() * 0.0001,
        mark_price="model_price", mark_iv="iv", underlying_price="forward",
    ).with_columns(bid_price=pl.when(pl.col("bid_price") > 0).then("bid_price"))  # fmt: skip


def of_source(frame, source):
    made = slices_of(of_tickers(frame))
    check(made, VolSlices)
    return made.filter(pl.col("source") == source)


def test_marks_of_a_snapshot_make_the_surface_they_are_of():
    made = of_source(quotes(), "marks")

    assert made["status"].to_list() == ["ok"] * 3
    assert made["atm_iv"].to_list() == pytest.approx([0.5] * 3, abs=1e-4)
    assert made["rmse"].max() < 1e-3
    assert made["violations_before"].to_list() == [0, 0, 0]


def test_mids_of_a_snapshot_make_it_within_half_their_spread():
    made = of_source(quotes(), "mids")

    assert made["status"].to_list() == ["ok"] * 3
    assert made["atm_iv"].to_list() == pytest.approx([0.5] * 3, abs=5e-3)


def test_marks_that_are_all_alike_are_no_surface():
    made = of_source(quotes(marks=0.8), "marks")

    assert made["status"].to_list() == ["flat_marks"] * 3
    assert made["theta"].null_count() == 3


def in_the_middle(name, value):
    """Return the sound chain, the second of three expiries having something else in a column."""
    sound = quotes()
    middle = sound["expiry"].unique().sort()[1]
    told = pl.when(pl.col("expiry") == middle).then(value).otherwise(name)
    return sound.with_columns(told.alias(name))


@pytest.mark.parametrize("level", [0.3, 0.8, 5.0])
def test_flat_marks_of_one_expiry_are_no_smile_and_move_no_other(level):
    made = of_source(in_the_middle("mark_iv", level), "marks")

    assert made["status"].to_list() == ["ok", "flat_marks", "ok"]
    assert made["atm_iv"].to_list() == pytest.approx([0.5, None, 0.5], abs=1e-4)
    assert made["repaired"].to_list() == [0, 0, 0]


@pytest.mark.parametrize("source", ["mids", "marks"])
@pytest.mark.parametrize("forward", [1.0, 200_000.0, 1e9])
def test_a_forward_far_from_all_others_is_none_and_moves_no_other(source, forward):
    made = of_source(in_the_middle("underlying_price", forward), source)

    assert made["status"].to_list() == ["ok", "no_forward", "ok"]
    assert made["forward"].to_list() == [100_000.0, None, 100_000.0]
    assert made["atm_iv"].to_list() == pytest.approx([0.5, None, 0.5], abs=5e-3)


def test_marks_too_far_out_to_be_worth_anything_are_left_out():
    soon = quotes(days={"17OCT25": 20 / 24}, ratios=(0.2, *RATIOS, 5.0))

    made = of_source(soon, "marks")

    assert made["status"].to_list() == ["ok"]
    assert made["quotes"].to_list() < [len(RATIOS) + 2]
    assert made["atm_iv"].to_list() == pytest.approx([0.5], abs=1e-3)


def test_crossed_quotes_and_those_below_intrinsic_are_left_out():
    sound = quotes()
    is_crossed = (pl.col("strike") == 110_000) & (pl.col("option_type") == "call")
    broken = sound.with_columns(
        bid_price=pl.when(is_crossed).then(pl.col("ask_price") + 0.001).otherwise("bid_price")
    )

    made, before = of_source(broken, "mids"), of_source(sound, "mids")

    assert made["status"].to_list() == ["ok"] * 3
    assert (made["left_out"] - before["left_out"]).to_list() == [1, 1, 1]
    assert (before["quotes"] - made["quotes"]).to_list() == [1, 1, 1]


def test_arbitrage_among_quotes_is_counted_and_repaired_before_the_fit():
    sound = quotes()
    is_dear = (pl.col("strike") == 120_000) & (pl.col("option_type") == "call")
    far = pl.col("expiry") == sound["expiry"].min()
    broken = sound.with_columns(
        pl.when(is_dear & far).then(pl.col(name) + 0.02).otherwise(pl.col(name)).alias(name)
        for name in ("bid_price", "ask_price")
    )

    made, before = of_source(broken, "mids"), of_source(sound, "mids")

    assert made["violations_before"][0] > before["violations_before"][0]
    assert made["worst_before"][0] > 0.001
    assert made["repaired"][0] > 0
    assert made["violations_after"].to_list() == [0, 0, 0]
    assert made["min_density"].min() >= 0


def test_an_expiry_without_a_forward_has_no_smile():
    sound = quotes()
    none = pl.when(pl.col("expiry") != sound["expiry"].min()).then("underlying_price")

    made = of_source(sound.with_columns(underlying_price=none), "mids")

    assert made["status"].to_list() == ["no_forward", "ok", "ok"]


def test_an_expiry_without_a_quote_has_no_smile():
    bare = pl.when(pl.col("expiry") != quotes()["expiry"].max()).then("bid_price")

    made = of_source(quotes().with_columns(bid_price=bare), "mids")

    assert made["status"].to_list() == ["ok", "ok", "no_quotes"]
