"""Greeks of simulated tickers: what is right passes, what is wrong fails and is named."""

import re
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from etl.check.greek_conventions import EXCHANGE
from etl.check.greek_tally import tally
from etl.check.greeks import parse_age, parse_days, validate, write_tables
from etl.check.greeks_summary import as_data, facts, summary, worst
from etl.errors import UsageError
from lake.errors import CorruptFileError, MissingColumnError
from lake.partition import Partition
from lake.paths import Lake
from lake.span import Span
from tests import greek_tickers
from tests.exchange.incidents import milliseconds
from validators.greeks.errors import judged
from validators.greeks.quotes import NUMBERS, QUANTITIES, REASONS

FIRST_MS = milliseconds("2025-10-16")
DAY_MS = 86_400_000
FILE = Partition("option_tickers", "BTC", "2025-10-16")


def report(lake, *currencies, days=30, span=None, age_s=0.0, stale_s=30.0):
    return validate(lake, currencies, days=days, span=span, age_s=age_s, stale_s=stale_s)


def lake_of(tmp_path, wrong=greek_tickers.RIGHT, **more):
    lake = Lake(tmp_path / "lake")
    told = {"days": 2, "every_hours": 6} | more
    return lake, greek_tickers.publish(lake, "BTC", FIRST_MS, wrong=wrong, **told)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake, _ = lake_of(tmp_path_factory.mktemp("greeks"))
    greek_tickers.publish(lake, "USDC", FIRST_MS, days=1, every_hours=6)
    return lake


@pytest.fixture(scope="module")
def right(lake):
    return report(lake)


def altered(lake, tmp_path, change):
    """A lake whose one file is another's, changed."""
    other = Lake(tmp_path / "lake")
    greek_tickers.put(other, "BTC", change(pl.read_parquet(lake.clean(FILE))))
    return other


def test_every_bucket_of_a_right_exchange_is_within_its_tolerance(right):
    assert right.verdict == "PASS"
    assert right.table["outside"].sum() == 0
    assert right.failed.is_empty()
    assert right.hints == []
    assert right.tally.rows > 15_000
    assert right.table.filter(verdict="pass").height > 1_000


def test_errors_are_those_of_the_printed_digits(right):
    errors = right.overall.filter(source="mark_iv", underlying="BTC").rows_by_key(
        "quantity", named=True
    )
    most = {name: lines[0]["max"] for name, lines in errors.items()}

    assert list(errors) == list(QUANTITIES)
    assert most["delta"] < 1e-4
    assert most["gamma"] < 6e-6
    assert most["vega"] < 0.05
    assert most["theta"] < 1.0
    assert most["rho"] < 0.03
    assert most["mark_price"] < 1e-4


def test_coins_and_dollars_are_told_apart(right):
    names = ["BTC", "BTC_USDC", "ETH_USDC", "SOL_USDC", "XRP_USDC"]

    assert right.overall["underlying"].unique().sort().to_list() == names
    assert right.table.group_by("underlying").len().height == len(names)


@pytest.mark.parametrize("words", greek_tickers.WRONG)
def test_a_wrong_convention_fails_and_is_named(tmp_path, words):
    lake, _ = lake_of(tmp_path, greek_tickers.WRONG[words])
    found = report(lake)

    assert found.verdict == "FAIL"
    assert [(hint.convention, hint.explains) for hint in found.hints] == [(words, True)]
    assert found.hints[0].error < found.hints[0].error_ours
    assert found.hints[0].outside < 0.02 < 5 * found.hints[0].outside_ours
    assert f"the exchange's side agrees with {words}" in summary(found)


def test_greeks_that_are_old_pass_at_their_age_and_it_is_said(tmp_path):
    lake, _ = lake_of(tmp_path, greek_tickers.WRONG["Greeks 20 s old"])
    found = {age: report(lake, age_s=age) for age in (0.0, 20.0, None)}

    assert [one.verdict for one in found.values()] == ["FAIL", "PASS", "PASS"]
    assert found[None].age_s == pytest.approx(20, abs=0.5)
    for one in found.values():
        assert "BTC: the exchange's Greeks are 20.0 ± " in summary(one)
    assert "note: Greeks are taken to be 20 s older" in summary(found[20.0])


def test_an_age_is_not_taken_where_there_is_none(lake):
    assert report(lake, "BTC", days=1, age_s=None).age_s == 0.0


def test_a_convention_nobody_knows_fails_and_is_called_unknown(lake, tmp_path):
    odd = altered(lake, tmp_path, lambda rows: rows.with_columns(pl.col("vega") * 1.01))
    found = report(odd)

    assert found.failed["quantity"].unique().to_list() == ["vega"]
    assert not found.hints[0].explains
    assert "no convention tried explains it" in summary(found)


