from datetime import UTC, datetime

import pytest

from validators.errors import ReviewedFileError
from validators.outages import MEASURED, documented, load_outages

ENTRY = """
[[outage]]
start = 2021-01-01T10:00:00Z
end = 2021-01-01T11:00:00Z
kind = "downtime"
precision = "minute"
note = "Ours."
source = "https://example.org/ours"
"""


def ms(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2019-05-12 14:03", "2019-05-12 14:12"),
        ("2019-05-12 15:31", "2019-05-12 15:40"),
        ("2019-05-13 10:41", "2019-05-13 10:59"),
        ("2020-08-27 05:15", "2020-08-27 09:27"),
        ("2020-08-27 06:00", "2020-08-27 06:01"),
        ("2020-11-26 08:37", "2020-11-26 09:04"),
        ("2020-11-26 16:12", "2020-11-26 16:35"),
        ("2026-01-13 09:00", "2026-01-13 09:30"),
        ("2026-05-19 09:05", "2026-05-19 09:20"),
        ("2026-08-11 08:59", "2026-08-11 10:01"),
    ],
)
def test_a_hole_within_a_downtime_is_documented(start, end):
    assert documented(ms(start), ms(end), load_outages()).source.startswith(("https://", MEASURED))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2020-08-27 05:14", "2020-08-27 09:27"),
        ("2020-08-27 05:15", "2020-08-27 09:28"),
        ("2020-08-27 09:27", "2020-08-27 09:28"),
        ("2021-08-27 05:15", "2021-08-27 09:27"),
        ("2026-01-13 08:59", "2026-01-13 09:20"),
        ("2026-01-13 09:00", "2026-01-13 09:31"),
        ("2026-05-19 09:20", "2026-05-19 09:40"),
        ("2026-08-11 08:58", "2026-08-11 10:00"),
        ("2026-08-11 09:00", "2026-08-11 10:02"),
    ],
)
def test_a_hole_that_reaches_beyond_is_not(start, end):
    assert documented(ms(start), ms(end), load_outages()) is None


def test_a_day_explains_holes_only_as_long_as_its_statement_allows():
    outages = load_outages()

    assert documented(ms("2019-05-12 14:00"), ms("2019-05-12 14:10"), outages)
    assert documented(ms("2019-05-12 14:00"), ms("2019-05-12 14:11"), outages) is None


def test_bad_prints_explain_no_hole():
    only_prints = [outage for outage in load_outages() if outage.kind == "bad_prints"]

    assert documented(ms("2019-10-31 21:10"), ms("2019-10-31 21:20"), only_prints) is None


def test_funding_may_also_lack_the_hours_an_outage_touches():
    hours = ms("2020-08-27 05:00"), ms("2020-08-27 10:00")

    assert documented(*hours, load_outages()) is None
    assert documented(*hours, load_outages(), slack_ms=3_600_000 - 1)


def test_a_user_may_add_a_file(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(ENTRY)

    outages = load_outages(path)

    assert len(outages) == len(load_outages()) + 1
    assert documented(ms("2021-01-01 10:00"), ms("2021-01-01 11:00"), outages).note == "Ours."


def test_the_incidents_come_in_order():
    starts = [outage.start for outage in load_outages()]

    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('kind = "downtime"', 'kind = "maintenance"', "kind 'maintenance', expected one of"),
        ('precision = "minute"', 'precision = "day"', "needs `longest`"),
        ('note = "Ours."\n', "", "an outage lacks 'note'"),
        ("10:00:00Z", "12:00:00Z", "start is not before end"),
        ("10:00:00Z", "10:00:00", "expected a UTC time"),
        ("https://", "see ", "expected an https address"),
        ("[[outage]]", "[[outage", "cannot be read"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(tmp_path, before, after, message):
    path = tmp_path / "ours.toml"
    path.write_text(ENTRY.replace(before, after))

    with pytest.raises(ReviewedFileError, match=message):
        load_outages(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ReviewedFileError, match=r"gone\.toml: cannot be read"):
        load_outages(tmp_path / "gone.toml")
