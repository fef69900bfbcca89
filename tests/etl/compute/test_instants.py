from datetime import UTC, datetime

import polars as pl

from etl.compute.instants import of_hours


def test_of_the_minutes_a_collector_keeps_those_at_full_hours_are_taken():
    moments = [
        datetime(2025, 10, 18, 11, 59, tzinfo=UTC),
        datetime(2025, 10, 18, 12, tzinfo=UTC),
        datetime(2025, 10, 18, 12, 0, 0, 417_000, tzinfo=UTC),
        datetime(2025, 10, 18, 12, 1, tzinfo=UTC),
        datetime(2025, 10, 18, 12, 1, 2, tzinfo=UTC),
    ]
    quotes = pl.DataFrame({"timestamp": moments}, {"timestamp": pl.Datetime("us", "UTC")})
    assert of_hours(quotes.to_arrow())["timestamp"].to_list() == [moments[i] for i in (1, 2, 4)]
