"""The pieces a page of a lake is made of: strips, sizes, growth, ages, operations, charts."""

import math
import re
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

from etl.backup.frozen import frozen
from etl.check.quality import REPORTS
from etl.check.report.drawing import Axis, Curve, bars, chart, round_ticks
from etl.check.report.growth import month_starts, outlook, shares
from etl.check.report.markup import Column, Markup, age, html, size, table
from etl.check.report.operations import flat
from etl.check.report.strips import PIECES, marks, strip, told
from lake.ledger import Gap, Record, write_record
from lake.live import publish_live
from lake.operations import Outcome, write_outcome
from lake.partition import Partition
from lake.paths import EMPTY, Lake, open_lake
from lake.span import Span
from lake.write import publish_table
from tests.etl.check.report_pages import NOW, page, sections, tables
from tests.etl.check.test_status import lake_with, record

HOUR, DAY = 3_600_000, 86_400_000
SPAN = Span(0, PIECES * 100)


def ms(year, month, day=1):
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


def held(start, end, *gaps):
    return Record(
        wanted=(Span(start * 100, end * 100),),
        gaps=tuple(Gap(round(a * 100), round(b * 100), reason) for a, b, reason in gaps),
    )


def test_a_strip_marks_what_is_whole_settled_short_and_not_asked_for():
    found = marks([held(10, 30, (10, 15, "before_listing"), (20, 20.2, "no_answer"))], SPAN)

    assert found[:10] == ["none"] * 10
    assert found[10:15] == ["settled"] * 5
    assert found[15:30] == [*["whole"] * 5, "short", *["whole"] * 9]
    assert found[30:] == ["none"] * 30


def test_a_strip_is_settled_only_where_most_of_all_its_parts_have_no_rows():
    other = [held(0, 60), held(0, 60)]

    assert set(marks([held(0, 60, (0, 60, "outage")), *other], SPAN)) == {"whole"}
    assert set(marks([held(0, 60, (0, 60, "seen_once"))], SPAN)) == {"whole"}


def test_without_a_wish_a_strip_reaches_from_the_first_row_to_the_last():
    found = marks([Record(rows=2, first_ms=500, last_ms=999)], SPAN)

    assert [number for number, mark in enumerate(found) if mark == "whole"] == [5, 6, 7, 8, 9]


def test_a_strip_says_in_words_and_by_height_what_its_colours_say():
    found = marks([held(10, 30, (10, 15, "outage"), (20, 21, "lost"))], SPAN)

    drawn = strip(found, SPAN)

    words = "14 whole, 5 without rows, settled, 1 with rows missing, 40 not asked for"
    assert told(found, SPAN).endswith(f"of 60 pieces: {words}")
    assert f'aria-label="{told(found, SPAN)}"' in drawn
    heights = dict(re.findall(r'class="(\w+)" x="\d+" y="\d+" width="\d+" height="(\d+)"', drawn))
    assert heights == {"whole": "10", "settled": "3", "short": "6"}


def test_rows_of_a_year_are_shared_among_its_months_by_the_time_that_is_held():
    starts = month_starts(ms(2024, 4, 10))
    spans = [Span(ms(2024, 2, 28), ms(2024, 3, 2)), Span(ms(2024, 4, 1), ms(2024, 4, 2))]

    found = {starts[month]: share for month, share in shares(spans, starts)}

    assert found == {ms(2024, 2): 0.5, ms(2024, 3): 0.25, ms(2024, 4): 0.25}


def test_months_end_with_the_one_of_the_last_row_and_go_back_two_years():
    starts = month_starts(ms(2024, 3))

    assert starts[0] == ms(2022, 3)
    assert starts[-2:] == [ms(2024, 2), ms(2024, 3)]


def test_the_outlook_is_the_mean_of_the_last_whole_months():
    found = outlook([9e9, 0, 1e6, 2e6, 3e6, 8e9], besides=2.0, free=480_000_000)

    assert "the last 3 whole months of data a year takes 48.0 MB" in found
    assert "480 MB are free, enough for 10.0 years" in found
    assert "No whole month" in outlook([0, 0, 5e6], besides=1.0, free=1)


def test_sizes_are_those_of_the_files(tmp_path):
    lake = lake_with(tmp_path, record(0, 9, rows=9), record(9, 14, rows=5))
    folder = lake.raw("get_tradingview_chart_data", instrument="BTC-PERPETUAL")
    folder.mkdir(parents=True)
    (folder / "segment.parquet").write_bytes(b"x" * 1234)

    found = tables(page(lake))

    (dataset,) = found["Sizes of datasets"]
    files = lake.files("perpetuals_ohlcv")
    whole = sum(path.stat().st_size for path in files)
    assert (dataset["rows"], dataset["files"]) == ("14", str(len(files)))
    assert dataset["bytes"] == size(whole)
    years = found["perpetuals_ohlcv by year"]
    assert [(row["year"], row["rows"]) for row in years] == [("2023", "5"), ("2022", "9")]
    folders = {row["folder"]: (row["files"], row["bytes"]) for row in found["Folders"]}
    assert folders["raw"] == ("1", "1.2 kB")


