"""Numbers held against each other from one partition to the next."""

import polars as pl

from etl.proof.protocol import Numbers, Rules, Terms
from etl.proof.seams import (
    EDGES,
    edges_of,
    holes_before,
    repeat_gap,
    repeats_of,
    seam_gap,
    with_refused,
)
from lake.span import FOREVER, Span

CALL, PUT = "BTC-27DEC24-100000-C", "BTC-27DEC24-90000-P"
MONTH = 1_000
WANTED = [Span(0, 9 * MONTH)]


def edges(*rows):
    """Rows as (instrument, first, when, last, when)."""
    return pl.DataFrame(rows, schema=EDGES, orient="row")


def born(**moments):
    names = {"call": CALL, "put": PUT}
    rows = [(names[name], at) for name, at in moments.items()]
    schema = {"instrument": pl.String, "creation_timestamp": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_edges_of_rows_are_the_first_and_the_last_number_and_when_they_were():
    rows = pl.DataFrame(
        {
            "timestamp": (pl.Series([5, 3, 9, 4]) * 1000).cast(pl.Datetime("us", "UTC")),
            "instrument": [CALL, CALL, CALL, PUT],
            "trade_seq": [8, 7, 9, 1],
        }
    )

    assert edges_of(rows.lazy(), "trade_seq", "instrument").sort("instrument").rows() == [
        (CALL, 7, 3, 9, 9), (PUT, 1, 4, 1, 4),
    ]  # fmt: skip


def test_numbers_that_follow_each_other_from_month_to_month_leave_no_hole():
    months = [edges((CALL, 1, 10, 5, 900)), edges(), edges((CALL, 6, 2_100, 7, 2_200))]

    assert holes_before(months, born(call=5), WANTED) == [[], [], []]


def test_what_is_missing_between_two_months_lies_between_their_last_and_first_row():
    months = [edges((CALL, 1, 10, 5, 900)), edges(), edges((CALL, 8, 2_100, 9, 2_200))]

    assert holes_before(months, born(call=5), WANTED)[2] == [Numbers(900, 2_101, CALL, 6, 7)]


def test_a_first_number_that_is_not_one_tells_of_rows_since_the_listing():
    months = [edges((CALL, 4, 10, 5, 900), (PUT, 1, 20, 1, 20))]

    assert holes_before(months, born(call=5, put=5), WANTED) == [[Numbers(5, 11, CALL, 1, 3)]]


def test_what_may_lie_in_time_nobody_wants_is_not_owed():
    months = [edges((CALL, 4, 110, 5, 900)), edges((CALL, 8, 2_100, 9, 2_200))]

    listed_before = holes_before(months, born(call=5), [Span(100, 9 * MONTH)])
    not_wanted_between = holes_before(months, born(call=105), [Span(100, 950), Span(2_000, 3_000)])

    assert listed_before == [[], [Numbers(900, 2_101, CALL, 6, 7)]]
    assert not_wanted_between == [[Numbers(105, 111, CALL, 1, 3)], []]


def test_of_an_option_no_list_has_nothing_is_known_before_its_first_number():
    months = [edges((CALL, 4, 10, 5, 900)), edges((CALL, 7, 1_100, 7, 1_100))]

    assert holes_before(months, born(), WANTED) == [[], [Numbers(900, 1_101, CALL, 6, 6)]]


def test_a_month_that_goes_back_in_numbers_opens_no_hole():
    months = [edges((CALL, 1, 10, 9, 900)), edges((CALL, 3, 1_100, 12, 1_200))]

    assert holes_before(months, born(call=5), WANTED) == [[], []]


def test_numbers_that_were_given_before_and_come_again_are_told():
    months = [edges((CALL, 1, 10, 9, 900)), edges((CALL, 3, 1_100, 12, 1_200), (PUT, 1, 5, 1, 5))]

    found = repeats_of(months)

    assert found == [[], [Numbers(1_100, 1_201, CALL, 3, 9)]]
    gap = repeat_gap(found[1][0])
    assert (gap.reason, gap.is_settled, gap.rows) == ("renumbered", False, 7)


def test_two_looks_that_lie_apart_show_that_numbers_before_a_month_are_lost():
    terms = Terms(FOREVER, 99, Rules(0, 10, ()))
    hole = Numbers(900, 2_101, CALL, 6, 7)
    looks = [(CALL, 6, 7, 0), (CALL, 1, 6, 5), (PUT, 6, 7, 6), (CALL, 1, 99, 10)]

    gap = seam_gap(hole, looks, terms, 5)

    assert (gap.reason, gap.seen, gap.is_before, gap.rows, gap.first) == ("lost", 2, True, 2, 6)
    assert seam_gap(hole, looks[:1], terms, 5).reason == "unexplained"


def test_rows_that_came_and_are_not_used_are_not_missing_unless_they_are_no_numbers():
    held = edges((CALL, 4, 10, 5, 900))
    refused = pl.DataFrame(
        [(5, CALL, 3), (950, CALL, 6), (960, CALL, 10**9), (7, PUT, 1), (8, PUT, 10**9)],
        schema={"ms": pl.Int64, "instrument": pl.String, "number": pl.Int64},
        orient="row",
    )

    found = with_refused(held, refused).sort("instrument").rows()

    assert found == [(CALL, 3, 5, 6, 950), (PUT, 1, 7, 1, 7)]
