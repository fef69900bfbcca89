"""Errors counted by bucket: what the statistics are, and what passes."""

import numpy as np
import polars as pl
import pytest

from validators.greeks.errors import (
    DAY_WORDS,
    LEAST_ROWS,
    MONEYNESS_WORDS,
    counted,
    days,
    judged,
    merged,
    moneyness,
)

PLACE = {"underlying": "BTC", "moneyness": "ATM", "days": "7-30 d", "quantity": "vega"}


def compared(theirs, ours, tolerance=1e-3, **place):
    told = {"theirs": theirs, "ours": ours}
    frame = pl.DataFrame(told, schema=dict.fromkeys(told, pl.Float64))
    words = {**PLACE, **place, "tolerance": tolerance}
    return frame.with_columns(pl.lit(value).alias(name) for name, value in words.items())


def line(*frames):
    (found,) = judged(*merged([counted(frame) for frame in frames])).to_dicts()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_quantiles_are_those_of_the_errors_to_a_per_cent(seed):
    errors = np.random.default_rng(seed).lognormal(-9, 2, 5_001)
    found = line(compared(np.zeros(5_001), errors, tolerance=1.0))

    assert found["median"] == pytest.approx(np.median(errors), rel=0.011)
    assert found["p95"] == pytest.approx(np.quantile(errors, 0.95), rel=0.02)
    assert found["max"] == errors.max()


def test_rows_in_lots_count_as_rows_at_once():
    dice = np.random.default_rng(1)
    theirs, ours = dice.normal(5, 1, 900), dice.normal(5, 1, 900)
    whole = compared(theirs, ours)

    assert line(whole[:100], whole[100:101], whole[101:]) == line(whole)


def test_an_error_of_nothing_is_nothing():
    found = line(compared([1.0] * 30, [1.0] * 30, tolerance=1e-4))

    assert (found["median"], found["p95"], found["max"], found["ratio"]) == (0, 0, 0, 0)
    assert found["verdict"] == "pass"


@pytest.mark.parametrize(("rows", "outside", "verdict"), [
    (LEAST_ROWS - 1, LEAST_ROWS - 1, "few"),
    (LEAST_ROWS, 1, "pass"),
    (LEAST_ROWS, 2, "fail"),
    (1_000, 19, "pass"),
    (1_000, 20, "fail"),
    (100_000, 1_094, "pass"),
    (100_000, 1_095, "fail"),
])  # fmt: skip
def test_a_share_of_one_per_cent_and_three_errors_of_its_count_may_lie_outside(
    rows, outside, verdict
):
    ours = np.where(np.arange(rows) < outside, 1.01, 1.0)
    found = line(compared(np.ones(rows), ours))

    assert (found["outside"], found["verdict"]) == (outside, verdict)


@pytest.mark.parametrize(("outside", "failed"), [(0, 0), (1, 0), (2, 2), (5, 5)])
def test_buckets_of_few_rows_are_judged_together(outside, failed):
    """So that what is thinly quoted and all wrong fails; those that are right stay few."""
    lots = [
        counted(compared([1.0] * 5, [1.0] * 4 + [1.01 if at < outside else 1.0], days=word))
        for at, word in enumerate(DAY_WORDS[:5])
    ]
    alone = counted(compared([1.0] * 5, [1.0] * 5, underlying="ETH"))
    table = judged(*merged([*lots, alone]))

    assert table.filter(verdict="fail").select("underlying", "outside").rows() == (
        [("BTC", 1)] * failed
    )
    assert table["verdict"].eq("few").sum() == 6 - failed


def test_what_cannot_be_computed_is_outside():
    found = line(compared([1.0] * 40, [float("nan")] * 40))

    assert (found["outside"], found["verdict"]) == (40, "fail")


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.9e-4, "pass"), (1.1e-4, "fail"), (-3.4e-4, "fail")]
)
def test_a_median_off_by_more_than_one_in_ten_thousand_fails_within_all_tolerances(off, verdict):
    theirs = np.linspace(50, 60, 400)
    found = line(compared(theirs, theirs * (1 + off), tolerance=2e-4 * 50 * 0.9999))

    assert found["ratio"] == pytest.approx(off, rel=0.02)
    assert (found["verdict"], found["large"]) == (verdict, 400)


def test_errors_beyond_all_measure_are_counted():
    found = line(compared([0.0] * 30, [1e300] * 15 + [-1e300] * 15))

    assert (found["outside"], found["max"]) == (30, 1e300)
    assert found["median"] == pytest.approx(1e20, rel=0.02)


def test_what_is_small_against_its_digits_has_no_ratio():
    found = line(compared([2e-5] * 40, [1.7e-5] * 40, tolerance=5e-6))

    assert (found["ratio"], found["large"], found["verdict"]) == (None, 0, "pass")


def test_underlyings_are_never_added_up():
    frames = [compared([1.0] * 30, [1.0] * 30, underlying=name) for name in ("BTC", "BTC_USDC")]
    table = judged(*merged([counted(frame) for frame in frames]), by=("underlying",))

    assert table.select("underlying", "rows").rows() == [("BTC", 30), ("BTC_USDC", 30)]


def test_each_bucket_has_its_lower_edge():
    frame = pl.DataFrame(
        {"d": [0.0, 2 / 24, 1.0, 2.0, 7.0, 30.0, 90.0], "z": [-2.0, -1, 0, 0.5, 2, 9, -9]}
    )
    found = frame.select(days(pl.col("d")).alias("d"), moneyness(pl.col("z")).alias("z"))

    assert found["d"].to_list() == list(DAY_WORDS)
    assert found["z"].to_list() == [
        *MONEYNESS_WORDS[1:2] * 2,
        *MONEYNESS_WORDS[2:],
        "deep OTM",
        "deep ITM",
    ]
