import numpy as np
import polars as pl
import pytest

from etl.proof.agreement import CONTRADICTED, TWICE, agreed

KEY = ("timestamp", "instrument")


def rows(*told):
    """Rows of (minute, close, attempt), in the order of the attempts' first rows."""
    minutes, closes, attempts = zip(*told, strict=True)
    return pl.DataFrame(
        {
            "timestamp": pl.Series(minutes, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            "instrument": ["BTC-PERPETUAL"] * len(told),
            "close": [float(close) for close in closes],
            "attempt": pl.Series(attempts, dtype=pl.UInt32),
        }
    )


def held(*told, young=()):
    frame = rows(*told)
    found = agreed(frame, KEY, np.isin(frame["attempt"].to_numpy(), list(young)))
    ticks = found.rows["timestamp"].dt.epoch("us").to_list()
    kept = list(zip(ticks, found.rows["close"].to_list(), found.rows["attempt"], strict=True))
    return kept, found


def says(values, *, minute=0):
    """What each attempt says of one minute, oldest first, beside a minute of its own."""
    return [
        row
        for attempt, value in enumerate(values)
        for row in ((minute, ord(value), attempt), (100 + attempt, 1, attempt))
    ]


def test_answers_that_agree_are_all_kept():
    told = [(0, 1, 0), (1, 2, 0), (1, 2, 1), (2, 3, 1)]

    kept, found = held(*told)

    assert kept == told
    assert (len(found.contradicted), found.lost, found.open) == (0, frozenset(), frozenset())


@pytest.mark.parametrize(
    ("looks", "lost", "still_open"),
    [
        ("ab", {}, {0, 1}),
        ("aba", {1}, {}),
        ("abb", {0}, {}),
        ("aab", {}, {0, 1, 2}),
        ("aaba", {2}, {}),
        ("aabb", {}, {0, 1, 2, 3}),
        ("aabbb", {0, 1}, {}),
        ("abc", {}, {0, 1, 2}),
        ("abca", {}, {0, 1, 2, 3}),
        ("abcaa", {1, 2}, {}),
        ("abcdefg", {}, set(range(7))),
        ("abcdefggg", {0, 1, 2, 3, 4, 5}, {}),
    ],
)
def test_most_of_the_latest_answers_decide_if_the_very_latest_is_one_of_them(
    looks, lost, still_open
):
    _, found = held(*says(looks))

    assert found.lost == frozenset(lost)
    assert found.open == frozenset(still_open)


def test_rows_only_a_discredited_answer_brought_are_not_kept():
    kept, found = held(*says("aba"))

    assert [(minute, attempt) for minute, _, attempt in kept] == [
        (0, 0),
        (100, 0),
        (0, 2),
        (102, 2),
    ]
    assert found.contradicted["failed_check"].to_list() == [CONTRADICTED]


def test_an_answer_that_lost_elsewhere_has_no_vote():
    told = [*says("aba"), (7, 5, 1), (7, 6, 2)]

    kept, found = held(*told)

    assert found.lost == {1}
    assert found.open == frozenset()
    assert (7, 6.0, 2) in kept


def test_rows_that_could_still_move_contradict_nothing():
    kept, found = held(*says("ab"), young={0})

    assert len(kept) == 4
    assert found.open == frozenset()


def test_one_answer_with_two_values_for_a_row_contradicts_itself_there_only():
    kept, found = held((0, 1, 0), (0, 2, 0), (1, 3, 0), (1, 3, 0))

    assert kept == [(1, 3.0, 0), (1, 3.0, 0)]
    assert found.contradicted["failed_check"].to_list() == [TWICE, TWICE]
    assert found.open == frozenset()


def test_missing_values_and_zeros_are_compared_as_they_are():
    frame = rows((0, 1, 0), (0, 1, 1)).with_columns(close=pl.Series([None, None], dtype=pl.Float64))

    assert agreed(frame, KEY, np.zeros(2, dtype=bool)).open == frozenset()


@pytest.mark.parametrize(("other", "is_open"), [(1 + 1e-13, False), (1 + 1e-11, True)])
def test_sums_that_differ_in_their_last_digits_agree(other, is_open):
    kept, found = held((0, 1, 0), (0, other, 1))

    assert (len(kept), bool(found.open)) == (0 if is_open else 2, is_open)
