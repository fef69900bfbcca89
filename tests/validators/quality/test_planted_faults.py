"""Quality finds exactly what was planted, wherever that is, and nothing else."""

from datetime import timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validators.candles import TICK, clean_candles
from validators.outages import load_outages
from validators.quality import find_faults, find_fillers, find_gaps, find_outliers
from validators.quality.fillers import PAGE_SIZES

CLEAN = clean_candles(48_000, seed=7)
PLOT = 8_000
NAMES = ["open", "high", "low", "close"]
"""A fault lies in a plot of its own, so that none hides another."""

offsets = st.integers(1_000, 1_900)
gaps = st.tuples(st.just("gap"), offsets, st.integers(6, 500))
spikes = st.tuples(st.just("spike"), offsets, st.floats(1.02, 2.0))
crossings = st.tuples(st.just("crossed"), offsets, st.sampled_from(["high", "low"]))
pages = st.tuples(st.just("page"), offsets, st.sampled_from(PAGE_SIZES))
faults = st.lists(gaps | spikes | crossings | pages, max_size=len(CLEAN) // PLOT)


def plant(candles, kind, at, size):
    """Put one fault into a dict of numpy columns; return what quality must say of it."""
    while candles["volume"][at] == 0:
        at += 1
    time = CLEAN["timestamp"][at]
    if kind == "gap":
        candles["kept"][at : at + size] = False
        return (kind, time, time + timedelta(minutes=size))
    if kind == "spike":
        candles["high"][at] = np.rint(candles["high"][at] * size / TICK) * TICK
        return (kind, time, None)
    if kind == "crossed":
        beyond = {"high": candles["low"][at] - TICK, "low": candles["high"][at] + TICK}
        candles[size][at] = beyond[size]
        candles["cost"][at] = candles["volume"][at] * beyond[size]
        return (kind, time, {"high": "high_is_highest", "low": "low_is_lowest"}[size])
    return plant_page(candles, at, size)


def plant_page(candles, at, size):
    """A page somebody made up by repeating the last price; real fillers may touch it."""
    for name in NAMES:
        candles[name][at : at + size] = candles["close"][at - 1]
    for name in ("volume", "cost"):
        candles[name][at : at + size] = 0.0
    start = CLEAN["timestamp"][at]
    return ("page", start, start + timedelta(minutes=size))


@settings(max_examples=60)
@given(faults)
def test_quality_finds_what_is_planted_and_nothing_else(planted):
    candles = {name: CLEAN[name].to_numpy(writable=True) for name in [*NAMES, "volume", "cost"]}
    candles["kept"] = np.full(len(CLEAN), fill_value=True)
    expected = [
        plant(candles, kind, plot * PLOT + offset, size)
        for plot, (kind, offset, size) in enumerate(planted)
    ]
    frame = CLEAN.with_columns(**candles).filter("kept").drop("kept")

    outliers = set(find_outliers(frame, resolution="1", tick_size=TICK)["timestamp"])
    assert found_gaps(frame) == [fault[1:] for fault in expected if fault[0] == "gap"]
    assert found_faults(frame) == [fault[1:] for fault in expected if fault[0] == "crossed"]
    assert_pages(frame, [fault[1:] for fault in expected if fault[0] == "page"])
    assert {fault[1] for fault in expected if fault[0] == "spike"} <= outliers


def found_gaps(frame):
    found = find_gaps(frame, resolution="1", outages=load_outages())
    assert set(found["status"]) <= {"unexplained"}
    return found.select("start", "end").rows()


def found_faults(frame):
    found = find_faults(frame, resolution="1", tick_size=TICK)
    assert set(found["status"]) <= {"unexplained"}
    return found.select("timestamp", "check").rows()


def assert_pages(frame, expected):
    """Every page is found, and no more than real fillers beside it is taken for a part of it."""
    found = find_fillers(frame, resolution="1", outages=load_outages())
    beside = pl.duration(minutes=3)
    start, end = (
        pl.Series([page[i] for page in expected], dtype=found["start"].dtype) for i in (0, 1)
    )
    assert len(found) == len(expected)
    assert set(found["status"]) <= {"unexplained"}
    close = (pl.col("start") <= start) & (start - pl.col("start") <= beside)
    close &= (pl.col("end") >= end) & (pl.col("end") - end <= beside)
    assert found.select(close.all()).item()
    assert found["page_size"].to_list() == [
        round((e - s).total_seconds() / 60) for s, e in expected
    ]
