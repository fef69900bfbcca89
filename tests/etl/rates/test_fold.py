"""What a year's answers amount to: its rows, what is carried, which days are missing and why."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import polars as pl
import pytest

from etl.rates.conflicts import conflicts_of
from etl.rates.days import not_asked
from etl.rates.fetch import pages_due
from etl.rates.fold import is_folded, rebuild, refold, segments
from etl.rates.pages import SOURCES, folder_of, pages_of, staged
from lake import raw
from lake.ledger import Record, read_record, write_record
from lake.paths import open_lake
from quant.rates import continuous_rate
from tests.etl.rates.staged import attempt, body_of, lake_of, ms, span, stage, year
from tests.exchange import bills
from validators import contract
from validators.schemas.treasury_bills import TENORS, TreasuryBills

LATER = "2025-06-01"
WHOLE = ("2024-01-01", "2025-01-01")


def folded(root, number, heard, *wanted, **faults):
    """Return the rows, those set aside, and the line of a year that was asked for once."""
    content = refold(lake_of(root, number, heard, *wanted, **faults), year(number))
    return pl.DataFrame(content.rows), pl.DataFrame(content.rejected), content.record


def on(rows, day):
    return rows.row(by_predicate=pl.col("timestamp").dt.date() == day, named=True)


def reasons(record):
    return [(gap.reason, (gap.end_ms - gap.start_ms) // 86_400_000) for gap in record.gaps]


def moment(day):
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_every_calendar_day_has_the_curve_of_its_day_or_of_the_last_before(tmp_path):
    rows, aside, record = folded(tmp_path, 2024, LATER, *WHOLE)
    contract.check(rows, TreasuryBills)
    last = moment(date(2023, 12, 29))

    assert (len(rows), len(aside), record.gaps) == (366, 0, ())
    for row in rows.iter_rows(named=True):
        last = row["timestamp"] if bills.has_curve(row["timestamp"].date()) else last
        percents = [bills.yields(last.date()).get(months) for months in bills.BEGINS]
        frame = pl.DataFrame({"y": percents}, schema={"y": pl.Float64})
        rates = frame.select(continuous_rate(pl.col("y") / 100))["y"].to_list()
        assert row["published_on"] == last
        assert row["is_carried"] == (last != row["timestamp"])
        assert [row[name] for name in TENORS] == [
            None if rate is None else pytest.approx(rate, abs=1e-12) for rate in rates
        ]


def test_the_first_days_of_a_year_carry_the_last_curve_of_the_year_before(tmp_path):
    rows, _, _ = folded(tmp_path, 2024, LATER, "2024-01-01", "2024-01-03")

    assert rows["published_on"].dt.date().to_list() == [date(2023, 12, 29), date(2024, 1, 2)]
    assert rows["is_carried"].to_list() == [True, False]


def test_only_wanted_days_are_rows_and_none_lies_beyond_the_day_of_the_answer(tmp_path):
    rows, _, record = folded(tmp_path, 2024, "2024-06-05T12:00", "2024-06-01", "2024-07-01")

    assert rows["timestamp"].dt.day().to_list() == [1, 2, 3, 4, 5]
    assert rows["is_carried"].to_list() == [True, True, False, False, True]
    assert record.last_ms == ms("2024-06-05")


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("2024-06-05T12:00", [("in_progress", 1)]),  # the fifth is out at 21:30
        ("2024-06-05T22:00", []),
        ("2024-06-06T06:00", [("in_progress", 1)]),  # the sixth has begun
    ],
)
def test_a_curve_that_is_not_out_yet_is_in_progress(tmp_path, heard, expected):
    _, _, record = folded(
        tmp_path, 2024, heard, "2024-06-03", heard[:10][:8] + f"{int(heard[8:10]) + 1:02}"
    )

    assert reasons(record) == expected
    assert record.is_complete


def test_a_clock_that_is_ahead_finishes_no_year(tmp_path):
    """Both sources date their answers: of June 2024, though we take it for January 2026."""
    lake = open_lake(tmp_path, create=True)
    write_record(lake, year(2024), Record(wanted=(span(*WHOLE),)))
    for page in pages_of(2024, SOURCES):
        body = body_of(page, ms("2024-06-05T22:00"))
        one = attempt(page, "2026-01-20", body)
        dated = msgspec.structs.replace(one, us_out=ms("2024-06-05T22:00") * 1000)
        raw.stage([dated], folder_of(lake, page.source, year(2024)))
    record = refold(lake, year(2024)).record

    assert record.last_ms == ms("2024-06-05")
    assert {gap.reason for gap in record.gaps} == {"in_progress"}
    due = pages_due(lake, span(*WHOLE))[year(2024)]
    assert len(due) == 5  # all but the December before
    assert not any(page.is_before for page in due)


def test_where_one_source_answers_its_rates_are_published_and_the_year_is_complete(tmp_path):
    treasury, _, one = folded(tmp_path / "a", 2024, LATER, *WHOLE, fred=None)
    fred, _, other = folded(tmp_path / "b", 2024, LATER, *WHOLE, treasury=None)

    assert (len(treasury), one.gaps, len(fred), other.gaps) == (366, (), 366, ())
    assert set(treasury["source"]) == {"treasury"}
    assert set(fred["source"]) == {"fred"}
    assert fred["rate_3m"].equals(treasury["rate_3m"])
    assert fred["rate_2m"].null_count() == 366


def test_a_day_only_fred_has_is_published_from_fred(tmp_path):
    rows, _, record = folded(tmp_path, 2024, LATER, *WHOLE, treasury={"missing"})
    days = rows.filter(pl.col("source") == "fred")["published_on"].dt.date().unique().to_list()

    assert record.gaps == ()
    assert days == [day for day in bills.days(date(2024, 1, 1), date(2024, 12, 31))
                    if day.day == 14 and bills.has_curve(day)]  # fmt: skip


def test_a_business_day_neither_has_is_a_holiday_both_say(tmp_path):
    both = {"treasury": {"missing"}, "fred": {"missing"}}
    rows, _, record = folded(tmp_path, 2024, LATER, "2024-05-13", "2024-05-16", **both)

    assert [(gap.reason, gap.seen) for gap in record.gaps] == [("absent", 2)]
    assert record.is_complete
    assert rows["is_carried"].to_list() == [False, True, False]


def test_a_business_day_one_lacks_while_the_other_is_silent_is_unexplained(tmp_path):
    lacking = {"treasury": {"missing"}, "fred": None}
    _, _, record = folded(tmp_path, 2024, LATER, "2024-05-13", "2024-05-16", **lacking)

    assert [(gap.reason, gap.seen) for gap in record.gaps] == [("unexplained", 1)]
    assert not record.is_complete


def test_where_nobody_answers_every_business_day_is_missing_and_no_row_is_made(tmp_path):
    silent = {"treasury": None, "fred": None}
    rows, _, record = folded(tmp_path, 2024, LATER, "2024-05-24", "2024-05-31", **silent)

    assert rows.is_empty()
    assert reasons(record) == [("no_answer", 1), ("no_answer", 3)]  # 27 May is Memorial Day


def test_days_after_the_last_answer_are_not_carried_into(tmp_path):
    lake = lake_of(tmp_path, 2024, "2024-06-05T23:00", "2024-06-03", "2024-06-13")
    stage(lake, 2024, "2024-06-12T10:00", treasury=None, fred=None)
    record = refold(lake, year(2024)).record

    assert (record.rows, record.last_ms) == (3, ms("2024-06-05"))
    assert reasons(record) == [("no_answer", 2), ("no_answer", 1), ("in_progress", 2)]


def test_each_conflict_is_listed_and_the_treasury_s_value_published(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, *WHOLE, fred={"disagree"})
    content = refold(lake, year(2024))
    rows, aside = pl.DataFrame(content.rows), pl.DataFrame(content.rejected)
    days = [day for day in bills.days(date(2024, 1, 1), date(2024, 12, 31))
            if day.day == 15 and bills.has_curve(day)]  # fmt: skip
    found = conflicts_of(lake, [year(2024)])

    assert aside["published_on"].dt.date().to_list() == days
    assert set(aside["source"]) == {"fred"}
    assert [one.day for one in found] == [str(day) for day in days for _ in range(4)]
    for one in found:
        day = date.fromisoformat(one.day)
        months = {"rate_1m": 1.0, "rate_3m": 3.0, "rate_6m": 6.0, "rate_1y": 12.0}[one.tenor]
        truth = bills.yields(day)[months]
        assert one.treasury_pct == pytest.approx(truth, abs=1e-6)
        assert one.fred_pct == pytest.approx(truth + 0.01 * (1 + day.toordinal() % 5), abs=1e-6)
    assert set(rows["source"]) == {"treasury"}
    assert content.record.gaps == ()


@pytest.mark.parametrize(
    ("fault", "day", "reason"),
    [
        ("percent", 20, "rate_3m:within_100_percent"),
        ("words", 20, "rate_3m:not_a_number"),
        ("contradicting", 5, "came_twice"),
    ],
)
def test_what_is_no_yield_is_set_aside_and_fred_stands_for_it(tmp_path, fault, day, reason):
    rows, aside, record = folded(tmp_path, 2024, LATER, *WHOLE, treasury={fault})
    taken = rows.filter(pl.col("source") == "fred", ~pl.col("is_carried"))

    assert set(aside["failed_check"]) == {reason}
    assert set(taken["timestamp"].dt.day()) == set(aside["timestamp"].dt.day()) == {day}
    assert (record.gaps, record.quarantined) == ((), len(aside))


def test_what_neither_tells_believably_is_a_gap_of_its_own(tmp_path):
    odd = {"treasury": {"percent"}, "fred": {"words"}}
    rows, aside, record = folded(tmp_path, 2024, LATER, "2024-05-20", "2024-05-21", **odd)

    assert reasons(record) == [("quarantined", 1)]
    assert rows["published_on"].dt.date().to_list() == [date(2024, 5, 17)]
    assert {"treasury", "fred"} == set(aside["source"])


def test_a_day_that_has_not_come_is_set_aside_and_settles_nothing(tmp_path):
    future = {"treasury": {"future"}, "fred": {"future"}}
    heard = ("2024-06-05T23:00", "2024-06-03", "2024-06-06")
    rows, aside, record = folded(tmp_path, 2024, *heard, **future)

    assert set(aside["failed_check"]) == {"published_on:in_the_future"}
    assert (len(rows), record.gaps) == (3, ())


@pytest.mark.parametrize("fault", ["unordered", "twice", "plus"])
def test_order_repetition_and_form_change_no_byte(tmp_path, fault):
    plain = lake_of(tmp_path / "a", 2024, LATER, *WHOLE)
    other = lake_of(tmp_path / "b", 2024, LATER, *WHOLE, treasury={fault}, fred={fault})
    for lake in (plain, other):
        refold(lake, year(2024))

    assert other.clean(year(2024)).read_bytes() == plain.clean(year(2024)).read_bytes()


def test_a_page_that_lost_days_takes_none_away_and_a_revision_counts(tmp_path):
    lake = lake_of(tmp_path, 2024, "2025-02-01", *WHOLE, fred={"disagree"})
    refold(lake, year(2024))
    stage(lake, 2024, "2025-02-02", treasury={"missing"})
    content = refold(lake, year(2024))

    assert set(pl.DataFrame(content.rows)["source"]) == {"treasury"}
    assert content.record.quarantined == 0


@pytest.mark.parametrize("fault", ["missing", "null"])
def test_a_source_that_has_nothing_more_to_say_takes_no_day_away(tmp_path, fault):
    """However often it says so: the older answer is not given up for the newer ones."""
    lake = lake_of(tmp_path, 2024, "2025-02-01", *WHOLE)
    before = refold(lake, year(2024))
    for heard in ("2025-02-02", "2025-02-03", "2025-02-04"):
        stage(lake, 2024, heard, treasury={fault}, fred=None)

    assert refold(lake, year(2024)).record.checksum == before.record.checksum


def test_feeds_without_an_entry_take_no_curve_away(tmp_path):
    lake = lake_of(tmp_path, 2024, "2025-02-01", *WHOLE)
    before = refold(lake, year(2024))
    empty = b'<feed xmlns="http://www.w3.org/2005/Atom"></feed>'
    for heard in ("2025-02-02", "2025-02-03", "2025-02-04"):
        for page in pages_of(2024, ["treasury"]):
            one = attempt(page, heard, empty)
            raw.stage([one], folder_of(lake, page.source, year(2024)))

    assert refold(lake, year(2024)).record.checksum == before.record.checksum


def test_a_tenor_the_treasury_stopped_naming_is_noted(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, *WHOLE)
    (page, *_) = pages_of(2024)
    body = page_body(lake, page).replace(b"BC_3MONTH", b"BC_QUARTER")
    raw.stage([attempt(page, "2025-06-02", body)], folder_of(lake, "treasury", year(2024)))

    (note,) = refold(lake, year(2024)).notes
    assert note.startswith("the Treasury has no rate_3m on 250 days on which FRED has one")


def page_body(lake, page):
    folder = folder_of(lake, page.source, year(2024))
    known = dict(zip(*(raw.read(folder)[name].to_pylist() for name in ("attempt_id", "params")),
                     strict=True))  # fmt: skip
    return next(body for name, body in raw.bodies(folder) if known[name] == page.key)


def test_a_second_fold_changes_no_byte_and_more_raw_is_seen(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, *WHOLE)
    first = refold(lake, year(2024)).record
    files = [lake.clean(year(2024)), lake.ledger(year(2024))]
    held = [path.read_bytes() for path in files]

    assert is_folded(lake, year(2024))
    assert rebuild(lake, year(2024)) == first
    assert [path.read_bytes() for path in files] == held
    stage(lake, 2024, "2025-06-02")
    assert not is_folded(lake, year(2024))
    assert first.segments != segments(lake, year(2024))


def test_many_answers_are_merged_and_amount_to_the_same(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, *WHOLE)
    first = refold(lake, year(2024)).record
    for day in range(2, 9):
        stage(lake, 2024, f"2025-06-0{day}")
    record = refold(lake, year(2024)).record

    assert record.checksum == first.checksum
    assert record.attempts == 6 * 8
    assert len(record.segments) < 6 * 8


def test_without_a_line_what_was_asked_for_is_wanted(tmp_path):
    lake = open_lake(tmp_path, create=True)
    wanted = span("2024-05-01", "2024-06-01")
    for page in pages_of(2024, ["fred"]):
        body = b"observation_date,%s\n2024-05-01,5.40\n" % page.params["id"].encode()
        one = attempt(page, LATER, body, wanted=wanted)
        raw.stage([one], folder_of(lake, "fred", year(2024)))

    assert list(staged(lake)) == [year(2024)]
    assert rebuild(lake, year(2024)).wanted == (wanted,)
    lake.ledger(year(2024)).write_bytes(b"{")
    assert rebuild(lake, year(2024)).wanted == (wanted,)


def test_nothing_is_read_of_a_future_fold_s_rules(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, *WHOLE)
    record = refold(lake, year(2024)).record
    write_record(lake, year(2024), msgspec.structs.replace(record, judged=record.judged + 1))

    assert not is_folded(lake, year(2024))


def test_days_before_any_curve_have_no_row(tmp_path):
    rows, _, record = folded(tmp_path, 1990, LATER, "1990-01-01", "1990-01-05")

    assert rows["timestamp"].dt.day().to_list() == [2, 3, 4]
    assert record.gaps == ()
    assert timedelta(days=1) not in set(rows["timestamp"] - rows["published_on"])


def test_a_record_knows_what_was_never_asked(tmp_path):
    lake = open_lake(tmp_path, create=True)
    write_record(lake, year(2024), Record(wanted=(span("2024-05-06", "2024-05-08"),)))
    refold(lake, year(2024))

    assert reasons(read_record(lake, year(2024))) == [("not_asked", 2)]


def test_days_wanted_since_are_looked_for_in_what_was_staged(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, "2024-05-06", "2024-05-08")
    record = refold(lake, year(2024)).record
    more = span("2024-05-06", "2024-05-11")
    wanted = msgspec.structs.replace(record, wanted=(more,), gaps=not_asked([more]))
    write_record(lake, year(2024), wanted)

    assert not is_folded(lake, year(2024))
    assert refold(lake, year(2024)).record.rows == 5
    assert is_folded(lake, year(2024))


def test_a_curve_of_zeros_alone_is_a_filler_and_the_last_one_before_is_carried(tmp_path):
    rows, aside, record = folded(tmp_path, 2017, LATER, "2017-04-13", "2017-04-18")

    assert rows["published_on"].dt.day().to_list() == [13, 13, 13, 13, 17]
    assert aside.select("failed_check", "source").rows() == [("all_zero", "treasury")]
    assert aside["published_on"].dt.date().to_list() == [date(2017, 4, 14)]
    assert (record.gaps, rows["rate_1y"].min() > 0) == ((), True)


def test_an_entry_without_any_yield_says_that_there_is_no_curve(tmp_path):
    rows, aside, record = folded(tmp_path, 2010, LATER, "2010-10-08", "2010-10-13")

    assert rows["published_on"].dt.day().to_list() == [8, 8, 8, 8, 12]
    assert (len(aside), record.gaps) == (0, ())


def test_noise_of_single_precision_is_no_part_of_a_yield(tmp_path):
    lake = lake_of(tmp_path, 2024, LATER, "2024-05-06", "2024-05-07")
    (page, *_) = pages_of(2024)
    value = f"{bills.yields(date(2024, 5, 6))[3.0]:.2f}"
    noisy = page_body(lake, page).replace(f">{value}<".encode(), f">{value}0000343322754<".encode())
    before = pl.DataFrame(refold(lake, year(2024)).rows)
    raw.stage([attempt(page, "2025-06-02", noisy)], folder_of(lake, "treasury", year(2024)))

    assert noisy != page_body(lake, page)
    assert pl.DataFrame(refold(lake, year(2024)).rows).equals(before)
