"""Every type DuckDB has comes out in every form, and numbers as numbers."""

import io
import json
import os
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.answers import write
from lake.errors import NotWritableError, QueryError
from lake.paths import Lake
from lake.views import open_views, select

TYPES = {  # value: (CSV cell, JSON value, Parquet type)
    "INTERVAL '1 month 2 days 03:00:00'": ("1 month 2 days 03:00:00",) * 2 + ("string",),
    "[1, 2, NULL]": ("[1,2,null]", [1, 2, None], "list<element: int32>"),
    "[INTERVAL 1 DAY]": ('["1 day"]', ["1 day"], "string"),
    "[1, 2]::INT[2]": ("[1,2]", [1, 2], "fixed_size_list<element: int32>[2]"),
    "{'a': 1, 'b': 'x'}": ('{"a":1,"b":"x"}', {"a": 1, "b": "x"}, "struct<a: int32, b: string>"),
    "{'a': 'nan'::DOUBLE, 'b': 'NaN'}": (
        '{"a":null,"b":"NaN"}',
        {"a": None, "b": "NaN"},
        "struct<a: double, b: string>",
    ),
    "MAP {'k': 1}": ('{"k":1}', {"k": 1}, "map<string, int32 ('v')>"),
    "union_value(n := 1)": ('{"n":1}', {"n": 1}, "string"),
    "ROW(1, 2)": ("[1,2]", [1, 2], "string"),
    "sum(1)": ("1", 1, "decimal128(38, 0)"),
    "sum(9223372036854775807::BIGINT)": ("9223372036854775807", 2**63 - 1, "decimal128(38, 0)"),
    "18446744073709551615::UBIGINT": ("18446744073709551615", 2**64 - 1, "uint64"),
    "12::UHUGEINT": ("12", 12, "decimal128(38, 0)"),
    "'123456789012345678901234567890123456789012'::BIGNUM": (
        "123456789012345678901234567890123456789012",
        123456789012345678901234567890123456789012,
        "string",
    ),
    "1.2500::DECIMAL(10, 4)": ("1.2500", 1.25, "decimal128(10, 4)"),
    "uuid '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'": ("4ac7a9e9-607c-4c8a-84f3-843f0191e3fd",) * 2
    + ("string",),
    "TIME '01:02:03.4'": ("01:02:03.4", "01:02:03.4", "time64[ns]"),
    "'01:02:03+02'::TIMETZ": ("01:02:03+02", "01:02:03+02", "string"),
    "'0101'::BIT": ("0101", "0101", "string"),
    "'\\xAA\\x00a'::BLOB": ("\\xAA\\x00a", "\\xAA\\x00a", "binary"),
    "'a'::ENUM ('a', 'b')": ("a", "a", "string"),
    "'{\"a\": 1}'::JSON": ('{"a": 1}', {"a": 1}, "string"),
    "timestamp '2024-01-02 03:04:05.6'": (
        "2024-01-02T03:04:05.600000",
        "2024-01-02 03:04:05.6",
        "timestamp[us]",
    ),
    "timestamptz '2024-01-02 03:04:05.6Z'": (
        "2024-01-02T03:04:05.600000+0000",
        "2024-01-02T03:04:05.6+00:00",
        "timestamp[us, tz=UTC]",
    ),
    "'2024-01-02 03:04:05.123456789'::TIMESTAMP_NS": (
        "2024-01-02T03:04:05.123456789",
        "2024-01-02 03:04:05.123456789",
        "timestamp[ns]",
    ),
    "'infinity'::TIMESTAMPTZ": ("infinity", "infinity", "timestamp[us, tz=UTC]"),
    "'-infinity'::DATE": ("-infinity", "-infinity", "date32[day]"),
    "'290000-01-01'::TIMESTAMP": (
        "290000-01-01T00:00:00.000000",
        "290000-01-01 00:00:00",
        "timestamp[us]",
    ),
    "DATE '2024-01-02'": ("2024-01-02", "2024-01-02", "date32[day]"),
    "'nan'::DOUBLE": ("NaN", None, "double"),
    "'-inf'::DOUBLE": ("-inf", None, "double"),
    "true": ("true", True, "bool"),
    "NULL": ("", None, "null"),
    "'a,\"b\nNaN'": ('"a,""b\nNaN"', 'a,"b\nNaN', "string"),
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    return open_views(Lake(tmp_path_factory.mktemp("lake")))


def answer(connection, sql, form, folder):
    write(select(connection, sql), form, folder / "answer")
    return (folder / "answer").read_bytes()


@pytest.mark.parametrize("value", TYPES)
def test_every_type_has_its_place_in_csv_json_and_parquet(connection, tmp_path, value):
    cell, member, stored = TYPES[value]
    asked = (connection, f"SELECT {value} AS v")

    csv = answer(*asked, "csv", tmp_path).decode()
    assert csv in {f"v\n{cell}\n", f"v\n{json.dumps(cell)}\n".replace('\\"', '""')}
    assert json.loads(answer(*asked, "json", tmp_path), parse_constant=pytest.fail) == [
        {"v": member}
    ]
    table = pq.read_table(pa.BufferReader(answer(*asked, "parquet", tmp_path)))
    kind = table.schema.field("v").type
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    assert str(plain).replace("large_", "").replace("_view", "") == stored


def test_a_sum_of_integers_is_a_number_in_every_form(connection, tmp_path):
    asked = (connection, "SELECT sum(volume_int) AS v FROM (VALUES (1), (2)) AS t (volume_int)")

    assert answer(*asked, "csv", tmp_path) == b"v\n3\n"
    assert answer(*asked, "json", tmp_path) == b'[{"v":3}]\n'
    frame = pl.read_parquet(io.BytesIO(answer(*asked, "parquet", tmp_path)))
    assert frame["v"].to_list() == [Decimal(3)]


def test_what_no_number_of_parquet_holds_is_an_error_and_no_other_number(connection, tmp_path):
    huge = "SELECT 340282366920938463463374607431768211455::UHUGEINT AS v"

    assert answer(connection, huge, "csv", tmp_path) == f"v\n{2**128 - 1}\n".encode()
    with pytest.raises(QueryError, match="340282366920938463463374607431768211455"):
        answer(connection, huge, "parquet", tmp_path)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_columns_of_one_name_are_told_apart(connection, tmp_path, form):
    data = answer(connection, 'SELECT 1 AS a, 2 AS a, 3 AS "A", 4 AS a_1, 5 AS a', form, tmp_path)
    names = {
        "csv": lambda: data.decode().splitlines()[0].split(","),
        "json": lambda: list(json.loads(data)[0]),
        "parquet": lambda: pq.read_schema(pa.BufferReader(data)).names,
    }[form]

    assert names() == ["a", "a_2", "A", "a_1", "a_3"]


@pytest.mark.parametrize(("form", "expected"), [("csv", b"v\n"), ("json", b"[]\n")])
def test_an_answer_without_rows_is_whole(connection, tmp_path, form, expected):
    assert answer(connection, "SELECT 1 AS v WHERE false", form, tmp_path) == expected


def test_rows_come_out_in_the_order_asked_for(connection, tmp_path):
    sql = "SELECT i FROM range(300000) AS t (i) ORDER BY i DESC"

    lines = answer(connection, sql, "csv", tmp_path).split()
    objects = json.loads(answer(connection, sql, "json", tmp_path))

    assert lines[1:] == [str(i).encode() for i in range(299_999, -1, -1)]
    assert [one["i"] for one in objects] == list(range(299_999, -1, -1))


def test_a_link_leads_to_the_file_that_is_written(connection, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")

    write(select(connection, "SELECT 1 AS v"), "csv", tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"v\n1\n"


def test_a_pipe_is_written_to_and_not_replaced_by_a_file(connection, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    write(select(connection, "SELECT 1 AS v"), "csv", tmp_path / "pipe")

    assert (tmp_path / "pipe").is_fifo()
    assert os.read(reader, 100) == b"v\n1\n"
    os.close(reader)


def test_a_folder_is_no_file_to_write(connection, tmp_path):
    with pytest.raises(NotWritableError, match="Is a directory"):
        write(select(connection, "SELECT 1"), "csv", tmp_path)
    assert list(tmp_path.iterdir()) == []