def test_while_a_backup_runs_a_lake_is_no_larger(tmp_path):
    lake = lake_with(tmp_path, record(0, 9, rows=9))
    (lake.root / EMPTY).mkdir()
    (lake.root / EMPTY / "empty.parquet").write_bytes(b"x" * 20)
    with frozen(lake):
        folders = {row["folder"]: row for row in tables(page(lake))["Folders"]}

    assert "backup" not in folders
    assert folders[EMPTY]["bytes"] == "20 B"
    assert "DuckDB" in folders[EMPTY]["holds"]


def test_growth_has_the_rows_of_each_month(tmp_path):
    lake = open_lake(tmp_path, create=True)
    for month, rows in (("2025-08", 10), ("2025-09", 20), ("2025-10", 30)):
        one = Partition("option_iv", "BTC", month)
        start = ms(2025, int(month[5:]))
        write_record(lake, one, Record(rows=rows, first_ms=start, last_ms=start + DAY))
        publish_table(pa.table({"x": range(rows)}), lake.clean(one))

    found = tables(page(lake))["Growth by month"]

    assert [(row["month"], row["rows"]) for row in found[:4]] == [
        ("2025-10", "30"), ("2025-09", "20"), ("2025-08", "10"), ("2025-07", "0"),
    ]  # fmt: skip
    assert len(found) == 24


def test_ages_are_those_of_the_newest_rows_live_ones_too(tmp_path):
    lake = open_lake(tmp_path, create=True)
    for dataset, last in (("perpetuals_ohlcv", NOW - 5 * DAY), ("funding_rates", NOW - 3 * HOUR)):
        one = Partition(dataset, "BTC-PERPETUAL", "2025")
        write_record(lake, one, Record(rows=1, first_ms=last, last_ms=last))
    newest = datetime.fromtimestamp(NOW / 1000, UTC).replace(hour=0)
    live = pl.DataFrame({"timestamp": [newest.replace(day=17), newest.replace(day=17, hour=20)]})
    publish_live(lake, "option_trades", "2025-10-17", live.to_arrow(), ["timestamp"])

    rows = tables(page(lake))["Ages of datasets"]

    assert [(row["dataset"], row["age"], row["live age"], row["state"]) for row in rows] == [
        ("perpetuals_ohlcv", "5 days", "-", "over 4 days old"),
        ("option_trades", "-", "4 h", "recent"),
        ("funding_rates", "3 h", "-", "recent"),
    ]


def test_operations_tell_how_each_ended_last(tmp_path):
    lake = open_lake(tmp_path, create=True)
    summary = {"rows": 12_345, "datasets": {"loaded": 3}, "repository": "a folder"}
    write_outcome(
        lake,
        Outcome(operation="sync", started_ms=NOW - 2 * HOUR, finished_ms=NOW - HOUR, exit_code=0,
                summary=summary),
    )  # fmt: skip
    write_outcome(
        lake,
        Outcome(operation="backup", started_ms=0, finished_ms=NOW - 50 * HOUR, exit_code=0),
    )
    (lake.root / "operations" / "drill.json").write_bytes(b"{}")

    rows = {row["operation"]: row for row in tables(page(lake))["Last runs"]}

    sync = rows["sync"]
    assert (sync["ago"], sync["took"], sync["state"]) == ("60 min", "60 min", "done")
    assert sync["told"] == "rows 12,345; datasets loaded 3; repository a folder"
    assert (rows["backup"]["ago"], rows["backup"]["state"]) == ("2 days", "long ago")
    assert rows["drill"]["state"] == "unreadable"


@pytest.mark.parametrize(
    ("code", "state"), [(1, "failed"), (3, "INCOMPLETE"), (143, "stopped"), (7, "exit code 7")]
)
def test_an_operation_that_ended_badly_says_why(tmp_path, code, state):
    lake = open_lake(tmp_path, create=True)
    error = Outcome(operation="drill", started_ms=0, finished_ms=NOW, exit_code=code, error="full")
    write_outcome(lake, error)

    told = page(lake)

    rows = {row["operation"]: row for row in tables(told)["Last runs"]}
    assert (rows["drill"]["told"], rows["drill"]["state"]) == ("full", state)
    assert f'<span class="bad">{state}</span>' in told
    assert rows["sync"]["told"] == "Run deribit-lake sync"
    assert rows["sync"]["state"] == "never ran"


def test_what_failed_long_ago_failed(tmp_path):
    lake = open_lake(tmp_path, create=True)
    write_outcome(lake, Outcome(operation="sync", started_ms=0, finished_ms=9, exit_code=1))

    rows = {row["operation"]: row for row in tables(page(lake))["Last runs"]}

    assert rows["sync"]["state"] == "failed"


def test_a_long_summary_is_shortened():
    found = dict(flat({"a": {"b": [1, 2]}, "c": "x" * 500, "d": True}))

    assert found["a b"] == "[1,2]"
    assert len(found["c"]) == 121
    assert found["d"] == "true"


