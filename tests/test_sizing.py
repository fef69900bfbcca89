from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import sizing_page
from benchmarks.sizing_model import (
    HOURS,
    KEPT,
    MINUTES,
    SURFACES,
    TICKER_MINUTES,
    TRADES,
    Figures,
    Part,
    Prices,
    Query,
    Requests,
    Unit,
    Universe,
    bytes_of,
    hours_on,
    makespan,
    opening_seconds,
    publishes,
    query_seconds,
    requests_a_month,
    row_groups,
    storage_a_month,
    total,
    workers_for,
    years_on,
)

FIGURES = Figures(
    units=(
        Unit("option_tickers", "clean", TICKER_MINUTES, 50.0, 10.0, "fold option_tickers"),
        Unit("option_iv", "derived", TRADES, 20.0, 2.0, "implied volatilities"),
    ),
    queries=(Query("all of it", "all", 0.1, 5.0), Query("a day", "day", 1.0, 5.0)),
    raw_ticker_bytes={1: 30.0, 10: 40.0, 60: 50.0},
    message_bytes=800.0,
    open_us=1_000.0,
    footer_bytes=2_000.0,
)
TEN = Universe((Part("BTC", 6, 100.0, 1), Part("ETH", 4, 50.0, 1)))
options = st.integers(1, 100_000)
tasks = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def universe(count):
    return Universe((Part("BTC", count, 100.0, 1),))


def test_ten_options_have_ten_times_the_minutes_of_a_year():
    found = total(TEN)
    assert found[TICKER_MINUTES] == 10 * MINUTES
    assert found[KEPT] == 10 * MINUTES
    assert found[TRADES] == pytest.approx(150 * 365)


def test_bytes_of_a_year_are_those_of_its_messages_rows_and_trades():
    assert bytes_of(FIGURES, TEN) == pytest.approx(
        {
            "raw option_tickers": 10 * MINUTES * 50,
            "clean option_tickers": 10 * MINUTES * 50,
            "derived option_iv": 150 * 365 * 20,
        }
    )


def test_a_ticker_a_second_is_sixty_times_as_many_as_one_a_minute_and_the_same_rows():
    fast = replace(TEN, every=1)
    assert total(fast)[KEPT] == 60 * total(TEN)[KEPT]
    assert (
        bytes_of(FIGURES, fast)["clean option_tickers"]
        == bytes_of(FIGURES, TEN)["clean option_tickers"]
    )


def test_surfaces_every_minute_are_sixty_times_those_of_every_hour():
    assert total(replace(TEN, surface_minutes=1))[SURFACES] == 60 * total(TEN)[SURFACES]
    assert total(TEN)[SURFACES] == 2 * HOURS


def test_a_cadence_that_was_not_measured_is_refused_by_name():
    with pytest.raises(ValueError, match="every 30 s was not measured: expected one of 1, 10, 60"):
        bytes_of(FIGURES, replace(TEN, every=30))


@given(options, options)
def test_more_options_never_take_less(some, more):
    few, many = sorted((some, more))
    small, large = bytes_of(FIGURES, universe(few)), bytes_of(FIGURES, universe(many))
    assert all(small[name] <= large[name] for name in small)
    assert years_on(1e12, FIGURES, universe(few)) >= years_on(1e12, FIGURES, universe(many))


@given(options, st.integers(1, 10))
def test_bytes_go_with_years(count, years):
    one, several = bytes_of(FIGURES, universe(count)), bytes_of(FIGURES, universe(count), years)
    assert several == pytest.approx({name: years * size for name, size in one.items()})


@given(tasks, st.integers(1, 40))
def test_workers_take_no_longer_than_one_and_no_shorter_than_their_share(seconds, workers):
    took = makespan(seconds, workers)
    assert took <= makespan(seconds, 1) * (1 + 1e-9)
    assert took >= max(sum(seconds) / workers, *seconds) * (1 - 1e-9)


@given(tasks, st.integers(1, 40))
def test_one_worker_more_is_never_slower(seconds, workers):
    assert makespan(seconds, workers + 1) <= makespan(seconds, workers) * (1 + 1e-9)


def test_no_number_of_workers_is_faster_than_the_largest_month():
    alone = hours_on(FIGURES, TEN, ["implied volatilities"], 1)
    largest = 100 * 365 * 2e-6 / 12 / 3600
    assert hours_on(FIGURES, TEN, ["implied volatilities"], 1_000) == pytest.approx(largest)
    assert alone == pytest.approx(150 * 365 * 2e-6 / 3600)


@given(st.floats(0, 1e6), st.floats(0.1, 100), st.floats(0.1, 1))
def test_as_many_workers_as_are_needed_are_enough(hours, within, efficiency):
    count = workers_for(hours, within, efficiency)
    assert count == 1 or hours / count / efficiency <= within * (1 + 1e-9)


def test_an_efficiency_of_no_worker_is_refused():
    with pytest.raises(ValueError, match="efficiency 0: expected more than 0"):
        workers_for(10, 8, 0)


def test_a_question_opens_every_row_group_and_reads_its_scope():
    everything, a_day = (query_seconds(FIGURES, query, TEN) for query in FIGURES.queries)
    opening = (2 + 1) * 365 * 1e-3  # a day of six options is two of them
    assert everything == pytest.approx(opening + 10 * MINUTES * 0.1e-6)
    assert a_day == pytest.approx(opening + 6 * 1440 * 1e-6)


def test_a_day_of_twenty_options_has_four_row_groups():
    assert row_groups(universe(20)) == 4 * 365
    assert opening_seconds(FIGURES, universe(20)) == pytest.approx(4 * 365 * 1e-3)


def test_storage_is_charged_by_the_gib_and_requests_by_the_thousand():
    prices = Prices(gib_month=0.02, thousand_puts=0.005, thousand_gets=0.0004, gib_out=0.1)
    files, folds = publishes(FIGURES, TEN)
    assert storage_a_month(2**40, prices) == pytest.approx(1024 * 0.02)
    assert (files, folds) == (6 * 8760, 2 * 8760)
    assert requests_a_month(FIGURES, TEN, Requests(3, 2), prices) == pytest.approx(
        ((files + 3 * folds) * 0.005 + 2 * folds * 0.0004) / 1000 / 12
    )


def test_the_tables_of_the_page_are_fresh():
    page = sizing_page.PAGE.read_text(encoding="utf-8")
    assert page == sizing_page.filled(page), "run `just docs`"


def test_every_table_stands_in_the_page_once():
    page = sizing_page.PAGE.read_text(encoding="utf-8")
    found = [one["name"] for one in sizing_page.GENERATED.finditer(page)]
    assert sorted(found) == sorted(sizing_page.TABLES)


def test_the_model_is_within_its_stated_tolerance_of_the_lake_it_was_checked_on():
    rows = [one for one in sizing_page.told()["check"]["rows"] if one["unit"] == "MB"]
    off = {one["what"]: abs(one["measured"] / one["predicted"] - 1)
           for one in rows if one["predicted"] >= sizing_page.LARGE_MB}  # fmt: skip
    assert {"raw option_tickers", "clean option_tickers", "all of these"} <= {*off}
    assert max(off.values()) <= sizing_page.TOLERANCE, off
