"""Simulated candles and funding resemble recorded ones.

How compared: the 838 recorded one-minute candles of 2025-12-30 to 2026-04-15 are single minutes
that are not contiguous, so what is compared is the minute itself, over all simulated minutes of the
same months (seed 7): the body |ln(close / open)| in basis points, the range in ticks, the share of
zero bodies and of zero ranges among minutes with trades, the mean of body over range, and the
turnover. Funding is compared over the year from May 2025, hour by hour. Quantiles, recorded |
simulated:

==================  =====================================  =====================================
BTC-PERPETUAL       recorded (419 minutes, no filler)      simulated (1.0 % fillers)
==================  =====================================  =====================================
body 25 50 75 [bp]  0.96, 2.49, 5.78                       0.92, 2.51, 5.40
body 90 95 99 [bp]  10.6, 14.6, 23.0                       9.85, 13.8, 25.2
range 25 50 75      32, 67, 131 ticks                      34, 69, 126 ticks
range 90 95 99      218, 300, 557 ticks                    212, 288, 510 ticks
zero body, range    6.2 %, 4.3 %                           6.6 %, 6.1 %
body over range     0.70                                   0.74
cost 25 50 75       30, 114, 363 thousand USD              35, 105, 291 thousand USD
==================  =====================================  =====================================

==================  =====================================  =====================================
ETH-PERPETUAL       recorded (419 minutes, 2.6 % fillers)  simulated (1.9 % fillers)
==================  =====================================  =====================================
body 25 50 75 [bp]  1.42, 3.37, 7.30                       1.16, 3.22, 7.03
body 90 95 99 [bp]  13.2, 18.6, 27.3                       12.9, 18.1, 32.5
range 25 50 75      14, 29, 53 ticks                       10, 20, 38 ticks
range 90 95 99      87, 109, 181 ticks                     64, 87, 152 ticks
zero body, range    6.1 %, 4.7 %                           8.0 %, 6.2 %
body over range     0.67                                   0.74
cost 25 50 75       5.6, 28, 102 thousand USD              12, 35, 97 thousand USD
==================  =====================================  =====================================

==================  =====================================  =====================================
interest_1h         recorded (8,533 hours)                 simulated
==================  =====================================  =====================================
1 5 50 [1e-6]       -10, -0.90, 0.40                       -6.8, -1.04, 0.84
75 95 99 [1e-6]     6.9, 25.6, 43.5                        6.6, 24.2, 42.5
zero, negative      22.8 %, 12.6 %                         23.4 %, 11.3 %
autocorrelation     0.76 and 0.29 after 1 and 24 hours     0.70 and 0.18
==================  =====================================  =====================================
"""

import io

import numpy as np
import polars as pl
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market

QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95)
COLUMNS = ("open", "high", "low", "close", "volume", "cost")
MONTHS = (milliseconds("2025-12-30"), milliseconds("2026-04-15"))
YEAR = (milliseconds("2025-05-01"), milliseconds("2026-04-22"))


@pytest.fixture(scope="module")
def later(market):
    return Market(market.seed, milliseconds("2026-06-01"))


@pytest.fixture(params=["BTC-PERPETUAL", "ETH-PERPETUAL"], scope="module")
def candles(request, recorded, later):
    """Recorded and simulated candles of an instrument."""
    name = request.param
    table = pl.read_csv(io.StringIO(recorded("candles/perpetual_futures_prices.csv")))
    rows = table.filter(pl.col("instrument_name") == name)
    real = {column: rows[f"candle_{column}"].to_numpy() for column in COLUMNS}
    return BY_NAME[name].tick_size, real, later.candles(name, *MONTHS)


def bodies(columns, _tick):
    return np.abs(np.log(columns["close"] / columns["open"])) * 1e4


def ranges(columns, tick):
    return (columns["high"] - columns["low"]) / tick


def costs(columns, _tick):
    return columns["cost"]


def traded(columns):
    rows = columns["volume"] > 0
    return {name: columns[name][rows] for name in COLUMNS}


@pytest.mark.parametrize(("measure", "factor"), [(bodies, 1.35), (ranges, 1.55), (costs, 2.3)])
def test_quantiles_of_a_minute_are_near_the_recorded_ones(candles, measure, factor):
    tick, *columns = candles
    expected, found = (np.quantile(measure(traded(each), tick), QUANTILES) for each in columns)

    assert (found < factor * expected).all(), (found, expected)
    assert (found > expected / factor).all(), (found, expected)


@pytest.mark.parametrize("measure", [bodies, ranges])
def test_shares_of_motionless_minutes_are_near_the_recorded_ones(candles, measure):
    tick, real, simulated = candles
    expected, found = ((measure(traded(each), tick) == 0).mean() for each in (real, simulated))

    assert found == pytest.approx(expected, abs=0.03)


def test_the_share_of_fillers_is_near_the_recorded_one(candles):
    _, real, simulated = candles

    assert (simulated["volume"] == 0).mean() == pytest.approx(
        (real["volume"] == 0).mean(), abs=0.02
    )


def test_bodies_fill_their_ranges_as_recorded_ones_do(candles):
    _, real, simulated = candles

    def mean_share(columns):
        moved = traded(columns)
        rows = moved["high"] > moved["low"]
        return np.mean(
            (np.abs(moved["close"] - moved["open"])[rows]) / (moved["high"] - moved["low"])[rows]
        )

    assert mean_share(simulated) == pytest.approx(mean_share(real), abs=0.1)


@pytest.fixture(scope="module")
def interest(recorded, later):
    """Recorded and simulated hourly funding."""
    rows = recorded("funding/deribit_btc_funding_hourly.json")["data"]
    real = np.array([row["interest_1h"] for row in rows])
    return real, later.funding("BTC-PERPETUAL", *YEAR)["interest_1h"]


def test_funding_is_as_wide_and_as_often_nothing_as_recorded(interest):
    real, simulated = interest
    expected, found = (np.quantile(each, (0.75, 0.9, 0.95, 0.99)) for each in interest)

    assert found == pytest.approx(expected, rel=0.35)
    assert (simulated == 0).mean() == pytest.approx((real == 0).mean(), abs=0.06)
    assert (simulated < 0).mean() == pytest.approx((real < 0).mean(), abs=0.06)
    assert simulated.std() == pytest.approx(real.std(), rel=0.4)


def test_funding_persists_as_recorded(interest):
    expected, found = (np.corrcoef(each[1:], each[:-1])[0, 1] for each in interest)

    assert found == pytest.approx(expected, abs=0.15)
