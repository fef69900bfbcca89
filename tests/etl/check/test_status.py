import pyarrow as pa
import pytest

from etl.catalog import find_fetched
from etl.check.status import Status, overall, statuses, table
from lake import raw
from lake.errors import CorruptFileError
from lake.ledger import SETTLED, Gap, Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.publish import publish
from lake.span import Span
from lake.write import publish_table
from tests.etl.staged import (
    BTC,
    MINUTE,
    MINUTES,
    PARTITION,
    START,
    attempt,
    chart,
    folded,
    lake_of,
    minutes,
)

YEARS = [Partition("perpetuals_ohlcv", BTC, year) for year in ("2022", "2023", "2024")]


def record(start, end, *gaps, rows=1):
    """A ledger of minutes [start, end) with gaps (start, end, reason), and nothing staged."""
    return Record(
        wanted=(Span(start * MINUTE, end * MINUTE),),
        rows=rows,
        first_ms=start * MINUTE if rows else None,
        last_ms=(end - 1) * MINUTE if rows else None,
        gaps=tuple(Gap(a * MINUTE, b * MINUTE, reason) for a, b, reason in gaps),
    )


def lake_with(root, *records):
    """A lake whose ledger says this of successive years, with the files it speaks of."""
    lake = open_lake(root, create=True)
    for partition, one in zip(YEARS, records, strict=False):
        write_record(lake, partition, one)
        if one.rows:
            publish_table(pa.table({"close": [1.0]}), lake.clean(partition))
    return lake


def only(lake):
    (status,) = statuses(lake)
    return status


@pytest.mark.parametrize("reason", sorted(SETTLED))
def test_what_is_settled_leaves_an_instrument_complete(tmp_path, reason):
    status = only(lake_with(tmp_path, record(0, 9, (3, 5, reason))))

    assert (status.verdict, status.gaps) == ("COMPLETE", {reason: 2})


@pytest.mark.parametrize(
    "reason", ["quarantined", "unexplained", "truncated", "no_answer", "not_asked"]
)
def test_what_is_not_settled_makes_it_incomplete(tmp_path, reason):
    status = only(lake_with(tmp_path, record(0, 9), record(9, 12, (10, 11, reason))))

    assert (status.verdict, status.gaps) == ("INCOMPLETE", {reason: 1})


def test_years_are_added_up(tmp_path):
    status = only(lake_with(tmp_path, record(0, 9, rows=9), record(9, 12, rows=3)))

    assert (status.first_ms, status.last_ms, status.rows) == (0, 11 * MINUTE, 12)


def test_nothing_before_the_first_row_of_a_later_year_is_a_hole_after_rows(tmp_path):
    later = record(9, 12, (9, 10, "before_first_trade"))

    status = only(lake_with(tmp_path, record(0, 9), later))

    assert (status.verdict, status.gaps) == ("INCOMPLETE", {"unexplained": 1})


def test_years_without_a_row_before_the_first_trade_are_none(tmp_path):
    empty = record(0, 9, (0, 9, "before_first_trade"), rows=0)

    status = only(lake_with(tmp_path, empty, record(9, 12, (9, 10, "before_first_trade"))))

    assert (status.verdict, status.gaps) == ("COMPLETE", {"before_first_trade": 10})


def test_time_between_two_wanted_spans_was_not_asked(tmp_path):
    status = only(lake_with(tmp_path, record(0, 9), record(20, 30)))

    assert (status.verdict, status.gaps) == ("INCOMPLETE", {"not_asked": 11})


def test_raw_the_ledger_has_not_seen_makes_it_unknown(tmp_path):
    lake = lake_of(tmp_path, attempt(chart(minutes(*range(10)))))
    publish(lake, PARTITION, folded(lake))
    assert only(lake).verdict == "COMPLETE"

    raw.stage([attempt(chart([]))], MINUTES.raw_folder(lake, PARTITION))

    status = only(lake)
    assert (status.verdict, status.rows) == ("UNKNOWN", 10)
    assert status.why.startswith("raw of 2024 is newer than the ledger")


def test_a_clean_file_that_is_gone_makes_it_unknown(tmp_path):
    lake = lake_with(tmp_path, record(0, 9))
    lake.clean(YEARS[0]).unlink()

    assert only(lake).verdict == "UNKNOWN"
    assert only(lake).why.endswith("2022.parquet is gone: run replay")


def test_a_file_without_a_ledger_is_unknown(tmp_path):
    lake = lake_with(tmp_path)
    publish_table(pa.table({"close": [1.0]}), lake.clean(YEARS[0]))

    assert only(lake).verdict == "UNKNOWN"
    assert only(lake).why == f"{lake.clean(YEARS[0])} has no ledger: run replay"


def test_a_file_without_a_ledger_beside_years_that_have_one_is_unknown(tmp_path):
    lake = lake_with(tmp_path, record(0, 9))
    publish_table(pa.table({"close": [1.0]}), lake.clean(YEARS[2]))

    assert only(lake).verdict == "UNKNOWN"


def test_one_dataset_can_be_asked_for(tmp_path):
    lake = lake_with(tmp_path, record(0, 9))

    assert statuses(lake, "funding_rates") == []
    assert [status.instrument for status in statuses(lake, "perpetuals_ohlcv")] == [BTC]


def test_a_corrupt_ledger_is_an_error_naming_it(tmp_path):
    lake = lake_with(tmp_path, record(0, 9))
    lake.ledger(YEARS[0]).write_bytes(b"{")

    with pytest.raises(CorruptFileError, match=r"2022\.json"):
        statuses(lake)


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], "UNKNOWN"),
        (["COMPLETE", "COMPLETE"], "COMPLETE"),
        (["COMPLETE", "INCOMPLETE"], "INCOMPLETE"),
        (["UNKNOWN", "INCOMPLETE", "COMPLETE"], "UNKNOWN"),
    ],
)
def test_the_overall_verdict_is_the_worst(verdicts, worst):
    assert overall([Status("d", "i", verdict) for verdict in verdicts]) == worst


def test_a_table_has_a_line_for_every_instrument():
    whole = Status("d", BTC, "COMPLETE", START, START + MINUTE, 1_234, 5, 0, {"absent": 1_000})
    none = Status("d", "ETH-PERPETUAL", "UNKNOWN", why="files without a ledger: run replay")

    head, first, second = table([whole, none]).splitlines()

    assert head.split() == [
        "dataset", "instrument", "verdict", "first", "last", "rows", "fillers", "gaps",
    ]  # fmt: skip
    assert first.split() == [
        "d", BTC, "COMPLETE", "2024-03-01", "00:00", "2024-03-01", "00:01", "1,234", "5", "absent",
        "1,000",
    ]  # fmt: skip
    assert second.endswith("files without a ledger: run replay")


def test_gaps_are_counted_in_rows_of_the_dataset(tmp_path):
    lake = open_lake(tmp_path, create=True)
    hour = find_fetched("funding_rates").proof.grid.step_ms
    gap = Gap(0, 3 * hour, "absent")
    partition = Partition("funding_rates", BTC, "2024")

    write_record(lake, partition, Record(wanted=(Span(0, 3 * hour),), gaps=(gap,)))

    (status,) = statuses(lake, "funding_rates")
    assert status.gaps == {"absent": 3}
