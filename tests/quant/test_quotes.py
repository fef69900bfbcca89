"""Which quotes are left out, and the word for it."""

import polars as pl
import pytest

from quant.quotes import STATUSES, with_quote_status

GOOD = {
    "bid_price": 0.0200,
    "ask_price": 0.0210,
    "tick": 0.0005,
    "forward": 60_000.0,
    "strike": 65_000.0,
    "tenor": 0.1,
    "option_type": "call",
    "instrument_type": "reversed",
}
FAULTY = {
    "no_forward": [{"forward": None}, {"forward": 0.0}, {"option_type": None}],
    "expired": [{"tenor": 0.0}, {"tenor": -1.0}, {"tenor": None}],
    "no_bid": [{"bid_price": None}, {"bid_price": 0.0}, {"bid_price": float("nan")}],
    "no_ask": [{"ask_price": None}, {"ask_price": float("inf")}],
    "crossed": [{"bid_price": 0.0215}],
    "in_the_money": [{"option_type": "put"}, {"strike": 55_000.0}],
    "below_intrinsic": [{"strike": 59_000.0, "bid_price": 0.01, "ask_price": 0.012}],
    "above_maximum": [{"bid_price": 1.0, "ask_price": 1.1}],
    "few_ticks": [{"bid_price": 0.0001, "ask_price": 0.0002, "tick": 0.0001}, {"tick": None}],
    "wide_spread": [{"bid_price": 0.010, "ask_price": 0.031}],
}
CASES = [(word, change) for word, changes in FAULTY.items() for change in changes]


def status(*changes):
    schema = {name: pl.String if "type" in name else pl.Float64 for name in GOOD}
    rows = pl.DataFrame([GOOD | change for change in changes], schema=schema)
    return with_quote_status(rows)["quote_status"].to_list()


@pytest.mark.parametrize(("word", "change"), CASES)
def test_a_quote_is_left_out_with_the_word_for_its_fault_and_no_other_quote_is(word, change):
    assert status({}, change, {}) == ["ok", word, "ok"]


def test_every_word_has_a_case():
    assert {"ok", *FAULTY} == set(STATUSES)


def test_of_two_faults_the_first_of_the_list_is_named():
    assert status({"forward": None, "bid_price": None}) == ["no_forward"]


def test_near_the_money_put_and_call_are_both_taken():
    near = {"strike": 61_000.0, "bid_price": 0.05, "ask_price": 0.051}

    assert status(near, near | {"option_type": "put"}) == ["ok", "ok"]


def test_a_linear_premium_is_measured_in_dollars():
    linear = {"instrument_type": "linear", "bid_price": 1_200.0, "ask_price": 1_260.0, "tick": 5.0}
    below = {"strike": 59_500.0, "bid_price": 400.0, "ask_price": 440.0}

    assert status(linear, linear | below) == ["ok", "below_intrinsic"]


def test_a_column_that_is_missing_is_named():
    with pytest.raises(ValueError, match="no column 'tick'"):
        with_quote_status(pl.DataFrame([GOOD]).drop("tick"))
