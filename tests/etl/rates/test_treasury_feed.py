"""The Treasury's feed: every form it comes in, and everything that is not it."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl.errors import RatePageError
from etl.rates.treasury_feed import FIELDS, read_treasury
from tests.exchange import bills, treasury

NOW_US = int(datetime(2025, 10, 18, tzinfo=UTC).timestamp() * 1e6)
COLUMNS = ["day", *FIELDS.values(), "refused"]
DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"


def page(year=2024, *faults):
    first, last = date(year, 1, 1), date(year, 12, 31)
    return treasury.page(first, last, NOW_US, frozenset(faults)).encode()


def entry(day="2024-01-02T00:00:00", **fields):
    told = "".join(f"<d:{name}>{text}</d:{name}>" for name, text in fields.items())
    stamp = f"<d:NEW_DATE>{day}</d:NEW_DATE>" if day else ""
    return f"<entry><content><m:properties>{stamp}{told}</m:properties></content></entry>"


def feed(*entries, head=""):
    spaces = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{DATA}" xmlns:m="{DATA}/metadata"'
    return f"{head}<feed {spaces}>{''.join(entries)}</feed>".encode()


def refusal(body, period="2024"):
    with pytest.raises(RatePageError) as refused:
        read_treasury(body, period)
    return str(refused.value)


def is_line(text):
    return "\n" not in text and len(text) < 400


def rows_or_line(body):
    try:
        return read_treasury(body, "2024")
    except RatePageError as error:
        return str(error)


def test_a_page_is_the_curves_of_its_year():
    rows = read_treasury(page(), "2024")
    days = [day for day in bills.days(date(2024, 1, 1), date(2024, 12, 31)) if bills.has_curve(day)]

    assert rows["day"].to_list() == days
    for months, name in zip(bills.BEGINS, FIELDS.values(), strict=True):
        assert rows[name].to_list() == [bills.yields(day).get(months) for day in days]
    assert rows["refused"].null_count() == len(days)


@pytest.mark.parametrize(
    ("year", "name", "since"),
    [
        (2022, "rate_4m", date(2022, 10, 19)),
        (2025, "rate_1_5m", date(2025, 2, 18)),
        (2018, "rate_2m", date(2018, 10, 16)),
    ],
)
def test_tenors_are_null_before_their_first_day(year, name, since):
    rows = read_treasury(page(year), str(year))

    assert rows.filter(pl.col(name).is_not_null())["day"].min() == since
    assert rows["rate_3m"].null_count() == 0


@pytest.mark.parametrize("fault", ["unordered", "plus", "twice"])
def test_order_prefixes_new_fields_and_repetitions_change_nothing(fault):
    rows = read_treasury(page(2024, fault), "2024").unique().sort("day")

    assert rows.equals(read_treasury(page(), "2024"))


def test_a_page_of_a_month_is_that_month():
    body = treasury.page(date(2023, 12, 1), date(2023, 12, 31), NOW_US).encode()

    assert read_treasury(body, "2023-12")["day"].dt.month().unique().to_list() == [12]
    assert refusal(body, "2022-12") == "asked for 2022-12, it has 2023-12"


def test_empty_elements_nulls_and_words_for_nothing_are_null():
    fields = {"BC_1MONTH": "", "BC_2MONTH": "N/A", "BC_3MONTH": "5.46", "BC_6MONTH": " . "}
    null = '<d:BC_1YEAR m:null="true">4.80</d:BC_1YEAR></m:properties>'
    body = feed(entry(**fields)).replace(b"</m:properties>", null.encode())
    row = read_treasury(body, "2024").row(0, named=True)

    assert (row["rate_3m"], row["refused"]) == (5.46, None)
    assert [row[name] for name in FIELDS.values() if row[name] is not None] == [5.46]


def test_zero_and_negative_yields_are_yields():
    rows = read_treasury(feed(entry(BC_1MONTH="0.00", BC_3MONTH="-0.02")), "2024")

    assert rows.select("rate_1m", "rate_3m").row(0) == (0.0, -0.02)


@pytest.mark.parametrize("word", ["closed", "5,46", "5.4.6", "1_0", "\u0665", "0x1F"])
def test_a_word_in_the_place_of_a_yield_is_told_and_costs_its_row_alone(word):
    good = entry("2024-01-03T00:00:00", BC_3MONTH="5.40")
    rows = read_treasury(feed(entry(BC_3MONTH=word), good), "2024")

    assert rows["refused"].to_list() == ["rate_3m:not_a_number", None]
    assert rows["rate_3m"].to_list() == [None, 5.40]


@pytest.mark.parametrize("word", ["NaN", "inf", "-Infinity", "1e999"])
def test_what_is_not_finite_is_left_to_the_contract(word):
    value = read_treasury(feed(entry(BC_3MONTH=word)), "2024")["rate_3m"].item()

    assert not -1e300 < value < 1e300


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (page(2023), "asked for 2024, it has 2023"),
        (feed(entry(BC_1YEAR="4"), entry("2025-01-02", BC_1YEAR="4")), "for 2024, it has 2025"),
        (b"<!DOCTYPE html><html><head><title> Down  for\nrepair </title></head></html>",
         "expected Atom, got an HTML page titled 'Down for repair'"),
        (b"\xef\xbb\xbf \n<HTML lang=en><body>", "expected Atom, got an HTML page"),
        (page(2024, "renamed"), "expected BC_1MONTH, BC_1_5MONTH, BC_2MONTH"),
        (page()[:-2_000], "the feed is not whole"),
        (b"", "expected Atom, got an empty body"),
        (b"observation_date,DGS3MO\n", "expected Atom, got 'observation_date,DGS3MO"),
        (b"<rss/>", "expected Atom, got a document of <rss>"),
        (b"<feed xmlns='urn:other'/>", "expected Atom, got a document of <feed>"),
        (feed(entry("", BC_3MONTH="5")), "an entry has no NEW_DATE; it has BC_3MONTH"),
        (feed(entry("01/02/2024", BC_3MONTH="5")), "'01/02/2024' is no day like 2024-01-02"),
        (feed(entry("2024-02-30T00:00:00", BC_3MONTH="5")), "'2024-02-30T00:00:00' is no day"),
        (b"<?xml version='1.0' encoding='no-such'?><feed/>", "expected Atom, got "),
    ],
)  # fmt: skip
def test_what_is_no_page_of_the_year_is_refused_in_one_line(body, line):
    told = refusal(body)

    assert line in told
    assert "\n" not in told


def test_a_field_that_contradicts_itself_within_an_entry_is_refused():
    twice = entry(BC_3MONTH="5.40</d:BC_3MONTH><d:BC_3MONTH>5.50")

    assert refusal(feed(twice)) == "an entry has BC_3MONTH twice: '5.40' and '5.50'"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE feed [<!ENTITY a "5.46"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE feed SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_a_document_type_is_refused_so_that_no_entity_is_expanded(head):
    assert "entities are not expanded" in refusal(feed(entry(BC_3MONTH="&b;"), head=head))


def test_a_page_without_entries_has_no_rows():
    assert read_treasury(feed(), "2026").is_empty()


@given(st.binary(max_size=300))
@example(b"\x00")
@example(b'<?xml version="1.0" encoding="utf-%s"?><feed/>' % (b"9" * 400))
@example(b"<feed xmlns='http://www.w3.org/2005/Atom'>&lol;</feed>")
def test_any_bytes_give_rows_or_the_one_error(body):
    told = rows_or_line(body)

    assert is_line(told) if isinstance(told, str) else told.columns == COLUMNS


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2024-01-02T00:00:00", "2024-02-30", "2023-01-02", "", "2024-05-06"]),
            st.dictionaries(
                st.sampled_from([*FIELDS, "BC_10YEAR", "Id", "NEW_DATE"]),
                st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&"))
                | st.floats().map(str),
            ),
        ),
        max_size=4,
    )
)
def test_any_entries_give_rows_or_the_one_error(entries):
    body = feed(*(entry(day, **fields) for day, fields in entries))
    told = rows_or_line(body)

    assert is_line(told) if isinstance(told, str) else len(told) == len(entries)


@given(st.data())
def test_a_page_with_a_stretch_of_it_cut_out_gives_rows_or_the_one_error(data):
    body = feed(entry(BC_3MONTH="5.46"), entry("2024-01-03T00:00:00", BC_1YEAR="4.80"))
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    told = rows_or_line(body[:start] + body[end:])

    assert is_line(told) if isinstance(told, str) else len(told) <= 2
