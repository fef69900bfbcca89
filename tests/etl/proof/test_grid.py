from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.catalog import fetched, find_fetched
from etl.proof.grid import NOT_OWED, Grid, pages, windows
from lake.ledger import SETTLED, Gap, Reading, Record
from lake.span import Span, clip, union
from validators.resolutions import RESOLUTIONS

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
GRID = Grid(MINUTE, (0,), MINUTE)
FUNDING = find_fetched("funding_rates")
EVER = Span(-(2**53), 2**53)
REASONS = [*SETTLED, "quarantined", "unexplained", "truncated", "no_answer", "not_asked"]

spans = st.tuples(st.integers(0, 50), st.integers(-3, 20)).map(lambda one: Span(one[0], sum(one)))
many = st.lists(spans, max_size=6)


def points(*some):
    return {point for one in some for point in range(one.start_ms, one.end_ms)}


def moment(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)


@given(spans, st.integers(1, 5), st.integers(1, 7))
def test_pages_follow_each_other_and_are_no_longer_than_asked(one, step, rows):
    found = pages(one, step, rows)

    assert union(found) == union([one])
    assert sum(page.end_ms - page.start_ms for page in found) == len(points(one))
    assert all(page.end_ms - page.start_ms <= step * rows for page in found)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_a_grid_steps_by_its_resolution(resolution):
    name = "perpetuals_ohlcv" + (f"_{resolution}" if resolution != "1" else "")

    grid = find_fetched(name).proof.grid

    assert grid.step_ms == grid.closes_after_ms == RESOLUTIONS[resolution] * MINUTE
    assert (8 * 60 * MINUTE) % grid.step_ms in grid.alignments_ms


def test_daily_candles_start_at_eight_in_utc():
    grid = find_fetched("perpetuals_ohlcv_1D").proof.grid
    listed = moment(2018, 8, 14, 10, 24, 47)

    life = grid.described(Span(listed, moment(2018, 8, 16)), grid.alignment_of(np.array([])))

    assert life == Span(moment(2018, 8, 14, 8), moment(2018, 8, 16, 8))


grids = st.sampled_from([one.proof.grid for one in fetched()])
times = st.integers(0, 10 * DAY)


@given(grids, times, times)
def test_a_row_describes_a_life_where_its_step_overlaps_it(grid, start, length):
    life = Span(start, start + length + 1)
    (alignment, *_) = grid.alignments_ms

    found = grid.described(life, alignment)

    behind = grid.step_ms - grid.closes_after_ms
    for tick in range(alignment - 2 * grid.step_ms, 12 * DAY, grid.step_ms):
        described = Span(tick - behind, tick - behind + grid.step_ms)
        overlaps = bool(clip(described, life).end_ms > clip(described, life).start_ms)
        assert overlaps == (found.start_ms <= tick < found.end_ms)


@given(grids, times)
def test_a_row_is_owed_once_it_is_closed(grid, now):
    (alignment, *_) = grid.alignments_ms

    until = grid.owed_until(now, alignment)

    assert until - grid.step_ms + grid.closes_after_ms <= now < until + grid.closes_after_ms
    assert (until - alignment) % grid.step_ms == 0


@given(grids, times, times)
def test_a_snapped_span_holds_the_same_places_of_the_grid(grid, start, length):
    (alignment, *_) = grid.alignments_ms
    ticks = range(alignment, 21 * DAY, grid.step_ms)

    found = grid.snap(Span(start, start + length), alignment)

    inside = [tick for tick in ticks if start <= tick < start + length]
    assert [tick for tick in ticks if found.start_ms <= tick < found.end_ms] == inside
    assert (found.start_ms - alignment) % grid.step_ms == 0


def test_the_alignment_is_that_of_most_rows():
    grid = Grid(10, (0, 3))

    assert grid.alignment_of(np.array([13, 23, 30, 7])) == 3
    assert grid.alignment_of(np.array([], dtype=np.int64)) == 0
    assert grid.alignment_of(np.array([7])) == 0


def test_places_on_the_grid_at_or_before_some_rows():
    assert Grid(10, (3,)).cells(np.array([2, 13, 14, 22]), 3).tolist() == [-7, 13]


def at(minute):
    return minute * MINUTE


def gap(start, end, reason, **what):
    return Gap(at(start), at(end), reason, **what)


