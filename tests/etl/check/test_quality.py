from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from etl.catalog import find
from etl.check.quality import REPORTS, check_lake, check_quality, histories, summary
from etl.check.scope import Scope, scope_of
from etl.errors import UsageError
from lake.errors import LakeError
from lake.paths import Lake
from lake.write import publish_table
from tests.validators.candles import START, TICK, clean_candles
from validators.outages import load_outages

CLEAN = "clean/perpetuals_ohlcv"
BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"


def checked(frame, out_dir, **options):
    settings = {
        "table": "perpetuals_ohlcv",
        "scope": scope_of(find("perpetuals_ohlcv")),
        "tick_sizes": {BTC: TICK, ETH: TICK},
        "outages": load_outages(),
    }
    return check_quality(histories([frame.lazy()]), out_dir=out_dir, **(settings | options))


@pytest.fixture
def both():
    other = clean_candles(2_000, seed=1, instrument=ETH)
    return pl.concat([clean_candles(2_000), other]).sort("timestamp", "instrument")


def hours(count):
    stamps = pl.datetime_range(START, START + timedelta(hours=count - 1), "1h", eager=True)
    return pl.DataFrame({"timestamp": stamps, "instrument": BTC, "interest_1h": 0.0})


def test_clean_candles_are_ok_and_every_check_of_every_instrument_has_a_line(both, tmp_path):
    report = checked(both, tmp_path)

    assert report.ok
    assert [(line.instrument, line.check) for line in report.lines] == [
        (instrument, check) for instrument in (BTC, ETH) for check in REPORTS
    ]
    assert {(line.rows, line.findings) for line in report.lines} == {(2_000, 0)}


def test_reports_have_their_header_even_when_nothing_is_found(both, tmp_path):
    report = checked(both, tmp_path)

    headers = [Path(file).read_text().splitlines() for file in report.files]
    assert [Path(file).name for file in report.files] == [file for file, _ in REPORTS.values()]
    assert headers == [[",".join(schema.names())] for _, schema in REPORTS.values()]


def test_a_gap_in_one_instrument_is_listed_and_spoils_the_verdict(both, tmp_path):
    is_gone = pl.col("timestamp").is_between(START, START + timedelta(minutes=19))
    is_late = pl.col("timestamp") > START
    frame = both.filter(~(is_gone & is_late & (pl.col("instrument") == ETH)))

    report = checked(frame, tmp_path)

    bad = [line for line in report.lines if line.unexplained]
    assert [(line.instrument, line.check, line.unexplained) for line in bad] == [(ETH, "gaps", 1)]
    assert not report.ok
    assert (tmp_path / "gap_report.csv").read_text().splitlines()[1:] == [
        f"{ETH},2024-03-01T00:01:00Z,2024-03-01T00:20:00Z,19,unexplained,"
    ]


def test_the_threshold_of_gaps_is_settable(both, tmp_path):
    is_gone = pl.col("timestamp").is_between(
        START + timedelta(minutes=1), START + timedelta(minutes=19)
    )

    assert checked(both.filter(~is_gone), tmp_path, gap_minutes=19).ok


def test_findings_for_review_do_not_spoil_the_verdict(tmp_path):
    frame = clean_candles(2_000, filler_share=0)
    is_it = pl.int_range(pl.len()) == 1_000
    spiked = frame.with_columns(high=pl.when(is_it).then(pl.col("high") * 2).otherwise("high"))

    report = checked(spiked, tmp_path)

    assert report.ok
    assert {line.check: line.review for line in report.lines if line.findings} == {"outliers": 1}


def test_funding_is_checked_for_gaps_only(tmp_path):
    frame = hours(48)

    report = checked(
        frame.filter(pl.int_range(pl.len()) != 10), tmp_path, scope=scope_of(find("funding_rates"))
    )

    assert [(line.check, line.unexplained) for line in report.lines] == [("gaps", 1)]


def test_the_summary_has_a_line_per_check_and_a_verdict(both, tmp_path):
    lines = summary(checked(both, tmp_path)).splitlines()

    assert lines[0].split() == [
        *("instrument", "check", "rows"),
        *("findings", "documented", "review", "unexplained"),
    ]
    assert lines[1].split() == [BTC, "gaps", "2,000", "0", "0", "0", "0"]
    assert lines[-1].startswith("nothing unexplained in perpetuals_ohlcv; see ")


def test_a_table_without_rows_is_not_ok(both, tmp_path):
    assert not checked(both.clear(), tmp_path).ok


def test_more_findings_than_a_report_lists_are_counted_and_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("etl.check.quality.LISTED", 3)
    frame = clean_candles(100).with_columns(volume=-1.0)

    report = checked(frame, tmp_path)

    sanity = next(line for line in report.lines if line.check == "sanity")
    assert sanity.unexplained >= 100
    assert len((tmp_path / "sanity_report.csv").read_text().splitlines()) == 4
    assert "lists the first 3 of" in caplog.text


def test_reports_are_replaced_whole(both, tmp_path):
    (tmp_path / "gap_report.csv").write_text("old")

    checked(both, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        file for file, _ in REPORTS.values()
    )
    assert "old" not in (tmp_path / "gap_report.csv").read_text()


def test_a_folder_that_cannot_be_written_is_one_clear_error(both, tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(LakeError):
        checked(both, tmp_path / "file")


def test_a_lake_is_checked_with_what_it_holds(both, tmp_path):
    publish_table(both.filter(instrument=BTC).to_arrow(), tmp_path / CLEAN / BTC / "2024.parquet")

    report = check_lake(Lake(tmp_path), find("perpetuals_ohlcv"), (), out_dir=tmp_path / "out")

    assert report.ok
    assert {line.instrument for line in report.lines} == {BTC}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("perpetuals_ohlcv", "holds nothing of perpetuals_ohlcv yet"),
        ("futures_basis", "no check of futures_basis: it is a function of futures_ohlcv"),
        ("instruments", "no check of instruments: its rows stand at no fixed step"),
        ("delivery_prices", "no check of delivery_prices: its rows stand at no fixed step"),
    ],
)
def test_what_cannot_be_checked_is_one_clear_error(table, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        check_lake(Lake(tmp_path), find(table), (), out_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("futures_ohlcv_60", Scope("60", describes_past=False, is_candles=True)),
        ("funding_rates", Scope("60", describes_past=True, is_candles=False)),
        ("volatility_index", Scope("1", describes_past=False, is_candles=False)),
        ("volatility_index_43200", Scope("720", describes_past=False, is_candles=False)),
        ("index_prices", Scope("60", describes_past=True, is_candles=False)),
    ],
)
def test_a_dataset_is_checked_by_the_step_of_its_rows(name, scope):
    assert scope_of(find(name)) == scope
