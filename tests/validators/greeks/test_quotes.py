"""Which quotes are held against the exchange's Greeks, and what their digits leave open."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from validators.greeks.quotes import REASONS, flat_marks, left_out, minutes_left, with_halves

AT = datetime(2025, 10, 16, 12, tzinfo=UTC)
GOOD = {
    "timestamp": AT,
    "quoted_at": AT + timedelta(seconds=3),
    "expiry": datetime(2025, 10, 17, 8, tzinfo=UTC),
    "underlying": "BTC",
    "strike": 100_000.0,
    "mark_price": 0.0123,
    "mark_iv": 0.5,
    "underlying_price": 108_000.25,
    "delta": 0.5,
    "gamma": 1e-5,
    "vega": 30.0,
    "theta": -80.0,
    "rho": 5.0,
}


def quotes(*changes):
    return pl.DataFrame([GOOD | change for change in changes], infer_schema_length=None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"mark_price": 0.0}, None),
        ({"vega": None}, "no_greeks"),
        ({"rho": float("nan")}, "no_greeks"),
        ({"underlying_price": None}, "no_underlying_price"),
        ({"underlying_price": 0.0}, "no_underlying_price"),
        ({"mark_iv": None}, "no_mark_iv"),
        ({"mark_iv": 0.0}, "no_mark_iv"),
        ({"mark_iv": float("nan")}, "no_mark_iv"),
        ({"mark_price": None}, "no_mark_price"),
        ({"strike": 1e13}, "out_of_range"),
        ({"strike": 0.0}, "out_of_range"),
        ({"strike": None}, "out_of_range"),
        ({"mark_iv": 1e-13}, "out_of_range"),
        ({"theta": -1e13}, "out_of_range"),
        ({"quoted_at": GOOD["expiry"] - timedelta(seconds=29)}, "expired"),
        ({"quoted_at": GOOD["expiry"] - timedelta(seconds=31)}, None),
        ({"quoted_at": GOOD["expiry"] + timedelta(seconds=1)}, "expired"),
        ({"quoted_at": AT - timedelta(seconds=31)}, "stale"),
        ({"quoted_at": AT - timedelta(seconds=30)}, None),
        ({"quoted_at": AT - timedelta(seconds=31), "delta": None}, "no_greeks"),
    ],
)
def test_a_quote_is_left_out_for_the_first_reason_that_holds(change, reason):
    found = quotes(GOOD, change).select(left_out(stale_s=30))["reason"].to_list()

    assert found == [None, reason]
    assert reason is None or reason in REASONS


def test_how_old_a_ticker_may_be_is_the_user_s():
    late = quotes({"quoted_at": AT - timedelta(seconds=31)})

    assert late.select(left_out(stale_s=60))["reason"].to_list() == [None]


def test_minutes_to_expiry_are_the_nearest():
    seconds = pl.DataFrame({"s": [29.0, 31.0, 90.5, 89.5, -40.0]})

    assert seconds.select(minutes_left(pl.col("s")))["s"].to_list() == [0, 1, 2, 1, -1]


def test_how_many_digits_are_printed_is_seen_on_all_rows_of_an_underlying():
    rows = with_halves(
        quotes(
            {"underlying_price": 108_000.0, "mark_price": 0.01},
            {"underlying_price": 108_000.25, "mark_price": 0.0123},
            {"underlying": "XRP_USDC", "underlying_price": 2.4371, "mark_price": 0.00012345},
            {"underlying": "DOGE_USDC", "underlying_price": 0.1234567891, "mark_price": 3.0},
        )
    )

    assert rows["underlying_price_half"].to_list() == pytest.approx([5e-3, 5e-3, 5e-5, 5e-9])
    assert rows["mark_price_half"].to_list() == pytest.approx([5e-5, 5e-5, 5e-9, 0.5])


def test_one_volatility_at_three_strikes_of_an_expiry_is_a_placeholder():
    flat = [{"strike": strike, "mark_iv": 0.8} for strike in (1.0, 2.0, 3.0)]
    skewed = [{"underlying": "ETH", "strike": s, "mark_iv": s / 5} for s in (1.0, 2.0, 3.0)]
    pair = [{"underlying": "SOL", "strike": strike} for strike in (1.0, 2.0)]

    assert flat_marks(quotes(*flat, *skewed, *pair)) == 3
