from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.validators.candles import START, clean_candles
from validators.outages import load_outages
from validators.quality import find_fillers


def silenced(frame, at, rows):
    """Replace candles by what a made-up page looks like: the last close, repeated."""
    is_it = pl.int_range(pl.len()).is_between(at, at + rows - 1)
    price = frame["close"][at - 1]
    values = dict.fromkeys(["open", "high", "low", "close"], price) | {"volume": 0.0, "cost": 0.0}
    return frame.with_columns(
        pl.when(is_it).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    )


@pytest.fixture(scope="module")
def busy():
    return clean_candles(20_000, filler_share=0)


def test_a_busy_market_is_never_silent():
    assert find_fillers(clean_candles(20_000), resolution="1").is_empty()


def test_an_hour_of_silence_is_no_finding_and_a_minute_more_is(busy):
    assert find_fillers(silenced(busy, 1_000, 60), resolution="1").is_empty()
    assert find_fillers(silenced(busy, 1_000, 61), resolution="1")["candles"].to_list() == [61]


@pytest.mark.parametrize("page", [744, 1_000, 5_000, 5_001])
def test_a_made_up_page_in_a_busy_market_is_unexplained(busy, page):
    found = find_fillers(silenced(busy, 3_000, page), resolution="1").row(0, named=True)

    assert found == {
        "instrument": "BTC-PERPETUAL",
        "start": START + timedelta(minutes=3_000),
        "end": START + timedelta(minutes=3_000 + page),
        "candles": page,
        "page_size": page,
        "traded_around": 1.0,
        "status": "unexplained",
        "source": None,
    }


def test_two_pages_in_a_row_are_a_multiple_of_the_page(busy):
    found = find_fillers(silenced(busy, 3_000, 10_001), resolution="1")

    assert found["page_size"].to_list() == [5_000]


def test_a_page_at_either_end_is_found(busy):
    first = find_fillers(silenced(busy, 1, 1_000), resolution="1")
    last = find_fillers(silenced(busy, 19_000, 1_000), resolution="1")

    assert [first["status"].to_list(), last["status"].to_list()] == [["unexplained"]] * 2


def test_a_thin_market_is_silent_for_hours():
    frame = silenced(clean_candles(20_000, filler_share=0.9), 3_000, 400)

    assert set(find_fillers(frame, resolution="1")["status"]) == {"review"}


def test_pages_that_repeat_are_unexplained_even_in_a_thin_market():
    frame = clean_candles(20_000, filler_share=0.6)
    traded = [frame["volume"].gt(0).slice(at).arg_true()[0] + at for at in (3_000, 8_000, 13_000)]
    for at in traded:
        frame = silenced(frame, at + 1, 1_000)
    frame = frame.with_columns(
        volume=pl.when(pl.int_range(pl.len()).is_in([at + 1_001 for at in traded]))
        .then(1.0)
        .otherwise("volume")
    )

    found = find_fillers(frame, resolution="1")

    assert found.filter(page_size=1_000)["status"].to_list() == ["unexplained"] * 3


def test_an_outage_served_as_fillers_is_documented():
    frame = clean_candles(2_880, start=datetime(2020, 8, 27, tzinfo=UTC))

    found = find_fillers(silenced(frame, 315, 252), resolution="1", outages=load_outages())

    assert found["status"].to_list() == ["documented"]
    assert "august-27-2020" in found["source"][0]
