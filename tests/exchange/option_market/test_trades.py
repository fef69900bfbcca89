"""The truth about option trades: what every trade says, and that nothing is missing."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from tests.exchange import options
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.option_market import black76
from tests.exchange.option_market.frames import combo_name
from tests.exchange.option_market.rows import encode

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def year(quiet):
    """Trades of all options that ever lived in a few weeks, from their first to their last."""
    window = milliseconds("2024-01-01T00:00"), milliseconds("2024-09-01")
    return {currency: quiet.option_trades(currency, *window) for currency in ("BTC", "USDC")}


@pytest.fixture(scope="module")
def records(quiet):
    then = quiet.at(milliseconds("2024-09-01"))
    return {
        one["instrument_name"]: one
        for currency in ("BTC", "USDC")
        for is_expired in (False, True)
        for one in options.records(then, currency, is_expired=is_expired)
    }


def test_trade_seq_counts_each_option_from_one_without_holes(year, records):
    whole = [
        name
        for name, one in records.items()
        if one["creation_timestamp"] >= milliseconds("2024-01-02")
    ]
    for trades in year.values():
        counted = (
            trades.filter(pl.col("instrument_name").is_in(whole))
            .group_by("instrument_name")
            .agg(pl.col("trade_seq"), pl.len().alias("n"))
        )
        assert counted.height > 1_000
        for seqs, count in counted.select("trade_seq", "n").iter_rows():
            assert seqs == list(range(1, count + 1))  # in order of time, as the rows are


def test_rows_ascend_by_time_and_id_and_ids_are_unique(year):
    for trades in year.values():
        number = trades["trade_id"].str.split("-").list.last().cast(pl.Int64)

        assert trades["timestamp"].is_sorted()
        assert (number.diff().drop_nulls() > 0).all()


def test_a_trade_happens_while_its_option_lives(year, records):
    for trades in year.values():
        for name, ms in trades.select("instrument_name", "timestamp").iter_rows():
            assert records[name]["creation_timestamp"] < ms < records[name]["expiration_timestamp"]


def test_windows_put_together_are_the_whole(quiet):
    start, end = milliseconds("2024-03-01T05:00"), milliseconds("2024-03-04T03:00")
    cuts = [start, start + 1, start + DAY_MS, end - 7_777_777, end]
    parts = [quiet.option_trades("BTC", a, b) for a, b in pairwise(cuts)]

    assert pl.concat(parts).equals(quiet.option_trades("BTC", start, end))


def test_two_markets_of_a_seed_agree_and_those_of_two_do_not(quiet):
    window = milliseconds("2024-03-01"), milliseconds("2024-03-02")
    same, other = (Market(seed, quiet.now_ms, option_activity=0.03) for seed in (7, 8))

    assert same.option_trades("BTC", *window).equals(quiet.option_trades("BTC", *window))
    assert not other.option_trades("BTC", *window).equals(quiet.option_trades("BTC", *window))


def test_prices_lie_on_the_grid_of_ticks(year, records):
    for trades in year.values():
        plain = trades.filter(pl.col("combo_id").is_null() & pl.col("block_trade_id").is_null())
        for name, price in plain.select("instrument_name", "price").iter_rows():
            record = records[name]
            steps = [s["tick_size"] for s in record["tick_size_steps"] if price > s["above_price"]]
            tick = steps[-1] if steps else record["tick_size"]
            assert price / tick == pytest.approx(round(price / tick), abs=1e-6)
            assert price > 0


def test_amounts_are_lots_and_contracts_amounts_against_the_contract_size(year, records):
    for trades in year.values():
        for name, amount, contracts in trades.select(
            "instrument_name", "amount", "contracts"
        ).iter_rows():
            record = records[name]
            lots = amount / record["min_trade_amount"]
            assert lots == pytest.approx(round(lots), abs=1e-6)
            assert contracts == pytest.approx(amount / record["contract_size"])


def test_iv_is_that_of_the_price_at_the_forward(year, records):
    """The forward of daily options is the index, which every trade says."""
    trades = year["BTC"].filter(pl.col("iv").is_not_null())
    named = {name: one for name, one in records.items() if one["settlement_period"] == "day"}
    daily = trades.filter(pl.col("instrument_name").is_in(list(named)))
    forward = daily["index_price"].to_numpy()
    option = [named[name] for name in daily["instrument_name"]]
    strike = np.array([one["strike"] for one in option])
    expires = np.array([one["expiration_timestamp"] for one in option])
    sign = np.where([one["option_type"] == "call" for one in option], 1.0, -1.0)
    years = (expires - daily["timestamp"].to_numpy()) / (365 * DAY_MS)
    calm = expires - daily["timestamp"].to_numpy() > 1_800_000  # before the average begins
    low, high = (
        black76.price(forward, strike, (daily["iv"].to_numpy() + side) / 100 * np.sqrt(years), sign)
        for side in (-0.0051, 0.0051)
    )
    paid = daily["price"].to_numpy() * forward

    assert trades.height > 0.98 * year["BTC"].height
    assert daily.height > 20_000
    assert (low[calm] <= paid[calm] + 1e-6).all()
    assert (paid[calm] <= high[calm] + 1e-6).all()


def test_several_trades_share_a_millisecond_as_fills_of_one_order(year):
    fills = year["BTC"].with_columns(
        same=(pl.col("timestamp").diff() == 0)
        & (pl.col("instrument_name") == pl.col("instrument_name").shift())
        & (pl.col("trade_seq").diff() == 1)
        & (pl.col("price").diff() == 0)
        & (pl.col("direction") == pl.col("direction").shift())
    )

    assert 0.1 < fills["same"].mean() < 0.25


def test_both_legs_of_a_combo_are_trades_of_one_moment(year):
    legs = year["BTC"].filter(pl.col("combo_id").is_not_null())
    by_combo = legs.group_by("combo_trade_id").agg(
        pl.col("timestamp").n_unique().alias("moments"),
        pl.col("instrument_name").n_unique().alias("options"),
        pl.col("amount").n_unique().alias("amounts"),
        pl.col("direction").n_unique().alias("sides"),
        pl.col("instrument_name").sort().alias("names"),
        pl.col("combo_id").first(),
        pl.col("trade_id").cast(pl.Int64).min().alias("first_leg"),
    )

    assert by_combo.height > 200
    assert by_combo.select((pl.col("moments", "amounts") == 1).all()).row(0) == (True, True)
    assert by_combo.select((pl.col("options", "sides") == 2).all()).row(0) == (True, True)
    assert (by_combo["combo_trade_id"].cast(pl.Int64) < by_combo["first_leg"]).all()
    for names, combo in by_combo.select("names", "combo_id").iter_rows():
        assert combo_name(*names) == combo


def test_blocks_have_as_many_legs_as_they_say(year):
    blocks = year["BTC"].filter(pl.col("block_trade_id").is_not_null())
    counted = blocks.group_by("block_trade_id").agg(
        pl.len(), pl.col("block_trade_leg_count").first().alias("said")
    )

    assert set(counted["said"]) == {1, 2}
    assert (counted["len"] == counted["said"]).all()
    assert blocks["block_trade_id"].str.starts_with("BLOCK-").all()


@pytest.mark.parametrize(
    ("day", "absent"),
    [
        (
            "2017-12-20",
            {"contracts", "mark_price", "combo_id", "block_trade_id", "starbase_match_id"},
        ),
        ("2019-12-20", {"combo_id", "starbase_match_id", "block_rfq_id"}),
        ("2022-12-20", {"starbase_match_id", "block_rfq_id"}),
        ("2025-06-20", {"starbase_match_id", "starbase_timestamp"}),
        ("2026-09-18", set()),
    ],
)
def test_members_come_when_deribit_added_them(day, absent):
    market = Market(7, milliseconds("2026-09-20"))
    start = milliseconds(day)
    trades = market.option_trades("BTC", start, start + DAY_MS // 2)
    empty = {name for name in trades.columns if trades[name].is_null().all()}

    assert absent <= empty
    assert empty - absent <= {"liquidation", "block_trade_id", "block_trade_leg_count",
                              "combo_trade_id", "block_rfq_id", "starbase_timestamp"}  # fmt: skip


def test_the_json_says_what_the_frame_says(quiet):
    tape = quiet.world.options
    for currency, day in (("BTC", 2_200), ("USDC", 2_400), ("BTC", -230), ("ETH", 2_930)):
        session, trades = tape.session(currency, day), tape.trades(currency, day)
        rows = pl.read_ndjson(
            b"\n".join(encode(session, trades, session.order).between(0, len(trades.ms))),
            infer_schema_length=None,
        )
        start = session.start_ms
        frame = Market(7, 1 << 41, option_activity=0.03).option_trades(
            currency, start, start + DAY_MS
        )

        assert rows.equals(frame.select(rows.columns).cast(rows.schema))
        assert all(frame[name].is_null().all() for name in set(frame.columns) - set(rows.columns))


def test_the_last_trade_seq_of_each_option_is_known(quiet):
    start = milliseconds("2025-09-01")
    last = quiet.last_seqs("ETH")
    seen = (
        quiet.option_trades("ETH", start, quiet.now_ms)
        .group_by("instrument_name")
        .agg(pl.col("trade_seq").max().alias("seen"))
    )
    both = last.join(seen, on="instrument_name")

    assert both.height == seen.height
    assert (both["trade_seq"] == both["seen"]).all()
    assert (last["trade_seq"] == 0).any()
    assert last.height > 100_000


def test_nothing_trades_during_an_outage(quiet):
    window = milliseconds("2020-08-27T05:15"), milliseconds("2020-08-27T09:27")

    assert quiet.option_trades("BTC", *window).height == 0
    assert Market(7, quiet.now_ms).option_trades("BTC", window[1], window[1] + 3_600_000).height > 0


def test_an_hour_and_a_half_of_options_expires_at_eight_and_the_first_at_fifteen(quiet):
    first = Market(7, quiet.now_ms).option_trades(
        "BTC", milliseconds("2016-06-10"), milliseconds("2016-07-16")
    )
    mine = first.filter(pl.col("instrument_name").str.starts_with("BTC-15JUL16-"))

    assert mine["timestamp"].max() > milliseconds("2016-07-15T08:00")
    assert mine["timestamp"].max() < milliseconds("2016-07-15T15:00")


def test_a_year_has_more_than_twenty_million_trades():
    tape = Market(7, milliseconds("2025-10-18")).world.options
    first, last = (
        (milliseconds(day) - 1534233600000) // DAY_MS for day in ("2024-06-01", "2025-06-01")
    )
    sampled = sum(
        int(tape.living(currency, day).count.sum())
        for currency in ("BTC", "ETH", "USDC")
        for day in np.arange(first, last, 13).tolist()
    )

    assert sampled * 13 > 20_000_000
