"""Frames of quotes: names, units, nulls, refusals."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.black76 import GREEKS, with_price_and_greeks, with_vanna_and_volga
from quant.greeks import with_all_greeks
from quant.implied_vol import STATUS, with_implied_vol
from quant.kernels import black76, implied_vol
from tests.quant.markets import SETS


def quotes(**columns):
    data = {
        "mark_price": [0.05, 0.02, 100.0],
        "forward": [60_000.0, 60_000.0, 60_000.0],
        "strike": [60_000.0, 70_000.0, 55_000.0],
        "tenor": [0.1, 0.1, 0.1],
        "iv": [0.4, 0.5, 0.6],
        "option_type": ["call", "call", "put"],
        "instrument_type": ["reversed", "reversed", "linear"],
    }
    return pl.DataFrame(data | columns)


def test_coin_and_dollar_premiums_of_the_same_worth_have_the_same_volatility():
    frame = quotes(
        mark_price=[0.05, 3_000.0, 0.05],
        strike=[60_000.0] * 3,
        option_type=["call"] * 3,
        instrument_type=["reversed", "linear", "reversed"],
    )

    iv = with_implied_vol(frame, price="mark_price")["iv"]

    assert iv[0] == iv[1] == iv[2] == pytest.approx(0.3965924)


def test_a_volatility_is_a_decimal_and_its_status_an_enum():
    solved = with_implied_vol(quotes(), price="mark_price")

    assert solved.schema["iv"] == pl.Float64
    assert solved.schema["iv_status"] == STATUS
    assert solved["iv_status"].to_list() == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"mark_price": [None, 0.02, 100.0]}, "bad_input"),
        ({"mark_price": [float("nan"), 0.02, 100.0]}, "bad_input"),
        ({"forward": [None, 60_000.0, 60_000.0]}, "bad_input"),
        ({"option_type": [None, "call", "put"]}, "bad_input"),
        ({"instrument_type": [None, "reversed", "linear"]}, "bad_input"),
        ({"tenor": [0.0, 0.1, 0.1]}, "expired"),
        ({"mark_price": [-0.1, 0.02, 100.0]}, "below_intrinsic"),
        ({"mark_price": [0.0, 0.02, 100.0]}, "zero_time_value"),
        ({"mark_price": [1.0, 0.02, 100.0]}, "above_maximum"),
    ],
)
def test_a_row_that_has_no_volatility_says_why_and_harms_no_other(columns, status):
    solved = with_implied_vol(quotes(**columns), price="mark_price")

    assert solved["iv"][0] is None
    assert solved["iv_status"].to_list() == [status, "ok", "ok"]


def test_a_model_price_is_quoted_as_the_instrument_is():
    frame = quotes(strike=[60_000.0] * 3, iv=[0.4] * 3, option_type=["call"] * 3)

    model = with_price_and_greeks(frame)["model_price"]

    assert model[0] * 60_000 == pytest.approx(model[2], rel=1e-14)


def test_a_model_price_leads_back_to_its_volatility():
    priced = with_price_and_greeks(quotes())
    solved = with_implied_vol(priced.drop("iv"), price="model_price")

    assert solved["iv"].to_list() == pytest.approx([0.4, 0.5, 0.6], rel=1e-13)


@pytest.mark.parametrize("column", ["forward", "strike", "tenor", "iv", "option_type"])
def test_greeks_of_an_unknown_are_null(column):
    frame = quotes().with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise(pl.col(column)).alias(column)
    )

    greeks = with_price_and_greeks(frame).select("model_price", *GREEKS)

    assert greeks.row(0) == (None,) * 6
    assert None not in greeks.row(1)


def test_second_derivatives_ask_for_no_type():
    frame = with_vanna_and_volga(quotes().drop("option_type", "instrument_type"))

    assert frame.columns[-2:] == ["vanna", "volga"]
    assert frame.select(pl.col("vanna", "volga").is_finite().all()).row(0) == (True, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q.drop("tenor"), "no column 'tenor' among mark_price, forward"),
        (lambda q: q.with_columns(strike=pl.lit("x")), "strike: expected numbers, got String"),
        (
            lambda q: q.with_columns(option_type=pl.lit("C")),
            "option_type is 'C': expected call or put",
        ),
        (
            lambda q: q.with_columns(instrument_type=pl.lit("inverse")),
            "instrument_type is 'inverse': expected reversed or linear",
        ),
    ],
)
def test_a_frame_without_what_is_needed_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        with_implied_vol(change(quotes()), price="mark_price")


def test_integers_and_categories_are_welcome():
    frame = quotes().with_columns(
        pl.col("strike", "forward").cast(pl.Int64),
        pl.col("option_type").cast(pl.Enum(["call", "put"])),
        pl.col("instrument_type").cast(pl.Categorical),
    )

    expected = with_implied_vol(quotes(), price="mark_price")["iv"]
    assert with_implied_vol(frame, price="mark_price")["iv"].to_list() == expected.to_list()


def with_rates(frame):
    return frame.with_columns(rate=0.04, index_price=pl.col("forward") * 0.99)


def test_all_greeks_are_those_of_the_exchange_and_more():
    frame = with_all_greeks(with_rates(quotes()))
    plain = with_vanna_and_volga(with_price_and_greeks(quotes()))

    assert frame.select(plain.columns).equals(plain)
    assert frame["net_delta"][0] == pytest.approx(frame["delta"][0] - frame["model_price"][0])
    assert frame["net_delta"].to_list()[2] is None  # it pays dollars
    assert frame["price_disc"][2] == pytest.approx(frame["model_price"][2] * np.exp(-0.004))


@pytest.mark.parametrize(
    ("column", "missing"),
    [("iv", {"delta", "vega_coin", "rho_disc"}), ("rate", {"coin_rate", "theta_disc"}),
     ("instrument_type", {"delta", "price_disc"})],
)  # fmt: skip
def test_of_all_greeks_only_those_of_an_unknown_are_null(column, missing):
    first = pl.int_range(pl.len()) == 0
    frame = with_rates(quotes()).with_columns(
        pl.when(first).then(None).otherwise(pl.col(column)).alias(column)
    )

    made = with_all_greeks(frame).drop("rate", "iv", "instrument_type")

    null = {name for name, value in made.row(0, named=True).items() if value is None}
    assert missing <= null
    assert ("delta" in null) == (column != "rate")
    assert None not in made.row(1)


def test_an_empty_frame_gains_its_columns():
    solved = with_implied_vol(quotes().clear(), price="mark_price")

    assert solved.height == 0
    assert solved.columns[-1] == "iv_status"


def test_frames_in_pieces_are_solved_as_one(monkeypatch):
    monkeypatch.setattr("quant.options.ROWS_AT_A_TIME", 7)
    market = SETS["mkt"](50)
    iv, status = implied_vol.implied_vol(*market.quotes)
    frame = pl.DataFrame(
        {
            "mark_price": market.price,
            "forward": market.forward,
            "strike": market.strike,
            "tenor": market.tenor,
            "option_type": np.where(market.is_call, "call", "put"),
            "instrument_type": ["linear"] * 50,
        }
    )

    pieces = pl.concat([frame[:20], frame[20:]], rechunk=False)
    solved = with_implied_vol(pieces, price="mark_price", threads=2)

    assert solved["iv"].fill_null(float("nan")).to_numpy() == pytest.approx(iv, nan_ok=True, rel=0)
    assert solved["iv_status"].to_physical().to_list() == status.tolist()


@given(st.lists(st.floats(), min_size=3, max_size=3), st.sampled_from(["forward", "tenor", "iv"]))
def test_greeks_of_a_frame_are_those_of_the_arrays(values, column):
    frame = quotes(instrument_type=["linear"] * 3, **{column: values})
    arrays = [frame[name].to_numpy() for name in ("forward", "strike", "tenor", "iv")]

    expected = black76.price_and_greeks(*arrays, np.array([True, True, False]))

    computed = with_price_and_greeks(frame).select("model_price", *GREEKS)
    for series, array in zip(computed, expected, strict=True):
        assert series.fill_null(float("nan")).to_numpy() == pytest.approx(array, nan_ok=True, rel=0)
