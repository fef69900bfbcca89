from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.catalog import fetched, find_fetched
from etl.proof.grid import NOT_OWED, PROBED, Grid, pages, windows
from etl.proof.protocol import Due
from etl.proof.sequence import SequenceProof
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


@given(spans, st.integers(1, 5), st.integers(2, 7))
def test_pages_share_a_row_with_their_neighbours_and_are_no_longer_than_asked(one, step, rows):
    found = pages(one, step, rows)

    assert union(found) == union([one])
    assert [before.end_ms - after.start_ms for before, after in pairwise(found)] == [step] * (
        max(len(found), 1) - 1
    )
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


grids = st.sampled_from(
    [one.proof.grid for one in fetched() if not isinstance(one.proof, SequenceProof)]
)
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


def asked(
    *gaps, rows=10, within=EVER, clock=0, provisional=(), read_since=0, held=None, **looked_at
):
    first, last = held or (None, None)
    edges = {} if held is None else {"first_ms": at(first), "last_ms": at(last)}
    wanted = (Span(at(first), at(last + 1)),) if held else ()
    record = Record(gaps=gaps, provisional=provisional, wanted=wanted, **edges)
    due = Due(clock, read_since, **looked_at)
    found = windows(record, GRID, rows=rows, within=within, due=due)
    return [(one.start_ms // MINUTE, one.end_ms // MINUTE) for one in found]


@pytest.mark.parametrize("reason", ["not_asked", "no_answer", "doubted"])
def test_what_nothing_is_known_of_is_asked_for_plainly_page_by_page(reason):
    assert asked(gap(0, 25, reason)) == [(0, 10), (9, 19), (18, 25)]


@pytest.mark.parametrize("reason", ["unexplained", "truncated", "quarantined"])
def test_a_hole_is_asked_for_with_a_row_on_each_side(reason):
    assert asked(gap(5, 7, reason)) == [(4, 8)]


@pytest.mark.parametrize("reason", sorted(SETTLED))
def test_what_is_settled_is_not_asked_for(reason):
    assert asked(gap(0, 5, reason)) == []


def test_what_is_settled_is_looked_at_again_when_it_is_time():
    absent = gap(5, 7, "absent", retry_at_ms=1_000)

    assert asked(absent, clock=999) == []
    assert asked(absent, clock=1_000) == [(4, 8)]


def test_what_waits_or_is_settled_is_looked_at_before_its_time_if_the_user_says_so():
    waiting, settled = gap(2, 3, "quarantined", retry_at_ms=1_000), gap(20, 22, "absent")

    assert asked(waiting, settled, is_now=True) == [(1, 4)]
    assert asked(waiting, settled, again=frozenset({"absent"})) == [(19, 23)]


def test_a_hole_is_left_alone_until_its_time_has_come():
    waiting = gap(5, 7, "unexplained", retry_at_ms=1_000)

    assert asked(waiting, clock=999) == []
    assert asked(waiting, clock=1_000) == [(4, 8)]


def test_nothing_is_asked_for_outside_the_life_of_the_instrument():
    assert asked(gap(0, 3, "truncated"), within=Span(at(0), at(3))) == [(0, 3)]


def test_the_neighbours_of_a_part_are_those_of_its_whole_hole():
    """The minutes beside it are missing too, and would not come."""
    assert asked(gap(3, 5, "absent"), gap(5, 6, "unexplained")) == [(2, 7)]


def test_a_cut_hole_wider_than_a_page_is_asked_for_in_pages_and_as_a_whole():
    assert asked(gap(0, 12, "truncated")) == [(-1, 13), (0, 10), (9, 12)]
    assert asked(gap(0, 12, "quarantined")) == [(0, 10), (9, 12)]


def test_a_hole_that_answers_left_is_asked_for_with_its_neighbours_however_wide_it_is():
    """There are no rows in it to fill a page."""
    assert asked(gap(5, 500, "unexplained"), held=(0, 600)) == [(4, 501)]


@pytest.mark.parametrize(
    ("hole", "window"), [((0, 2), (-1, 9)), ((98, 100), (91, 101)), ((0, 30), (-1, 39))]
)
def test_a_hole_with_rows_on_one_side_is_asked_for_with_a_page_of_them(hole, window):
    """Another page that was cut at the very same row is unlikely."""
    held = (0, hole[0] - 1) if hole[1] == 100 else (hole[1], 97)

    assert asked(gap(*hole, "unexplained"), held=held) == [window]


def test_what_follows_a_row_that_is_held_is_asked_for_from_there_on():
    """It must come back the same."""
    assert asked(gap(5, 8, "not_asked"), held=(0, 4)) == [(4, 8)]
    assert asked(gap(4, 5, "absent"), gap(5, 8, "not_asked"), held=(0, 4)) == [(5, 8)]


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
            reason = draw(st.sampled_from(REASONS))
            retry = draw(st.one_of(st.none(), st.integers(0, 20)))
            retry = None if reason in NOT_OWED else retry
            gaps.append(gap(start, end, reason, retry_at_ms=retry))
    return gaps


@given(ledgers(), st.integers(0, 20), st.integers(3, 12))
def test_every_due_minute_is_in_a_window_no_wider_than_a_page_but_for_holes_answers_left(
    gaps, clock, rows
):
    found = asked(*gaps, clock=clock, rows=rows)

    covered = points(*(Span(*one) for one in found))
    due = [g for g in gaps if Due(clock, 0).has(g)]
    wanted = {point // MINUTE for g in due for point in range(g.start_ms, g.end_ms, MINUTE)}
    wide = [Span(*one) for one in found if one[1] - one[0] > rows]
    left = [
        Span(g.start_ms // MINUTE, g.end_ms // MINUTE)
        for g in due
        if g.reason in PROBED | {"truncated"}
    ]
    assert wanted <= covered
    assert all(any(clip(hole, one) == hole for hole in left) for one in wide)
    assert all(start < end for start, end in found)
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
        due=Due(0, 0),
    )  # fmt: skip

    assert [(one.end_ms - one.start_ms) // FUNDING.proof.grid.step_ms for one in found] == [
        744,
        257,
    ]
