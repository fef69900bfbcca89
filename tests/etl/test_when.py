import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import UsageError
from etl.when import format_moment, parse_moment

NEW_YEAR_2024 = 1_704_067_200_000


@pytest.mark.parametrize(
    "text",
    ["2024-01-01", "2024-01-01T00:00", "2024-01-01T00:00Z", "2024-01-01T01:00+01:00", "20240101"],
)
def test_dates_and_times_are_read_as_utc_unless_they_say_otherwise(text):
    assert parse_moment(text, "--start") == NEW_YEAR_2024


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2024-02-30", "01/02/2024", "9"])
def test_what_is_no_date_is_refused_naming_it_and_the_option(text):
    with pytest.raises(UsageError, match=f"--start '{text}' is not a date: expected e.g."):
        parse_moment(text, "--start")


@given(st.integers(0, 4_000_000_000_000 // 60_000))
def test_a_written_minute_reads_back(minute):
    assert parse_moment(format_moment(minute * 60_000), "--end") == minute * 60_000


@given(st.text(max_size=20))
def test_every_text_is_a_moment_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert isinstance(parse_moment(text, "--start"), int)


@pytest.mark.parametrize("ms", [10**17, -(10**17), 2**63 - 1])
def test_a_moment_beyond_all_calendars_is_written_as_it_is(ms):
    assert format_moment(ms) == f"{ms} ms"
