"""What the simulated market has: the truth that end-to-end tests rely on."""

import zlib

import numpy as np
import pytest

from tests.exchange.incidents import INCIDENTS, milliseconds
from tests.exchange.instruments import PERPETUALS
from tests.exchange.listing import BY_NAME
from tests.exchange.market import Market
from tests.exchange.tape import RESOLUTIONS

MINUTE_MS = 60_000
NAMES = [instrument.name for instrument in PERPETUALS]
BTC = "BTC-PERPETUAL"
AFTER_OUTAGE = milliseconds("2020-08-31T08:00")
WEEK = (milliseconds("2023-03-03"), milliseconds("2023-03-10"))


def is_same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def is_filler(candles):
    return candles["volume"] == 0.0


def test_the_market_has_these_candles_on_every_machine(market):
    candles = market.candles(BTC, *WEEK)

    # Changes with the market's recipe only; nothing else in the repository depends on it.
    assert zlib.crc32(b"".join(column.tobytes() for column in candles.values())) == 2618760171


def test_another_seed_is_another_market(market):
    other = Market(8, market.now_ms).candles(BTC, *WEEK)

    assert not np.array_equal(market.candles(BTC, *WEEK)["close"], other["close"])


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_a_window_are_its_parts_whatever_was_asked_before(market, name):
    whole = market.candles(name, *WEEK)
    fresh = Market(market.seed, market.now_ms)
    starts = range(WEEK[1] - 997 * MINUTE_MS, WEEK[0] - 997 * MINUTE_MS, -997 * MINUTE_MS)
    parts = [fresh.candles(name, max(at, WEEK[0]), at + 997 * MINUTE_MS) for at in starts][::-1]

    assert is_same(
        whole, {column: np.concatenate([part[column] for part in parts]) for column in whole}
    )


@pytest.mark.parametrize("name", NAMES)
def test_ticks_of_candles_are_the_minutes_counted_without_them(market, name):
    first = BY_NAME[name].creation_ms
    for start in (first - 5 * MINUTE_MS, milliseconds("2020-08-26"), market.now_ms - 90_000_000):
        window = (start, start + 4_000 * MINUTE_MS)
        assert np.array_equal(market.candles(name, *window)["ticks"], market.minutes(name, *window))


@pytest.mark.parametrize("name", [BTC, "ETH-PERPETUAL"])
def test_the_first_candle_is_the_minute_of_listing(market, name):
    created = BY_NAME[name].creation_ms
    candles = market.candles(name, 0, created + 60 * MINUTE_MS)

    assert candles["ticks"][0] == created - created % MINUTE_MS
    assert candles["volume"][0] > 0


@pytest.mark.parametrize("name", ["BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL"])
def test_a_thin_instrument_has_nothing_before_its_first_trade(market, name):
    instrument = BY_NAME[name]
    candles = market.candles(name, 0, instrument.first_trade_ms + 60 * MINUTE_MS)

    assert candles["ticks"][0] > instrument.creation_ms + 3_600_000
    assert candles["volume"][0] > 0


def test_minutes_of_an_outage_are_missing_for_every_instrument_then_listed(market):
    for incident in INCIDENTS:
        start, end = milliseconds(incident.start), milliseconds(incident.end)
        expected = 0 if incident.effect == "missing" else (end - start) // MINUTE_MS
        for name in (BTC, "ETH-PERPETUAL"):
            assert len(market.candles(name, start, end)["ticks"]) == expected


def test_one_outage_is_served_as_fillers_at_the_last_price(market):
    (silence,) = [incident for incident in INCIDENTS if incident.effect == "fillers"]
    start, end = milliseconds(silence.start), milliseconds(silence.end)
    candles = market.candles(BTC, start - MINUTE_MS, end)

    assert is_filler(candles)[1:].all()
    assert set(candles["high"][1:]) == {candles["close"][0]}


