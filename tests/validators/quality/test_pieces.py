"""Wherever a history is cut, the checks find what they find in one piece."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validators.candles import START, TICK, clean_candles
from validators import quality
from validators.quality.pieces import by_time, cut, is_in_order, run

ROWS = 1_500
CALM = clean_candles(ROWS, seed=3)
PRICES = ["open", "high", "low", "close"]

rows = st.integers(0, ROWS - 1)
silences = st.tuples(st.just("silence"), rows, st.integers(50, 800))
spikes = st.tuples(st.just("spike"), rows, st.sampled_from([0.9, 1.1, 2.0]))
gaps = st.tuples(st.just("gap"), rows, st.integers(1, 200))
again = st.tuples(st.just("again"), rows, st.integers(1, 3))
moved = st.tuples(st.just("moved"), rows, rows)
faults = st.tuples(st.just("fault"), rows, st.sampled_from([-1.0, 0.0, float("nan"), 1e9]))
histories = st.lists(silences | spikes | gaps | again | moved | faults, max_size=6)
cuts = st.lists(st.integers(0, ROWS), max_size=8)


def damaged(changes):
    """The calm candles with silences, spikes, holes, duplicates, rows out of place and bad ones."""
    columns = {name: CALM[name].to_numpy(writable=True) for name in [*PRICES, "volume", "cost"]}
    order = np.arange(ROWS)
    for kind, at, size in changes:
        if kind == "silence":
            for name in PRICES:
                columns[name][at : at + size] = columns["close"][at]
            columns["volume"][at : at + size] = columns["cost"][at : at + size] = 0.0
        elif kind == "spike":
            columns["high" if size > 1 else "low"][at] *= size
        elif kind == "fault":
            columns["volume"][at] = size
        else:
            order = rearranged(order, kind, at % len(order), size)
    return CALM.with_columns(**columns)[order]


def rearranged(order, kind, at, size):
    if kind == "gap":
        return np.delete(order, slice(at + 1, at + 1 + size))
    if kind == "again":
        return np.insert(order, at, np.repeat(order[at], size))
    return np.insert(np.delete(order, at), size % len(order), order[at])


def found(pieces, **options):
    """The findings of every check in a history of these pieces."""
    options |= {"resolution": "1"}
    as_held = {
        "fillers": quality.Fillers(**options),
        "faults": quality.Faults(tick_size=TICK, **options),
    }
    in_order = {
        "gaps": quality.Gaps(**options),
        "outliers": quality.Outliers(tick_size=TICK, **options),
        "repeats": quality.Repeats(),
    }
    return run([piece.lazy() for piece in pieces], as_held=as_held, in_order=in_order)


def assert_same(pieces, frame):
    cut_up = found(pieces)
    whole = {
        "gaps": quality.find_gaps(frame, resolution="1"),
        "outliers": quality.find_outliers(frame, resolution="1", tick_size=TICK),
        "fillers": quality.find_fillers(frame, resolution="1"),
        "sanity": quality.find_faults(frame, resolution="1", tick_size=TICK),
    }
    sanity = quality.merged(cut_up.pop("faults"), cut_up.pop("repeats"))
    for check, findings in (cut_up | {"sanity": sanity}).items():
        assert findings.equals(whole[check]), check


@settings(max_examples=25)
@given(changes=histories, borders=cuts)
def test_where_a_history_is_cut_changes_no_finding(changes, borders):
    frame = damaged(changes)
    edges = sorted({min(border, len(frame)) for border in borders})

    pieces = [frame[low:high] for low, high in pairwise([0, *edges, len(frame)])]

    assert_same(pieces, frame)


@pytest.mark.parametrize(
    "changes",
    [
        [("silence", 20, 70), ("spike", 150, 2.0), ("again", 200, 2)],
        [("silence", 0, 90), ("gap", 120, 30), ("moved", 200, 20)],
    ],
)
def test_pieces_of_a_single_row_change_no_finding(changes):
    frame = damaged(changes)[:230]

    assert_same(frame.iter_slices(1), frame)


@pytest.mark.parametrize("resolution", ["1", "60", "1D"])
@pytest.mark.parametrize("size", [7, 100])
def test_silences_are_the_same_for_pieces_of_any_size(resolution, size):
    random = np.random.default_rng(5)
    runs = np.repeat(random.random(60) < 0.5, random.integers(1, 40, 60))
    frame = clean_candles(len(runs)).with_columns(volume=pl.Series(np.where(runs, 0.0, 1.0)))

    check = quality.Fillers(resolution=resolution)
    pieces = [piece.lazy() for piece in frame.iter_slices(size)]

    expected = quality.find_fillers(frame, resolution=resolution)
    assert len(expected) > (0 if resolution == "1" else 10)
    assert run(pieces, as_held={"it": check}, in_order={})["it"].equals(expected)


def test_outliers_carry_no_more_than_a_neighbourhood_from_piece_to_piece():
    check = quality.Outliers(resolution="1", tick_size=TICK)

    for piece in clean_candles(10_000).iter_slices(1_000):
        check = check.add(piece)

    assert len(check.candles) == 2 * 240 + 1


def test_silences_carry_the_runs_of_two_days_at_most():
    check = quality.Fillers(resolution="1")

    for piece in clean_candles(40_000, filler_share=0.5).iter_slices(1_000):
        check = check.add(piece)

    assert check.runs["candles"].sum() < 2 * 1_440 + 60


def test_rows_in_disorder_are_yielded_by_time_and_those_of_one_time_as_held():
    frame = clean_candles(50).with_columns(timestamp=pl.col("timestamp").shuffle(seed=1))
    frame = pl.concat([frame, frame.with_columns(volume=pl.lit(7.0))])
    history = cut(frame.lazy(), piece_rows=9)

    pieces = list(by_time(history, piece_rows=10))

    assert not is_in_order(history)
    assert max(map(len, pieces)) <= 12
    assert pl.concat(pieces).equals(frame.sort("timestamp", maintain_order=True))


def test_rows_without_a_time_come_first():
    frame = clean_candles(9)
    late = frame.with_columns(timestamp=pl.when(pl.int_range(9) != 7).then("timestamp"))

    pieces = list(by_time(cut(late.lazy(), piece_rows=2), piece_rows=3))

    assert pl.concat(pieces)["timestamp"].to_list() == [
        None,
        *(START + timedelta(minutes=minute) for minute in range(9) if minute != 7),
    ]


def test_a_history_without_rows_has_no_findings():
    assert all(findings.is_empty() for findings in found([CALM.clear()]).values())
