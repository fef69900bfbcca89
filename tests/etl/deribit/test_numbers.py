"""A whole number is one, however the exchange writes it."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.catalog import fetched
from etl.deribit.numbers import decoder
from tests.etl.staged import chart, envelope, funding, minutes
from tests.exchange.exponents import in_exponent_form


class Numbers(msgspec.Struct):
    whole: int
    part: float | None = None


decode = decoder(Numbers)
BODIES = {
    "public/get_tradingview_chart_data": chart(minutes(0, 1), volume=[0.0, 1e-7]),
    "public/get_funding_rate_history": funding(minutes(0, 60), interest_1h=-0.0),
    "public/get_delivery_prices": envelope(
        {"data": [{"date": "2024-03-01", "delivery_price": 61_000.5}], "records_total": 2_614}
    ),
    "public/get_last_trades_by_currency_and_time": envelope(
        {
            "trades": [
                {
                    "timestamp": 1_709_251_200_123,
                    "instrument_name": "BTC-29MAR24-65000-C",
                    "trade_seq": 243,
                    "trade_id": "965935595",
                    "price": 0.0285,
                    "amount": 0.3,
                    "direction": "sell",
                    "tick_direction": 3,
                    "iv": 46.54,
                    "block_rfq_id": 17,
                }
            ],
            "has_more": True,
        }
    ),
    "public/get_volatility_index_data": envelope(
        {"data": [[1_709_251_200_000, 38.5, 39, 38, 38.62]], "continuation": 1_709_251_100_000}
    ),
}


@pytest.mark.parametrize(
    "text", ["1760572800000", "1760572800000.0", "1.7605728e12", "17605728E+5", "1.7605728e+12"]
)
def test_a_whole_number_is_taken_in_any_form(text):
    assert decode(f'{{"whole": {text}}}'.encode()).whole == 1_760_572_800_000


@pytest.mark.parametrize("text", ["1.5", "1e-3", '"15"', "null", "true", "1e400", "1e20", "[1]"])
def test_what_is_no_whole_number_is_refused_by_the_name_of_its_member(text):
    with pytest.raises(msgspec.ValidationError, match="whole"):
        decode(f'{{"whole": {text}}}'.encode())


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53))
def test_the_form_changes_no_number(part, whole):
    plain = json.dumps({"whole": whole, "part": part}).encode()
    found = decode(in_exponent_form(plain))

    assert (found.whole, found.part) == (whole, part)
    assert math.copysign(1, found.part) == math.copysign(1, part)


@pytest.mark.parametrize("dataset", list(fetched()), ids=lambda one: one.name)
def test_every_page_reads_the_same_in_exponent_form(dataset):
    body = BODIES[dataset.method]
    written = in_exponent_form(body)
    dataset.check(msgspec.json.decode(written, type=dict[str, msgspec.Raw])["result"])

    assert written != body
    assert dataset.decode(written).equals(dataset.decode(body), null_equal=True)
    assert str(dataset.decode(written)) == str(dataset.decode(body))