@pytest.mark.parametrize(
    ("name", "share"), [(BTC, 0.01), ("ETH-PERPETUAL", 0.02), ("ETH_USDC-PERPETUAL", 0.2)]
)
def test_some_minutes_are_fillers(market, name, share):
    candles = market.candles(name, WEEK[0], WEEK[0] + 30 * 86_400_000)

    assert is_filler(candles).mean() == pytest.approx(share, rel=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_a_filler_is_flat_at_the_previous_close_across_days_and_outages(market, name):
    candles = market.candles(name, milliseconds("2020-08-20"), milliseconds("2022-06-01"))
    rows = np.flatnonzero(is_filler(candles))

    for column in ("open", "high", "low", "close"):
        assert np.array_equal(candles[column][rows], candles["close"][rows - 1])
    assert not candles["cost"][rows].any()


@pytest.mark.parametrize("name", NAMES)
def test_candles_are_in_order_and_their_mean_price_lies_inside(market, name):
    candles = market.candles(name, *WEEK)
    traded = ~is_filler(candles)
    mean = candles["cost"][traded] / candles["volume"][traded]

    assert (candles["low"] <= np.minimum(candles["open"], candles["close"])).all()
    assert (candles["high"] >= np.maximum(candles["open"], candles["close"])).all()
    assert np.quantile(mean / candles["high"][traded], 0.999) < 1.0001
    assert np.quantile(mean / candles["low"][traded], 0.001) > 0.9999


@pytest.mark.parametrize("name", NAMES)
def test_prices_lie_on_the_tick_grid(market, name):
    candles = market.candles(name, *WEEK)
    ticks = candles["close"] / BY_NAME[name].tick_size

    assert np.abs(ticks - np.rint(ticks)).max() < 1e-6


def test_btc_perpetual_printed_quarters_from_january_to_june_2019(market):
    change, back = milliseconds("2019-01-30T08:00"), milliseconds("2019-06-08T08:00")
    day = 86_400_000

    def has_quarters(start):
        return bool((market.candles(BTC, start, start + day)["close"] % 0.5).any())

    assert [has_quarters(at) for at in (change - day, change, back - day, back)] == [
        False,
        True,
        True,
        False,
    ]


def test_btc_perpetual_prints_15_percent_lower_while_the_index_is_wrong(market):
    start = milliseconds("2019-10-31T20:59")
    close = market.candles(BTC, start, start + 6 * MINUTE_MS)["close"]

    assert close[1:5] / close[0] == pytest.approx([0.85] * 4, rel=0.02)
    assert close[5] / close[0] == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("resolution", [name for name in RESOLUTIONS if name != "1"])
def test_longer_candles_are_made_of_the_minutes(market, resolution):
    bar_ms = RESOLUTIONS[resolution] * MINUTE_MS
    longer = market.candles(BTC, milliseconds("2020-08-26T08:00"), AFTER_OUTAGE, resolution)
    row = len(longer["ticks"]) // 3
    minutes = market.candles(BTC, longer["ticks"][row], longer["ticks"][row] + bar_ms)

    assert longer["open"][row] == minutes["open"][0]
    assert longer["high"][row] == minutes["high"].max()
    assert longer["low"][row] == minutes["low"].min()
    assert longer["close"][row] == minutes["close"][-1]
    assert longer["volume"][row] == pytest.approx(minutes["volume"].sum())
    assert longer["cost"][row] == pytest.approx(minutes["cost"].sum())


@pytest.mark.parametrize("resolution", ["180", "360", "720", "1D"])
def test_long_candles_open_at_eight_utc(market, resolution):
    ticks = market.candles(BTC, *WEEK, resolution)["ticks"]
    bar_ms = RESOLUTIONS[resolution] * MINUTE_MS

    assert set((ticks - milliseconds("2018-08-14T08:00")) % bar_ms) == {0}


def test_a_forming_candle_grows_into_the_closed_one(market):
    tick = milliseconds("2023-03-03T12:34")
    closed = market.candles(BTC, tick, tick + MINUTE_MS)
    seen = [
        market.at(tick + after).candles(BTC, tick, tick + MINUTE_MS)
        for after in range(1_000, 60_001, 1_000)
    ]

    volumes = [bar["volume"][0] for bar in seen]
    assert volumes == sorted(volumes)
    assert len(set(volumes)) > 2
    assert is_same(seen[-1], closed)
    assert all(bar["open"][0] == closed["open"][0] for bar in seen if bar["volume"][0])


def test_nothing_lies_in_the_future(market):
    early = market.at(milliseconds("2020-01-01T00:00:30"))
    ticks = early.candles(BTC, milliseconds("2019-12-31"), milliseconds("2021-01-01"))["ticks"]

    assert ticks[-1] == milliseconds("2020-01-01")


@pytest.mark.parametrize(
    ("name", "day", "level"),
    [(BTC, "2018-12-15", 3_240), (BTC, "2021-11-09", 67_500), ("ETH-PERPETUAL", "2022-06-18", 990)],
)
def test_prices_are_near_those_of_the_real_market(market, name, day, level):
    candles = market.candles(name, milliseconds(day), milliseconds(day) + MINUTE_MS)

    assert candles["close"][0] == pytest.approx(level, rel=0.05)
