"""A page whose rows stand one bar away, or on another alignment, is found out by its neighbour."""

import polars as pl
import pytest

from etl.backfill.fold import JUDGED, fold, is_folded
from etl.catalog import find_fetched
from lake.ledger import Record
from lake.partition import Partition
from lake.span import Span
from tests.etl.staged import (
    BTC,
    HOUR,
    MINUTE,
    START,
    TERMS,
    attempt,
    chart,
    folded,
    lake_of,
    minutes,
)

FIRST, SECOND = (START, START + 10 * MINUTE), (START + 9 * MINUTE, START + 20 * MINUTE)
TRUE = {number: 100.0 + number for number in range(20)}


def page(window, *, moved=0):
    """A page of the window's minutes, each as many minutes later than it is as it is moved."""
    numbers = range((window[0] - START) // MINUTE, (window[1] - START) // MINUTE)
    volumes = [TRUE[number] for number in numbers]
    return attempt(chart(minutes(*(n + moved for n in numbers)), volume=volumes), window)


def held(result):
    frame = pl.from_arrow(result.rows)
    ticks = frame["timestamp"].dt.epoch("ms").to_list()
    return {(tick - START) // MINUTE: v for tick, v in zip(ticks, frame["volume"], strict=True)}


@pytest.mark.parametrize("liar", [{FIRST: -1}, {FIRST: 1}, {SECOND: -1}, {SECOND: 1}])
def test_a_page_one_bar_away_is_not_believed_whichever_its_neighbour_is(tmp_path, liar):
    lies = [page(window, moved=liar.get(window, 0)) for window in (FIRST, SECOND)]

    found = folded(lake_of(tmp_path, *lies), (START, START + 20 * MINUTE))

    assert held(found).items() <= TRUE.items()
    assert found.record.doubted > 0
    assert not found.record.is_complete


def test_a_row_most_answers_lack_is_none_to_be_lacked(tmp_path):
    window = (START - MINUTE, START + 10 * MINUTE)
    volumes = [TRUE[number] for number in range(10)]
    honest = [attempt(chart(minutes(*range(10)), volume=volumes), window) for _ in range(2)]
    early = attempt(chart([START - MINUTE]), (START - MINUTE, START))

    found = folded(lake_of(tmp_path, early, *honest), window)

    assert found.record.doubted == 0


def test_bars_of_two_alignments_contradict_each_other(tmp_path):
    dataset = find_fetched("perpetuals_ohlcv_720")
    partition = Partition(dataset.name, BTC, "2024")
    ticks = [START + 12 * HOUR * number for number in range(4)]
    window = (START, START + 48 * HOUR)
    one = attempt(chart(ticks), window, fetched=window[1] + 12 * HOUR)
    other = attempt(
        chart([tick + 8 * HOUR for tick in ticks]), window, fetched=window[1] + 20 * HOUR
    )

    lake = lake_of(tmp_path, one, other, dataset=dataset, partition=partition)
    found = fold(lake, dataset, partition, [Span(*window)], TERMS)

    assert (found.record.rows, found.record.doubted) == (0, 2)


def test_what_was_judged_by_older_rules_is_judged_anew_whether_anything_is_missing_or_not():
    whole = Record(segments=("1-a.parquet",), judged=JUDGED)
    older = Record(segments=("1-a.parquet",), judged=JUDGED - 1)

    assert is_folded(whole, whole.segments)
    assert not is_folded(older, older.segments)
    assert is_folded(Record(), ())