def test_the_worst_bucket_is_named_with_what_is_wrong(lake, tmp_path):
    odd = altered(lake, tmp_path, lambda rows: rows.with_columns(pl.col("vega") * 1.01))
    line = worst(report(odd))

    assert re.match(r"\d+ of \d+ buckets fail; the worst: ", line)
    assert "\n" not in line
    assert "vega of BTC, " in line
    assert "median ours/theirs 0.9901" in line


def test_rows_outside_are_listed_with_both_values_the_worst_first(lake, tmp_path):
    def change(rows):
        first = pl.int_range(pl.len()) == 400
        return rows.with_columns(
            pl.when(first).then(pl.col("rho") + 5).otherwise("rho").alias("rho")
        )

    found = report(altered(lake, tmp_path, change))
    write_tables(found, tmp_path)
    outside = pl.read_csv(tmp_path / "greeks_outside.csv")
    errors = pl.read_csv(tmp_path / "greeks_errors.csv")

    assert outside.select("quantity", "source").rows() == [
        ("rho", "mark_iv"),
        ("rho", "mark_price"),
    ]
    assert outside["theirs"][0] - outside["ours"][0] == pytest.approx(5, abs=0.05)
    assert errors["outside"].sum() == 2
    assert re.search(r"note: BTC-\S+ at 2025-10-16 \S+: rho \S+, ours ", summary(found))
    assert errors.columns == right_columns()
    assert found.verdict == "PASS"  # one of many


def right_columns():
    return [
        "source", "underlying", "moneyness", "days", "quantity", "rows", "median", "p95", "max",
        "outside", "large", "ratio", "verdict",
    ]  # fmt: skip


def test_what_is_left_out_is_counted_with_its_reason(lake, tmp_path):
    at = pl.int_range(pl.len())

    def change(rows):
        return rows.with_columns(
            pl.when(at >= 5).then("delta").alias("delta"),
            pl.when(at != 6).then("mark_iv").otherwise(0.0).alias("mark_iv"),
            pl.when(at != 7).then("mark_price").alias("mark_price"),
            pl.when(at != 8).then("underlying_price").alias("underlying_price"),
            pl.when(at != 11).then("strike").otherwise(1e13).alias("strike"),
            pl.when(at != 9).then("expiry").otherwise("quoted_at").alias("expiry"),
            pl.when(at != 10)
            .then("quoted_at")
            .otherwise(pl.col("timestamp") - timedelta(minutes=5))
            .alias("quoted_at"),
        )

    found = report(altered(lake, tmp_path, change))

    left = {row["reason"]: row["rows"] for row in as_data(found)["left_out"]}
    assert left == dict.fromkeys(REASONS, 1) | {"no_greeks": 5}
    assert f"5 left out, {REASONS['no_greeks']}" in facts(found)
    assert f"1 left out, {REASONS['stale']}, by 300 s at most" in facts(found)
    assert found.verdict == "PASS"


def test_a_nan_is_left_out_and_no_bucket_fails_of_it(lake, tmp_path):
    nan = pl.when(pl.int_range(pl.len()) == 3).then(float("nan"))
    names = ("vega", "mark_price", "index_price")
    odd = altered(lake, tmp_path, lambda rows: rows.with_columns(
        nan.otherwise(pl.col(name)).alias(name) for name in names
    ))  # fmt: skip

    assert report(odd).verdict == "PASS"
    (left,) = as_data(report(odd))["left_out"]
    assert (left["underlying"], left["reason"], left["rows"]) == ("BTC", "no_greeks", 1)


def test_placeholders_for_a_volatility_are_compared_and_counted(lake, tmp_path):
    def flat(rows):
        return rows.with_columns(pl.lit(0.8).alias("mark_iv"))

    found = report(altered(lake, tmp_path, flat))

    assert found.tally.flat == found.tally.rows
    assert any("with one mark_iv at all strikes" in fact for fact in facts(found))


def test_few_rows_neither_pass_nor_fail(lake, tmp_path):
    found = report(altered(lake, tmp_path, lambda rows: rows.head(12)))

    assert found.verdict == "UNKNOWN"
    assert set(found.table["verdict"]) == {"few"}


def test_marks_of_nothing_leave_the_second_report_empty(lake, tmp_path):
    nothing = altered(lake, tmp_path, lambda rows: rows.with_columns(mark_price=pl.lit(0.0)))
    found = report(nothing)

    assert found.table["source"].unique().to_list() == ["mark_iv"]
    assert found.tally.unclear == found.tally.rows


