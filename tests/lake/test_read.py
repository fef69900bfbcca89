import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lake.errors import CorruptFileError, MissingColumnError
from lake.partition import Partition
from lake.paths import Lake
from lake.read import (
    by_schema,
    check_footer,
    checksum,
    checksum_of,
    held_parts,
    read_table,
    scan,
)
from lake.write import publish_table

BTC_2024 = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")
ETH_2023 = Partition("perpetuals_ohlcv", "ETH-PERPETUAL", "2023")
SCHEMA = pa.schema(
    [("timestamp", pa.timestamp("us", "UTC")), ("instrument", pa.string()), ("close", pa.float64())]
)
rows = st.fixed_dictionaries(
    {
        "timestamp": st.none() | st.integers(0, 2**50),
        "instrument": st.none() | st.text(max_size=3),
        "close": st.none() | st.floats(allow_nan=False),
    }
)
tables = st.lists(rows, max_size=8).map(lambda some: pa.Table.from_pylist(some, schema=SCHEMA))
THREE = pa.table({"timestamp": [1, 2, 3], "instrument": ["a", "b", "a"], "close": [1.0, 2.0, None]})


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    publish_table(THREE, lake.clean(BTC_2024))
    publish_table(THREE, lake.clean(ETH_2023))
    return lake


@given(tables, st.integers(1, 3), st.sampled_from(["zstd", "snappy", "none"]))
def test_a_checksum_does_not_depend_on_how_the_rows_are_stored(
    tmp_path_factory, table, group, compression
):
    path = tmp_path_factory.mktemp("stored") / "x.parquet"
    pq.write_table(table, path, row_group_size=group, compression=compression)

    assert checksum(read_table(path)) == checksum_of(path) == checksum(table)


@given(tables, st.integers(0, 8))
def test_a_checksum_does_not_depend_on_chunks(table, cut):
    chunked = pa.concat_tables([table.slice(0, cut), table.slice(cut)])

    assert checksum(chunked) == checksum(table)


@given(tables, tables)
def test_tables_of_other_content_have_another_checksum(one, other):
    assume(repr(one.to_pylist()) != repr(other.to_pylist()))

    assert checksum(one) != checksum(other)


@pytest.mark.parametrize(
    "other",
    [
        THREE.take([1, 0, 2]),
        THREE.slice(0, 2),
        THREE.set_column(0, "timestamp", pa.array([1, 2, 4])),
        THREE.set_column(0, "timestamp", pa.array([1, 2, 3], pa.int32())),
        THREE.set_column(1, "instrument", pa.array(["a", "b", None])),
        THREE.set_column(2, "close", pa.array([1.0, 2.0, 0.0])),
        THREE.set_column(2, "close", pa.array([1.0, None, 2.0])),
        THREE.rename_columns(["timestamp", "instrument", "open"]),
        THREE.select(["instrument", "timestamp", "close"]),
    ],
    ids=["order", "length", "value", "type", "null text", "null", "other null", "name", "columns"],
)
def test_a_checksum_depends_on_order_type_value_and_names(other):
    assert checksum(other) != checksum(THREE)


def test_texts_are_told_apart_wherever_they_are_cut():
    one, other = (pa.table({"x": texts}) for texts in (["a\0b", "c"], ["a", "b\0c"]))

    assert checksum(one) != checksum(other)


def test_a_scan_returns_the_published_rows_lazily(lake):
    assert scan(lake, "perpetuals_ohlcv").collect().height == 6
    assert scan(lake, "perpetuals_ohlcv", "ETH-PERPETUAL").collect().equals(pl.from_arrow(THREE))


def test_a_scan_of_nothing_has_no_rows_and_no_columns(lake):
    assert scan(lake, "funding_rates").collect().shape == (0, 0)


def test_a_scan_of_a_corrupt_file_names_it(lake):
    lake.clean(ETH_2023).write_bytes(b"PAR1 no more")

    with pytest.raises(CorruptFileError, match=r"ETH-PERPETUAL/2023\.parquet is corrupt"):
        scan(lake, "perpetuals_ohlcv")


def test_a_file_that_is_being_written_is_not_read(lake):
    lake.clean(BTC_2024).with_name("2025.parquet.tmp").write_bytes(b"half")

    assert scan(lake, "perpetuals_ohlcv").collect().height == 6


def test_a_footer_says_how_many_rows_there_are(lake):
    assert check_footer(lake.clean(BTC_2024)) == 3


def test_damage_behind_a_good_footer_is_found_by_reading(tmp_path):
    path = tmp_path / "x.parquet"
    publish_table(pa.table({"close": [float(one) ** 0.5 for one in range(9_000)]}), path)
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(bytes(data))

    assert check_footer(path) == 9_000
    with pytest.raises(CorruptFileError, match=r"x\.parquet"):
        read_table(path)


def test_instruments_with_a_file_are_held(lake):
    assert held_parts(lake, "perpetuals_ohlcv") == ["BTC-PERPETUAL", "ETH-PERPETUAL"]
    assert held_parts(lake, "funding_rates") == []


def test_a_column_a_file_has_not_is_missed_by_name(lake):
    with pytest.raises(MissingColumnError, match=r"2024\.parquet has no column cost: run"):
        read_table(lake.clean(BTC_2024), ["close", "cost"])


def test_files_are_alike_that_have_the_same_columns(lake, tmp_path):
    more = tmp_path / "more.parquet"
    publish_table(THREE.append_column("cost", pa.array([1.0, 2.0, 3.0])), more)
    btc, eth = lake.clean(BTC_2024), lake.clean(ETH_2023)

    assert by_schema([btc, more, eth]) == [[btc, eth], [more]]
