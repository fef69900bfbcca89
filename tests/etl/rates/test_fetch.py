"""What a run asks for: whole days, no page twice that will not change, no source that is away."""

import socket

import pytest

from etl.config import load_settings
from etl.errors import UsageError
from etl.progress import LogProgress
from etl.rates.fetch import GIVE_UP_AFTER, days_asked, fetch, pages_due
from etl.rates.fold import refold
from lake.errors import NotWritableError
from lake.ledger import read_record
from lake.paths import open_lake
from tests.etl.rates.staged import lake_of, ms, span, stage, year

NOW = ms("2025-10-18T13:37")
DAYS = span("2024-05-01", "2024-06-01")


def due(lake, days=DAYS, **asked):
    """Return the names of the pages that are due, by year."""
    found = pages_due(lake, days, **asked)
    return {one.period: [page.name for page in pages] for one, pages in found.items()}


@pytest.fixture
def deserted(monkeypatch):
    """Return settings of two sources of which nothing listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    return load_settings(None, treasury_url=url, fred_url=url, retry_attempts=1)


@pytest.mark.parametrize(
    ("start", "end", "first", "after"),
    [
        ("2025-10-01", "2025-10-05", "2025-10-01", "2025-10-05"),
        ("2025-10-01T08:00", "2025-10-05T08:00", "2025-10-01", "2025-10-06"),
        ("2025-10-01", None, "2025-10-01", "2025-10-19"),
        ("2025-10-18T13:00", "2031-01-01", "2025-10-18", "2025-10-19"),
    ],
)
def test_days_are_whole_and_end_with_today(start, end, first, after):
    assert days_asked(ms(start), end and ms(end), NOW) == span(first, after)


@pytest.mark.parametrize(
    ("start", "end", "line"),
    [
        ("1989-12-31", None, "--start 1989-12-31 00:00: the Treasury's curves begin in 1990"),
        ("2025-10-19", None, "no day from 2025-10-19 00:00 to 2025-10-19 00:00"),
        ("2025-10-05", "2025-10-01", "no day from 2025-10-05"),
    ],
)
def test_days_there_are_none_of_are_refused(start, end, line):
    with pytest.raises(UsageError, match=line):
        days_asked(ms(start), end and ms(end), NOW)


def test_a_year_is_six_pages_and_a_source_may_be_left_out(tmp_path):
    lake = open_lake(tmp_path, create=True)
    series = ["DGS1MO", "DGS3MO", "DGS6MO", "DGS1"]

    assert due(lake) == {"2024": ["the page of 2024", "the page of 2023-12", *series]}
    assert due(lake, sources=["fred"]) == {"2024": series}
    assert list(due(lake, span("2023-12-31", "2025-01-02"))) == ["2023", "2024", "2025"]


@pytest.mark.parametrize(
    ("heard", "count"), [("2024-12-20", 5), ("2025-01-08", 5), ("2025-01-10", 0)]
)
def test_a_page_is_asked_for_until_a_week_after_its_end(tmp_path, heard, count):
    lake = lake_of(tmp_path, 2024, heard, "2024-05-01", "2024-06-01")
    refold(lake, year(2024))

    assert len(due(lake)["2024"]) == count
    assert len(due(lake, anew=True)["2024"]) == 6


def test_a_source_that_never_came_is_asked_again_of_a_finished_year(tmp_path):
    lake = lake_of(tmp_path, 2024, "2025-06-01", "2024-05-01", "2024-06-01", fred=None)
    refold(lake, year(2024))

    assert len(due(lake)["2024"]) == 4
    assert due(lake, sources=["treasury"]) == {"2024": []}


def test_a_gap_that_asking_may_close_is_asked_for_again(tmp_path):
    odd = {"treasury": {"words"}, "fred": {"words"}}
    lake = lake_of(tmp_path, 2024, "2025-06-01", "2024-05-01", "2024-06-01", **odd)
    refold(lake, year(2024))

    assert due(lake)["2024"] == ["the page of 2024", "DGS1MO", "DGS3MO", "DGS6MO", "DGS1"]
    stage(lake, 2024, "2025-06-02")
    refold(lake, year(2024))
    assert due(lake)["2024"] == []


def test_a_source_that_is_away_is_not_asked_for_every_year(tmp_path, deserted):
    lake = open_lake(tmp_path, create=True)
    report = fetch(deserted, lake, span("2016-01-01", "2025-01-01"), LogProgress())

    assert [line.partition(": Conn")[0] for line in report.errors] == [
        f"{source}: {count} of {count} pages did not come: {deserted.treasury_url}".rstrip("/")
        + " did not answer"
        for source, count in (("fred", 36), ("treasury", 18))
    ]
    assert report.requests <= 2 * (GIVE_UP_AFTER + 4)
    assert {gap.reason for gap in read_record(lake, year(2016)).gaps} == {"no_answer"}
    assert {gap.reason for gap in read_record(lake, year(2024)).gaps} == {"not_asked"}


def test_what_an_earlier_run_staged_of_another_year_is_folded_too(tmp_path, deserted):
    lake = lake_of(tmp_path, 2024, "2025-06-01", "2024-05-01", "2024-06-01")
    fetch(deserted, lake, span("2022-05-02", "2022-05-03"), LogProgress())

    assert read_record(lake, year(2024)).rows == 31


def test_what_is_held_stays_when_nobody_answers(tmp_path, deserted):
    lake = lake_of(tmp_path, 2024, "2024-05-20T23:00", "2024-05-01", "2024-06-01")
    before = refold(lake, year(2024)).record
    held = lake.clean(year(2024)).read_bytes()
    fetch(deserted, lake, DAYS, LogProgress())
    record = read_record(lake, year(2024))

    assert lake.clean(year(2024)).read_bytes() == held
    assert (record.rows, record.checksum) == (before.rows, before.checksum)
    assert {gap.reason for gap in record.gaps} == {"no_answer"}


def test_a_lake_that_cannot_be_written_is_one_error_and_what_is_wanted_is_known(tmp_path, deserted):
    lake = open_lake(tmp_path, create=True)
    (tmp_path / "raw").symlink_to(tmp_path / "nowhere" / "else")
    with pytest.raises(NotWritableError, match=r"cannot write \S+/raw"):
        fetch(deserted, lake, DAYS, LogProgress())
    record = read_record(lake, year(2024))

    assert record.wanted == (DAYS,)
    assert {gap.reason for gap in record.gaps} == {"not_asked"}


def test_more_days_are_added_to_those_that_were_wanted(tmp_path, deserted):
    lake = lake_of(tmp_path, 2024, "2025-06-01", "2024-05-01", "2024-06-01")
    refold(lake, year(2024))
    fetch(deserted, lake, span("2024-05-20", "2024-06-10"), LogProgress())
    record = read_record(lake, year(2024))

    assert record.wanted == (span("2024-05-01", "2024-06-10"),)
    assert (record.rows, record.gaps) == (40, ())