def test_the_last_days_held_are_compared_or_those_of_a_span(lake):
    last = report(lake, "BTC", days=1)
    hours = report(lake, "BTC", span=Span(FIRST_MS, FIRST_MS + 6 * 3_600_000))

    assert (last.first, last.last) == ("2025-10-17", "2025-10-17")
    assert (hours.first, hours.last) == ("2025-10-16", "2025-10-16")
    assert hours.tally.rows < last.tally.rows / 3


def test_a_lake_without_tickers_says_what_to_run(tmp_path):
    with pytest.raises(
        UsageError, match="holds nothing of option_tickers yet: run `deribit-lake snap"
    ):
        report(Lake(tmp_path))


def test_chains_alone_have_no_greeks_and_say_what_to_run(lake, tmp_path):
    bare = altered(lake, tmp_path, lambda rows: rows.with_columns(delta=pl.lit(None, pl.Float64)))

    with pytest.raises(UsageError, match=r"no ticker with Greeks .*no_greeks.*--tickers"):
        report(bare)


def test_a_currency_or_time_that_is_not_held_says_what_is(lake):
    with pytest.raises(UsageError, match="settled in 'ETH'; there are: BTC, USDC"):
        report(lake, "ETH")
    with pytest.raises(UsageError, match="those held are of 2025-10-16 to 2025-10-17"):
        report(lake, span=Span(0, DAY_MS))


@pytest.mark.parametrize("name", ["mark_iv", "rho", "index_price"])
def test_a_file_that_lacks_a_column_is_named_with_it(lake, tmp_path, name):
    path = tmp_path / "lake/clean/option_tickers/BTC/2025-10-16.parquet"
    path.parent.mkdir(parents=True)
    pl.read_parquet(lake.clean(FILE)).rename({name: "other"}).write_parquet(path)

    with pytest.raises(MissingColumnError, match=f"2025-10-16.parquet has no column {name}: run"):
        report(Lake(tmp_path / "lake"))


def test_a_file_that_is_none_is_said(tmp_path):
    path = tmp_path / "clean/option_tickers/BTC/2025-10-16.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no file of columns")

    with pytest.raises(CorruptFileError, match="is corrupt"):
        report(Lake(tmp_path))


def test_a_file_with_a_page_that_is_damaged_is_said(lake, tmp_path):
    path = tmp_path / "clean/option_tickers/BTC/2025-10-16.parquet"
    path.parent.mkdir(parents=True)
    body = bytearray(lake.clean(FILE).read_bytes())
    body[2_000:60_000] = bytes(58_000)
    path.write_bytes(body)

    with pytest.raises(CorruptFileError, match="is corrupt"):
        report(Lake(tmp_path))


def test_hours_without_a_ticker_say_so(lake):
    night = Span(FIRST_MS + 3_600_000, FIRST_MS + 7_200_000)

    with pytest.raises(UsageError, match=r"no ticker with Greeks .*\(no row at all\)"):
        report(lake, span=night)


@pytest.mark.parametrize("text", ["0", "-1", "", "3.0", "ten", "9" * 5_000, " "])
def test_a_number_of_days_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"--days .*: expected a number of days, 1 or more"):
        parse_days(text)


@pytest.mark.parametrize("text", ["old", "-1", "nan", "inf", "1e9", ""])
def test_an_age_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"--age .*: expected seconds from 0 to 3600, or auto"):
        parse_age(text)


def test_an_age_is_seconds_or_to_be_found():
    assert (parse_age("17.5"), parse_age("auto")) == (17.5, None)


@pytest.mark.parametrize("seed", range(6))
def test_no_number_whatever_it_is_ends_a_report(seed):
    dice = np.random.default_rng(seed)
    odd = [0.0, 1e-300, 1e-12, 1e-5, 1.0, 250.0, 1e5, 1e12, 1e300, float("nan"), None, -1.0]
    rows = greek_tickers.tickers("BTC", FIRST_MS).head(400)
    for name in (*NUMBERS, "index_price"):
        drawn = pl.Series([odd[at] for at in dice.integers(0, len(odd), 400)], dtype=pl.Float64)
        is_odd = pl.Series(dice.random(400) < 0.1)
        rows = rows.with_columns(pl.when(is_odd).then(drawn).otherwise(pl.col(name)).alias(name))
    found = tally([rows], EXCHANGE, stale_s=30)

    assert found.rows + found.left["rows"].sum() == 400
    for counts, totals in found.counts.values():
        assert judged(counts, totals)["rows"].sum() == totals["rows"].sum()