def asked(*gaps, rows=10, within=EVER, clock=0, provisional=(), read_since=0):
    record = Record(gaps=gaps, provisional=provisional)
    found = windows(
        record, GRID, rows=rows, within=within, clock_ms=clock, read_since_ms=read_since
    )
    return [(one.start_ms // MINUTE, one.end_ms // MINUTE) for one in found]


@pytest.mark.parametrize("reason", ["not_asked", "no_answer"])
def test_what_nothing_is_known_of_is_asked_for_plainly_page_by_page(reason):
    assert asked(gap(0, 25, reason)) == [(0, 10), (10, 20), (20, 25)]


@pytest.mark.parametrize("reason", ["unexplained", "truncated", "quarantined"])
def test_a_hole_is_asked_for_with_a_row_on_each_side(reason):
    assert asked(gap(5, 7, reason)) == [(4, 8)]


@pytest.mark.parametrize("reason", sorted(SETTLED))
def test_what_is_settled_is_not_asked_for(reason):
    assert asked(gap(0, 5, reason)) == []


def test_a_hole_is_left_alone_until_its_time_has_come():
    waiting = gap(5, 7, "unexplained", retry_at_ms=1_000)

    assert asked(waiting, clock=999) == []
    assert asked(waiting, clock=1_000) == [(4, 8)]


def test_nothing_is_asked_for_outside_the_life_of_the_instrument():
    assert asked(gap(0, 3, "truncated"), within=Span(at(0), at(3))) == [(0, 3)]


def test_the_neighbours_of_a_part_are_those_of_its_whole_hole():
    """The minutes beside it are missing too, and would not come."""
    assert asked(gap(3, 5, "absent"), gap(5, 6, "unexplained")) == [(2, 7)]


def test_a_hole_wider_than_a_page_is_asked_for_in_pages_inside_it():
    assert asked(gap(0, 12, "unexplained")) == [(0, 10), (10, 12)]


def test_a_hole_next_to_what_is_in_progress_has_its_flank_there():
    assert asked(gap(5, 7, "truncated"), gap(7, 30, "in_progress")) == [(4, 8)]


def test_neighbouring_holes_share_a_request():
    assert asked(gap(2, 3, "truncated"), gap(4, 5, "truncated")) == [(1, 6)]


def test_rows_that_may_have_been_revised_are_read_again_once_a_run():
    read = Reading(at(0), at(5), 100)

    assert asked(provisional=(read,), read_since=101) == [(0, 5)]
    assert asked(provisional=(read,), read_since=100) == []


def test_rows_to_be_read_again_and_new_ones_share_a_request():
    read = Reading(at(0), at(5), 0)

    assert asked(gap(5, 8, "not_asked"), provisional=(read,), read_since=1) == [(0, 8)]


@st.composite
def ledgers(draw):
    """Gaps in order, some touching, with retries, and readings."""
    edges = draw(st.lists(st.integers(0, 60), max_size=12).map(sorted))
    gaps = []
    for start, end in zip(edges, edges[1:], strict=False):  # noqa: RUF007  (runs of edges)
        if start < end and draw(st.booleans()):
            retry = draw(st.one_of(st.none(), st.integers(0, 20)))
            gaps.append(gap(start, end, draw(st.sampled_from(REASONS)), retry_at_ms=retry))
    return gaps


@given(ledgers(), st.integers(0, 20), st.integers(3, 12))
def test_every_due_minute_is_in_a_window_and_no_window_is_wider_than_a_page(gaps, clock, rows):
    found = asked(*gaps, clock=clock, rows=rows)

    covered = points(*(Span(*one) for one in found))
    due = [g for g in gaps if not g.is_settled and (g.retry_at_ms or 0) <= clock]
    wanted = {point // MINUTE for g in due for point in range(g.start_ms, g.end_ms, MINUTE)}
    assert wanted <= covered
    assert all(0 < end - start <= rows for start, end in found)
    assert bool(due) == bool(found)


@given(ledgers(), st.integers(3, 12))
def test_known_holes_are_inside_one_window_with_both_their_neighbours(gaps, rows):
    found = [Span(*one) for one in asked(*gaps, clock=99, rows=rows)]

    holes = union(Span(g.start_ms, g.end_ms) for g in gaps if g.reason not in NOT_OWED)
    for hole in holes:
        inside = [g for g in gaps if hole.start_ms <= g.start_ms < hole.end_ms]
        around = Span(hole.start_ms // MINUTE - 1, hole.end_ms // MINUTE + 1)
        is_known = any(g.reason in {"unexplained", "truncated", "quarantined"} for g in inside)
        if is_known and around.end_ms - around.start_ms <= rows:
            assert any(clip(around, window) == around for window in found)


def test_a_page_of_funding_is_one_month():
    week = Gap(0, 1_000 * FUNDING.proof.grid.step_ms, "not_asked")

    found = windows(
        Record(gaps=(week,)), FUNDING.proof.grid, rows=FUNDING.proof.page_rows, within=EVER,
        clock_ms=0,
        read_since_ms=0,
    )  # fmt: skip

    assert [(one.end_ms - one.start_ms) // FUNDING.proof.grid.step_ms for one in found] == [
        744,
        256,
    ]
