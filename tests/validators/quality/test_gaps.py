from datetime import UTC, datetime, timedelta

import polars as pl

from tests.validators.candles import START, clean_candles
from validators.outages import load_outages
from validators.quality import find_gaps


def without(frame, start, minutes):
    gone = pl.col("timestamp").is_between(start, start + timedelta(minutes=minutes), closed="left")
    return frame.filter(~gone)


def times(*texts):
    stamps = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]
    return pl.DataFrame({"timestamp": stamps, "instrument": "BTC-PERPETUAL"})


def test_whole_data_has_no_gap():
    assert find_gaps(clean_candles(1_000), resolution="1").is_empty()


def test_a_gap_is_half_open_and_unexplained():
    start = START + timedelta(hours=3)
    found = find_gaps(without(clean_candles(1_000), start, 6), resolution="1").row(0, named=True)

    assert found == {
        "instrument": "BTC-PERPETUAL",
        "start": start,
        "end": start + timedelta(minutes=6),
        "minutes": 6,
        "status": "unexplained",
        "source": None,
    }


def test_a_gap_as_long_as_the_threshold_is_no_finding():
    frame = without(clean_candles(1_000), START + timedelta(hours=3), 5)

    assert find_gaps(frame, resolution="1").is_empty()
    assert find_gaps(frame, resolution="1", longer_than=4)["minutes"].to_list() == [5]


def test_the_order_of_the_rows_does_not_matter():
    frame = without(clean_candles(1_000), START + timedelta(hours=3), 7)

    assert find_gaps(frame.reverse(), resolution="1").equals(find_gaps(frame, resolution="1"))


def test_a_documented_outage_explains_its_gap_and_no_longer_one():
    down, up = (datetime(2020, 8, 27, *time, tzinfo=UTC) for time in [(5, 15), (9, 27)])
    frame = clean_candles(1_440, start=datetime(2020, 8, 27, tzinfo=UTC))
    known = load_outages()

    exact = find_gaps(without(frame, down, 252), resolution="1", outages=known)
    longer = find_gaps(without(frame, down, 253), resolution="1", outages=known)

    assert exact.select("end", "status").row(0) == (up, "documented")
    assert exact["source"][0].startswith("https://insights.deribit.com/")
    assert longer["status"].to_list() == ["unexplained"]


def test_one_missing_hour_is_a_gap_of_sixty_minutes():
    frame = times("2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 03:00")

    assert find_gaps(frame, resolution="60")["minutes"].to_list() == [60]


def test_funding_may_lack_the_hours_an_outage_touches_and_no_other():
    known = load_outages()
    touched = times("2020-08-27 05:00", "2020-08-27 11:00")
    longer = times("2020-08-27 04:00", "2020-08-27 11:00")

    found = [
        find_gaps(frame, resolution="60", outages=known, describes_past=True)["status"].to_list()
        for frame in (touched, longer)
    ]

    assert found == [["documented"], ["unexplained"]]
