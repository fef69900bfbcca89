import numpy as np
import polars as pl
import pytest

from etl.proof.agreement import CONTRADICTED, TWICE, agreed, agreed_by_key

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


TRADE_KEY = ("instrument", "trade_seq")


def told(*rows):
    """Rows of answers as (instrument, number, price, attempt), none of them young."""
    schema = {"instrument": pl.Categorical, "trade_seq": pl.Int64, "price": pl.Float64}
    frame = pl.DataFrame(rows, schema={**schema, "attempt": pl.UInt32}, orient="row")
    return agreed_by_key(frame, TRADE_KEY, np.zeros(len(frame), bool))


def prices(frame):
    return sorted(frame["price"].to_list())


def test_by_key_the_same_row_of_two_answers_is_no_dispute():
    found = told(("A", 1, 0.5, 0), ("A", 1, 0.5, 1), ("A", 2, 0.6, 0))

    assert (len(found.rows), len(found.contradicted)) == (3, 0)


def test_by_key_two_values_refuse_each_other_and_nothing_else():
    found = told(("A", 1, 0.5, 0), ("A", 2, 0.6, 0), ("A", 1, 0.7, 1), ("B", 1, 0.8, 1))

    assert (prices(found.rows), prices(found.contradicted)) == ([0.6, 0.8], [0.5, 0.7])
    assert set(found.contradicted["failed_check"]) == {CONTRADICTED}
    assert (found.lost, found.open) == (frozenset(), frozenset())


def test_by_key_most_answers_win_if_the_latest_is_among_them():
    two_to_one = told(("A", 1, 0.5, 0), ("A", 1, 0.7, 1), ("A", 1, 0.7, 2))
    the_latest_differs = told(("A", 1, 0.7, 0), ("A", 1, 0.7, 1), ("A", 1, 0.5, 2))

    assert (prices(two_to_one.rows), prices(two_to_one.contradicted)) == ([0.7, 0.7], [0.5])
    assert (prices(the_latest_differs.rows), prices(the_latest_differs.contradicted)) == (
        [], [0.5, 0.7],
    )  # fmt: skip


def test_by_key_two_values_of_one_answer_are_both_refused_even_if_one_is_told_again():
    found = told(("A", 1, 0.5, 0), ("A", 1, 0.7, 0), ("A", 1, 0.7, 1))

    assert (prices(found.rows), prices(found.contradicted)) == ([], [0.5, 0.7])
    assert TWICE in set(found.contradicted["failed_check"])


def test_by_key_rows_that_may_still_have_moved_have_no_vote():
    frame = pl.DataFrame(
        {"instrument": ["A", "A"], "trade_seq": [1, 1], "price": [0.5, 0.7], "attempt": [0, 1]}
    )

    found = agreed_by_key(frame, TRADE_KEY, np.array([True, False]))

    assert (len(found.rows), len(found.contradicted)) == (2, 0)


def test_by_key_an_answer_half_of_whose_rows_is_refused_is_believed_in_nothing():
    truth = [("A", number, 0.5, attempt) for number in range(50) for attempt in (1, 2)]
    lie = [("A", number, 0.5 + (number < 30), 0) for number in range(60)]

    found = told(*lie, *truth)

    assert (found.lost, len(found.rows)) == (frozenset({0}), 100)
