"""Files of an older contract, or a newer one, on their way into the database: columns by name."""

import pyarrow as pa
import pytest

from etl.catalog import find
from etl.database.parts import batches, in_table, schema_of, strays
from etl.errors import LoadError
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.write import publish_table

BASIS = find("futures_basis")
CANDLES = find("perpetuals_ohlcv")
PARTITION = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")


def some(dataset):
    """One row of a dataset, null where that may be."""
    values = {
        pa.float64(): 1.0,
        pa.string(): "x",
        pa.bool_(): True,
        pa.timestamp("us", "UTC"): 0,
    }
    return pa.table(
        {
            field.name: pa.array([None if field.nullable else values[field.type]], field.type)
            for field in schema_of(dataset.model)
        }
    )


def test_a_column_the_table_has_not_is_left_out():
    rows = some(BASIS).append_column("added_later", pa.array([1]))

    assert in_table(rows, BASIS.model).equals(in_table(some(BASIS), BASIS.model))


def test_a_column_added_later_that_may_be_null_is_null_in_what_was_before():
    rows = some(BASIS).drop_columns("index_basis")

    assert in_table(rows, BASIS.model).equals(in_table(some(BASIS), BASIS.model))


def test_a_column_that_has_to_be_there_is_missed_by_name_of_the_file(tmp_path):
    lake, rows = Lake(tmp_path), some(CANDLES).drop_columns("cost")
    publish_table(rows, lake.clean(PARTITION))
    write_record(lake, PARTITION, Record(rows=1, checksum=checksum(rows)))
    (batch,) = batches(lake, CANDLES)

    with pytest.raises(LoadError, match=r"BTC-PERPETUAL/2024\.parquet: expected columns .*cost"):
        batch.read()


def test_a_file_whose_line_came_since_is_no_stray(tmp_path):
    lake, rows = Lake(tmp_path), some(CANDLES)
    publish_table(rows, lake.clean(PARTITION))
    (told,) = strays(lake, CANDLES, [])
    assert told.startswith(f"{lake.clean(PARTITION)} has no line in the ledger")

    write_record(lake, PARTITION, Record(rows=1, checksum=checksum(rows)))

    assert strays(lake, CANDLES, []) == []
    assert strays(lake, CANDLES, batches(lake, CANDLES)) == []


def test_a_file_where_its_line_has_none_is_a_stray(tmp_path):
    lake, rows = Lake(tmp_path), some(CANDLES)
    publish_table(rows, lake.derived(PARTITION))
    write_record(lake, PARTITION, Record(rows=1, checksum=checksum(rows)))
    (told,) = strays(lake, CANDLES, batches(lake, CANDLES))
    assert told.startswith(f"{lake.derived(PARTITION)} has no line")
