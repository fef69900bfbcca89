"""The perpetuals beside the first four: listed in their time, with candles that hold."""

import polars as pl
import pytest

from etl.catalog import find_fetched
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import BY_NAME
from tests.exchange.perpetuals import LATER_PERPETUALS
from validators.contract import split

DAY_MS = 86_400_000
LATER = "2026-11-28T00:00:00Z"
MINUTES = find_fetched("perpetuals_ohlcv")


@pytest.fixture(scope="module")
def later(market):
    return market.at(milliseconds(LATER))


@pytest.mark.parametrize("instrument", LATER_PERPETUALS, ids=lambda one: one.name)
def test_a_day_of_candles_keeps_the_contract_and_moves(later, instrument):
    day = instrument.first_trade_ms + 30 * DAY_MS
    candles = later.candles(instrument.name, day, day + DAY_MS)
    columns = {"timestamp_ms": candles.pop("ticks"), **candles}
    frame = pl.DataFrame(columns).with_columns(attempt=pl.lit(0, dtype=pl.UInt32))
    judged = split(MINUTES.transform(frame.lazy(), instrument.name).collect(), MINUTES.model)

    assert len(judged.valid) == 1_440
    assert judged.valid["close"].n_unique() > 10
    ticks = judged.valid["close"] / instrument.tick_size
    assert (ticks - ticks.round()).abs().max() < 1e-6


def test_two_in_three_live_in_2026_and_three_in_2025(open_exchange):
    counts = []
    for now in ("2025-10-18T00:00:00Z", LATER):
        listed = open_exchange(now=now).result("get_instruments", kind="future")
        perpetuals = [one for one in listed if one["settlement_period"] == "perpetual"]
        counts.append(len(perpetuals) - 4)
        assert {one["state"] for one in perpetuals} == {"open"}

    assert counts == [3, 14]
    assert {one["underlying_type"] for one in perpetuals} == {
        "crypto", "equity", "equity_etf", "commodity", "crypto_index", "preipo",
    }  # fmt: skip


def test_dated_futures_on_usdc_live_in_2026(open_exchange):
    listed = open_exchange(now="2026-09-23T03:30:00Z").result(
        "get_instruments", currency="USDC", kind="future"
    )
    dated = [one for one in listed if one["settlement_period"] != "perpetual"]

    assert {one["base_currency"] for one in dated} == {"BTC", "ETH", "SOL"}
    assert len(dated) == 33


def test_a_delisted_perpetual_is_among_the_expired_with_its_end(open_exchange):
    asked = {"currency": "USDC", "kind": "future", "expired": "true", "include_old": "true"}
    client = open_exchange(now=LATER)
    sent = client.send("GET", "/history/api/v2/public/get_instruments", params=asked).json()
    (matic,) = [one for one in sent["result"] if one["settlement_period"] == "perpetual"]
    end = milliseconds("2024-10-04T08:00")
    rows = client.result(
        "get_funding_rate_history", instrument_name=matic["instrument_name"],
        start_timestamp=end - DAY_MS, end_timestamp=end + DAY_MS,
    )  # fmt: skip

    assert (matic["instrument_name"], matic["expiration_timestamp"]) == (
        "MATIC_USDC-PERPETUAL",
        end,
    )
    assert rows[-1]["timestamp"] == end
    assert BY_NAME["MATIC_USDC-PERPETUAL"].is_perpetual
