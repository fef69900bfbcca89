import pytest

from etl.collect.board import Board, Line
from etl.collect.health.ages import KindAges, ages, ages_line, format_age, has_begun

NOW = 1_760_572_800_000


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "0 s"),
        (1_234, "1.2 s"),
        (9_950, "9.9 s"),
        (41_400, "41 s"),
        (59_700, "1 min"),
        (185_000, "3 min 5 s"),
        (3_599_600, "1 h"),
        (7_800_000, "2 h 10 min"),
        (93_600_000, "1 d 2 h"),
    ],
)
def test_a_duration_has_one_or_two_units(ms, expected):
    assert format_age(ms) == expected


def board():
    told = Board(NOW - 3_600_000)
    for subject, age_ms in (("btc_usd", 500), ("eth_usd", 90_000), ("sol_usd", 700)):
        told.watch("index", subject, 60, NOW - 3_600_000).heard(NOW - age_ms, 2)
    return told


def test_ages_of_a_kind_are_its_worst_and_its_median():
    assert ages(board(), NOW) == [KindAges("index", 3, 1, "eth_usd", 90_000, 700, 60_000, 6)]


def test_one_line_says_how_old_what_is():
    told = board()
    told.watch("dvol", "btc_usd", 120, NOW).heard(NOW - 4_000)
    told.lines = {1: Line(1, 3, NOW), 2: Line(2)}
    assert ages_line(told, NOW) == "dvol 4 s; index 1 min 30 s at worst of 3; 1 of 2 sockets up"


def test_it_has_begun_when_every_kind_was_heard_that_must_be_soon():
    told = Board(NOW)
    assert not has_begun(told)
    told.watch("trades", "USDC", 3_600, NOW)
    first, _, dvol = (
        told.watch(*one, 60, NOW) for one in (("index", "a"), ("index", "b"), ("dvol", "a"))
    )
    first.heard(NOW)
    assert not has_begun(told)
    dvol.heard(NOW)
    assert has_begun(told)
