"""FRED's CSV: both headers, both ways to say nothing, and everything that is not it."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl.errors import RatePageError
from etl.rates.fred_csv import SERIES, read_fred
from tests.exchange import bills, fred

NOW_US = int(datetime(2025, 10, 18, tzinfo=UTC).timestamp() * 1e6)
COLUMNS = ["day", "rate_3m", "refused"]
FIRST, LAST = date(2023, 12, 1), date(2024, 12, 31)


def graph(*faults, series="DGS3MO"):
    return fred.graph(series, FIRST, LAST, NOW_US, frozenset(faults)).encode()


def read(body, series="DGS3MO"):
    return read_fred(body, series, FIRST, LAST)


def is_line(text):
    return "\n" not in text and len(text) < 400


def rows_or_line(body):
    try:
        return read(body)
    except RatePageError as error:
        return str(error)


@pytest.mark.parametrize("series", SERIES)
def test_a_series_has_every_weekday_and_null_on_holidays(series):
    rows = read(graph(series=series), series)
    days = [day for day in bills.days(FIRST, LAST) if day.weekday() < 5]
    months = fred.SERIES[series]
    expected = [bills.yields(day)[months] if bills.has_curve(day) else None for day in days]

    assert rows["day"].to_list() == days
    assert rows[SERIES[series]].to_list() == expected
    assert rows["refused"].null_count() == len(days)


@pytest.mark.parametrize("fault", ["old_form", "plus"])
def test_both_forms_a_byte_order_mark_and_other_line_ends_are_the_same(fault):
    assert read(graph(fault)).equals(read(graph()))


def test_other_order_is_the_same_rows():
    assert read(graph("unordered")).sort("day").equals(read(graph()))


@pytest.mark.parametrize("word", [".", "", "N/A", "ND", " "])
def test_words_for_nothing_are_null(word):
    assert read(f"DATE,DGS3MO\n2024-01-02,{word}\n".encode())["rate_3m"].to_list() == [None]


def test_a_word_in_the_place_of_a_yield_is_told():
    assert read(b"DATE,DGS3MO\n2024-01-02,closed\n")["refused"].to_list() == [
        "rate_3m:not_a_number"
    ]


@pytest.mark.parametrize("body", [b"observation_date,DGS3MO\n", b"DATE,DGS3MO"])
def test_a_header_alone_is_a_series_without_rows(body):
    assert read(body).is_empty()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"<!DOCTYPE html>\n<title>Error</title>", "DGS3MO, got an HTML page titled 'Error'"),
        (b"", "expected CSV of observation_date,DGS3MO, got an empty body"),
        (b"observation_date,DGS1\n", "DGS3MO, got 'observation_date,DGS1'"),
        (b"DAY,DGS3MO\n", "got 'DAY,DGS3MO'"),
        (
            b"DATE,DGS3MO\n2022-01-03,0.08\n",
            "DGS3MO of 2023-12-01 to 2024-12-31, it has 2022-01-03",
        ),
        (b"DATE,DGS3MO\n01/03/2024,5.4\n", "'01/03/2024' is no day like 2024-01-02"),
        (b"DATE,DGS3MO\n2024-01-02,5.4\n2024-01", "line 3 of DGS3MO is cut: '2024-01'"),
        (b"DATE,DGS3MO\n2024-01-02,5.40\n2024-01-03,5", "not whole: its last line has no end"),
        (b"\xff\xfeD\x00", "expected CSV of observation_date,DGS3MO, got "),
    ],
)
def test_what_is_no_such_series_is_refused_in_one_line(body, line):
    with pytest.raises(RatePageError) as refused:
        read(body)

    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200).map(b"DATE,DGS3MO\n".__add__) | st.binary(max_size=200))
@example(b'DATE,DGS3MO\n"')
@example(b"DATE,DGS3MO\r2024-01-02,1")
@example(b"DATE,DGS3MO\n2024-01-02,\x00")
def test_any_bytes_give_rows_or_the_one_error(body):
    told = rows_or_line(body)

    assert is_line(told) if isinstance(told, str) else told.columns == COLUMNS


@given(
    st.lists(
        st.tuples(
            st.dates().map(str) | st.sampled_from(["2024-01-02", "2024-13-01"]) | st.text(),
            st.floats().map(str) | st.sampled_from([".", "", "5.46"]) | st.text(),
        ),
        max_size=5,
    )
)
def test_any_lines_give_rows_or_the_one_error(lines):
    body = "\n".join(["observation_date,DGS3MO", *(f"{day},{text}" for day, text in lines)])
    told = rows_or_line(body.encode(errors="surrogatepass"))

    assert is_line(told) if isinstance(told, str) else told.columns == COLUMNS
