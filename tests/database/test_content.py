"""What a checksum of a month's rows says: their content, not their order and not their place."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from etl.database.connection import connect, execute_script, fetch
from etl.database.content import ALL, Month, content_of, differences
from tests.database.dumping import content
from tests.database.test_load import bring, candles, publish
from tests.database.test_load import settings as settings  # noqa: PLC0414  a fixture

TABLE = "public.perpetuals_ohlcv"
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
DECEMBER = Month(TABLE, "2024-12")
ROWS = st.lists(
    st.tuples(
        st.integers(1, 366 * 86_400_000).map(lambda ms: str(NEW_YEAR + timedelta(milliseconds=ms))),
        st.floats(allow_subnormal=True).map(repr) | st.none(),
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=5)
        | st.none(),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def loaded(settings):
    bring(settings)
    return settings


def sums(connection, rows, columns="timestamp timestamptz, price float8, note text"):
    """Return the sums of a table of these rows, made in the open transaction."""
    execute_script(connection, f"DROP TABLE IF EXISTS public.t; CREATE TABLE public.t ({columns})")
    for row in rows:
        values = ", ".join("NULL" if one is None else quoted(one) for one in row)
        insert = f"INSERT INTO public.t (timestamp, price, note) VALUES ({values})"
        execute_script(connection, insert)
    return content_of(connection).months["public.t"]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


@how(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_that_of_columns_shows(empty_database, rows, seed):
    shuffled = rows.copy()
    random.Random(seed).shuffle(shuffled)  # noqa: S311  (an order, no secret)
    with connect(empty_database) as connection:
        before = sums(connection, rows)
        other = "note text, price float8, timestamp timestamptz"
        assert sums(connection, shuffled, other) == before
        assert sum(one.rows for one in before.values()) == len(rows)


@how(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_any_other_row_shows(empty_database, rows, data):
    number = data.draw(st.integers(0, len(rows) - 1))
    with connect(empty_database) as connection:
        before = sums(connection, rows)
        time, price, note = rows[number]
        for other in [
            (time, "1.5" if price != "1.5" else "2.5", note),
            (time, price, "other note"),
        ]:
            changed = [*rows[:number], other, *rows[number + 1 :]]
            assert sums(connection, changed) != before
        assert sums(connection, [*rows, rows[number]]) != before
        assert sums(connection, [*rows[:number], *rows[number + 1 :]]) != before


def test_a_row_is_what_it_is_whatever_a_session_is_set_to(empty_database):
    rows = [
        ("2024-02-29 23:59:59.999999+00", "0.12345678901234566", "a"),
        ("2024-03-01 00:00+00", "-0", None),
    ]
    with connect(empty_database) as connection:
        plain = sums(connection, rows)
        connection.rollback()
        execute_script(
            connection,
            "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -10",
        )
        assert sums(connection, rows) == plain
    assert list(plain) == ["2024-02", "2024-03"]


def test_minus_zero_is_another_number(empty_database):
    with connect(empty_database) as connection:
        zero, minus = (sums(connection, [("2024-01-01", each, "")]) for each in ("0", "-0"))
    assert zero != minus


def test_a_value_in_the_next_column_and_a_null_show(empty_database):
    with connect(empty_database) as connection:
        execute_script(connection, "CREATE TABLE public.p (a text, b text)")
        found = []
        for row in ("'x', ''", "'', 'x'", "'x', NULL", "'x,', NULL", "NULL, NULL"):
            execute_script(connection, f"TRUNCATE public.p; INSERT INTO public.p VALUES ({row})")
            found.append(content_of(connection).months["public.p"][ALL].checksum)
    assert len(set(found)) == len(found)


def test_a_table_says_how_many_rows_each_month_has(loaded):
    assert [(month, one.rows) for month, one in content(loaded).months[TABLE].items()] == [
        ("2024-11", 2880),
        ("2024-12", 44_640),
        ("2025-01", 44_640),
        ("2025-02", 2880),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET close = close + 0.5 WHERE timestamp = '2024-12-24 12:00+00'",
        "DELETE FROM {} WHERE timestamp = '2024-12-24 12:00+00'",
        "UPDATE {} SET instrument = 'ETH-PERPETUAL' WHERE timestamp = '2024-12-24 12:00+00'",
        "INSERT INTO {} VALUES ('2024-12-24 12:00+00', 'X', 1, 1, 1, 1, 1, 1)",
    ],
)
def test_a_row_that_is_changed_deleted_or_added_is_named_by_table_and_month(loaded, change):
    before = content(loaded)
    with connect(loaded) as connection:
        execute_script(connection, change.replace("{}", TABLE))
        found = differences(before, content_of(connection))
    assert list(found) == [DECEMBER]
    assert found[DECEMBER].startswith(f"{TABLE} 2024-12: expected 44,640 rows, checksum ")


def test_two_rows_that_exchange_a_value_show(loaded):
    before = content(loaded)
    with connect(loaded) as connection:
        execute_script(
            connection,
            f"UPDATE {TABLE} SET close = 7 + extract(minute FROM timestamp)"
            " WHERE timestamp IN ('2024-12-24 12:00+00', '2024-12-24 12:01+00')",
        )
        one = content_of(connection)
        execute_script(
            connection,
            f"UPDATE {TABLE} SET close = 15 - close"
            " WHERE timestamp IN ('2024-12-24 12:00+00', '2024-12-24 12:01+00')",
        )
        assert list(differences(one, content_of(connection))) == [DECEMBER]
    assert before == content(loaded)


def test_a_table_or_view_that_is_gone_or_new_is_named(loaded):
    with connect(loaded) as connection:
        before = content_of(connection)
        execute_script(
            connection,
            "DROP VIEW option_iv_1m; DROP TABLE public.options_greeks; CREATE TABLE mine (a int)",
        )
        found = differences(before, content_of(connection))
    assert list(found.values()) == [
        "table public.options_greeks is missing",
        "table public.mine is not expected",
        "view public.option_iv_1m is missing",
    ]


def test_compression_does_not_show(community, tmp_path):
    publish(tmp_path / "lake", candles())
    bring(community.model_copy(update={"root": tmp_path / "lake"}))
    before = content(community)
    with connect(community, autocommit=True) as connection:
        turn = "{}compress_chunk(c) FROM show_chunks('perpetuals_ohlcv') c"
        size = "SELECT hypertable_size('perpetuals_ohlcv')"
        execute_script(connection, f"SELECT {turn.format('')}")
        small = fetch(connection, size)
        packed = content_of(connection)
        execute_script(connection, f"SELECT {turn.format('de')}")
        large = fetch(connection, size)
    assert packed == before == content(community)
    assert small < large