def test_findings_of_quality_are_counted_from_its_reports(tmp_path):
    folder = tmp_path / "reports" / "perpetuals_ohlcv"
    folder.mkdir(parents=True)
    for name, schema in REPORTS.values():
        pl.DataFrame(schema=schema).write_csv(folder / name)
    rows = {"instrument": ['a,\n"b'] * 3, "status": ["unexplained", "unexplained", "documented"]}
    gaps = pl.DataFrame(rows)
    gaps.write_csv(folder / "gap_report.csv")

    found = tables(page(Lake(tmp_path / "lake"), reports=tmp_path / "reports"))["Findings"]

    counts = {row["check"]: (row["documented"], row["unexplained"], row["state"]) for row in found}
    assert counts["gaps"] == ("1", "2", "unexplained")
    assert counts["sanity"] == ("0", "0", "explained")


def test_a_report_of_quality_that_is_none_is_told(tmp_path):
    folder = tmp_path / "reports" / "perpetuals_ohlcv"
    folder.mkdir(parents=True)
    (folder / "gap_report.csv").write_text("a,b\n1,2\n", encoding="utf-8")

    told = page(Lake(tmp_path / "lake"), reports=tmp_path / "reports")

    assert "quality" in sections(told)
    assert "no report of quality" in told


def test_text_is_escaped_and_markup_is_not():
    told = table("a < b", [Column("x&y", "word")], [["<i>"], [Markup("<b>1</b>")]])

    assert "<caption>a &lt; b</caption>" in told
    assert 'data-label="x&amp;y">&lt;i&gt;</th>' in told
    assert "<b>1</b></th>" in told
    assert html(Markup("<b>")) == "<b>"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (250e6, "250 MB"), (3e15, "3,000 TB")],
)
def test_sizes_are_said_in_the_unit_that_suits_them(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("length", "words"), [(1_500, "2 s"), (90_000, "90 s"), (7_200_000, "2 h"), (3 * DAY, "3 days")]
)
def test_ages_are_said_in_the_unit_that_suits_them(length, words):
    assert age(length) == words


def test_ticks_are_round_and_inside():
    assert round_ticks(0.13, 0.92) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert round_ticks(-3, 104) == [0, 50, 100]
    assert round_ticks(5, 5) == [5]


def points(drawn, look="curve"):
    path = re.findall(rf'<path class="{look} c0" d="(M[^"]+)"/>', drawn)[0]
    return [tuple(map(float, place.split())) for place in re.split("[ML]", path)[1:]]


def test_a_line_goes_up_where_its_values_do_and_stays_in_its_picture():
    drawn = chart("x", [Curve("a", [1, 2, 4], [5.0, 6.0, 8.0])], Axis("days"), Axis(""))

    (x0, y0), (x1, y1), (x2, y2) = points(drawn)
    assert 0 < x0 < x1 < x2 <= 380
    assert 230 > y0 > y1 > y2 > 0
    assert (x2 - x1) == pytest.approx(2 * (x1 - x0), abs=0.3)
    assert (y1 - y2) == pytest.approx(2 * (y0 - y1), abs=0.3)


def test_on_a_log_axis_equal_ratios_are_equal_steps():
    drawn = chart("x", [Curve("a", [1, 10, 100], [1, 2, 3])], Axis("days", is_log=True), Axis(""))

    (x0, _), (x1, _), (x2, _) = points(drawn)
    assert (x2 - x1) == pytest.approx(x1 - x0, abs=0.2)
    assert re.findall(r'text-anchor="\w+">(1+0*)</text>', drawn)[-3:] == ["1", "10", "100"]


def test_what_has_no_place_on_a_log_axis_is_not_drawn():
    curve = Curve("a", [0, -1, 1, 2], [1, 2, 3, 4], "both")

    drawn = chart("x", [curve], Axis("days", is_log=True), Axis(""))

    assert drawn.count("<circle") == 2


def test_a_line_is_broken_where_a_value_is_not_known():
    drawn = chart("x", [Curve("a", [1, 2, 3], [1.0, math.nan, 2.0])], Axis(""), Axis(""))

    assert re.findall(r'class="curve c0" d="([^"]+)"', drawn)[0].count("M") == 2
    assert chart("x", [Curve("a", [1], [math.nan])], Axis(""), Axis("")) == ""


def test_charts_escape_their_words():
    drawn = chart(
        "<b>", [Curve("<i>", [1], [1], "both"), Curve("&", [2], [2])], Axis("<"), Axis("")
    )

    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "<figcaption>&lt;b&gt;</figcaption>" in drawn


def test_bars_are_as_high_as_their_values_and_say_them():
    drawn = bars("x", ["a", "b"], [1.0, 4.0], lambda value: f"{value:.0f} B")

    low, high = (float(one) for one in re.findall(r'height="([\d.]+)"><title>', drawn))
    assert high == pytest.approx(4 * low, abs=0.3)
    assert "<title>b: 4 B</title>" in drawn
