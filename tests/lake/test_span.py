from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.span import (
    FOREVER,
    Span,
    by_period,
    clip,
    is_period,
    period_of,
    period_span,
    subtract,
    union,
)

spans = st.tuples(st.integers(0, 50), st.integers(-3, 20)).map(lambda one: Span(one[0], sum(one)))
many = st.lists(spans, max_size=6)
kinds = st.sampled_from(["year", "month", "day", "all"])


def points(*some):
    return {point for one in some for point in range(one.start_ms, one.end_ms)}


def moment(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)


@given(many)
def test_a_union_holds_the_same_points_in_spans_that_do_not_touch(some):
    found = union(some)

    assert points(*found) == points(*some)
    assert all(a.end_ms < b.start_ms for a, b in zip(found, found[1:], strict=False))  # noqa: RUF007
    assert all(one.start_ms < one.end_ms for one in found)


@given(many, many)
def test_a_difference_holds_the_points_of_one_side_only(some, taken):
    found = subtract(some, taken)

    assert points(*found) == points(*some) - points(*taken)
    assert found == union(found)


@given(spans, spans)
def test_a_clipped_span_holds_the_points_of_both(one, to):
    assert points(clip(one, to)) == points(one) & points(to)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02", (2024, 2, 1), (2024, 3, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
    ],
)
def test_a_period_is_a_year_a_month_or_a_day_in_utc(period, start, end):
    assert period_span(period) == Span(moment(*start), moment(*end))


def test_all_of_time_is_a_period():
    assert period_span("all") == FOREVER


@pytest.mark.parametrize(
    "text", ["", "24", "2024-13", "2024-1", "2023-02-29", "2024-05-17x", "notes"]
)
def test_what_is_no_period_is_refused_by_name(text):
    assert not is_period(text)
    with pytest.raises(ValueError, match=r"is no period|day"):
        period_span(text)


@given(st.integers(0, 2**42), kinds)
def test_a_moment_lies_in_its_period(ms, kind):
    span = period_span(period_of(ms, kind))

    assert span.start_ms <= ms < span.end_ms


def test_a_span_is_cut_at_the_new_year_in_utc():
    found = by_period(Span(moment(2019, 12, 31, 23), moment(2021, 1, 1)), "year")

    assert found == {
        "2019": Span(moment(2019, 12, 31, 23), moment(2020, 1, 1)),
        "2020": Span(moment(2020, 1, 1), moment(2021, 1, 1)),
    }


@given(kinds, st.sampled_from([0, -1]))
def test_an_empty_span_lies_in_no_period(kind, end):
    assert by_period(Span(0, end), kind) == {}


@given(st.integers(0, 2**42), st.integers(1, 2**34), kinds)
def test_the_parts_of_all_periods_make_up_the_span(start, length, kind):
    one = Span(start, start + length)

    parts = by_period(one, kind)

    assert union(parts.values()) == [one]
    assert list(parts) == sorted(parts)
    assert all(clip(part, period_span(period)) == part for period, part in parts.items())


@given(spans, spans)
def test_two_spans_meet_where_they_share_a_point(one, other):
    assert one.meets(other) == bool(points(one) & points(other)) or not (
        points(one) and points(other)
    )
