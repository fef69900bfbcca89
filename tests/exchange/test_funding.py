import numpy as np
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import PERPETUALS

HOUR_MS = 3_600_000
BTC = "BTC-PERPETUAL"
YEAR = (milliseconds("2023-01-01"), milliseconds("2024-01-01"))


def history(client, start_ms, end_ms, name=BTC):
    return client.result(
        "get_funding_rate_history",
        instrument_name=name,
        start_timestamp=start_ms,
        end_timestamp=end_ms,
    )


def test_rows_come_on_the_hour_and_carry_the_previous_index(market):
    rows = market.funding(BTC, *YEAR)

    assert np.array_equal(rows["timestamp"], np.arange(*YEAR, HOUR_MS))
    assert np.array_equal(rows["prev_index_price"][1:], rows["index_price"][:-1])


@pytest.mark.parametrize("instrument", PERPETUALS, ids=lambda each: each.name)
def test_the_first_row_is_the_first_hour_after_an_hour_of_listing(market, instrument):
    first = market.funding(instrument.name, 0, market.now_ms)["timestamp"][0]

    assert HOUR_MS <= first - instrument.creation_ms < 2 * HOUR_MS


def test_there_is_no_funding_before_may_2019_and_some_after(market):
    before = market.funding(BTC, 0, milliseconds("2019-04-30"))
    after = market.funding(BTC, milliseconds("2019-05-01"), milliseconds("2019-05-08"))

    assert not before["interest_1h"].any()
    assert not before["interest_8h"].any()
    assert after["interest_1h"].any()


def test_about_a_fifth_of_the_hours_lie_in_the_dead_band(market):
    assert (market.funding(BTC, *YEAR)["interest_1h"] == 0.0).mean() == pytest.approx(
        0.228, abs=0.06
    )


def test_eight_hours_of_interest_are_nearly_the_sum_of_the_hours(market):
    rows = market.funding(BTC, *YEAR)
    total = np.convolve(rows["interest_1h"], np.ones(8), "valid")
    error = np.abs(rows["interest_8h"][7:] - total)

    assert 1e-8 < np.median(error) < 1e-7


def test_the_index_stays_close_to_the_perpetual(market):
    candles = market.candles(BTC, *YEAR)
    rows = market.funding(BTC, *YEAR)
    at = np.searchsorted(candles["ticks"], rows["timestamp"])

    assert np.abs(candles["open"][at] / rows["index_price"] - 1).max() < 0.01


def test_the_start_is_exclusive_and_the_end_inclusive(client):
    rows = history(client, YEAR[0], YEAR[0] + 3 * HOUR_MS)

    assert [row["timestamp"] for row in rows] == [YEAR[0] + hours * HOUR_MS for hours in (1, 2, 3)]


def test_a_page_has_at_most_744_rows_counted_from_the_end(client):
    rows = history(client, *YEAR)

    assert len(rows) == 744
    assert rows[-1]["timestamp"] == YEAR[1]


def test_rows_are_the_truth(client, market):
    rows = history(client, YEAR[0] - 1, YEAR[0] + 99 * HOUR_MS)
    truth = market.funding(BTC, YEAR[0], YEAR[0] + 100 * HOUR_MS)

    assert {name: [row[name] for row in rows] for name in truth} == {
        name: column.tolist() for name, column in truth.items()
    }


@pytest.mark.parametrize("instrument", PERPETUALS, ids=lambda each: each.name)
def test_the_value_of_a_month_follows_from_its_rows(client, market, instrument):
    window = {"start_timestamp": YEAR[0], "end_timestamp": YEAR[0] + 700 * HOUR_MS}
    value = client.result("get_funding_rate_value", instrument_name=instrument.name, **window)
    rows = market.funding(instrument.name, YEAR[0] + 1, YEAR[0] + 700 * HOUR_MS + 1)
    previous = rows["prev_index_price"] if instrument.is_inverse else np.ones(700)

    assert value == pytest.approx(previous[0] * (rows["interest_1h"] / previous).sum(), rel=1e-12)
    assert value != 0.0
