"""What a step reads of an input: the columns it asks for, or a line that says which is missing."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from etl.compute.run import Reader
from lake.errors import MissingColumnError
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.write import publish_table

PARTITION = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")
FIRST_MS = round(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
MOMENTS = pa.array([FIRST_MS, FIRST_MS + 60_000], pa.timestamp("ms", "UTC"))


@pytest.fixture
def read(tmp_path):
    """Return a reader of a lake whose path is a pattern, beside another that it fits."""
    for name, close in (("lake[12]", 1.0), ("lake1", 9.0)):
        table = pa.table(
            {
                "timestamp": MOMENTS.cast(pa.timestamp("us", "UTC")),
                "close": [close] * 2,
                "instrument": ["BTC-PERPETUAL"] * 2,
            }
        )
        publish_table(table, Lake(tmp_path / name).clean(PARTITION))
    held = {PARTITION: Record(rows=2, first_ms=FIRST_MS)}
    return Reader(Lake(tmp_path / "lake[12]"), held)


@pytest.mark.parametrize("since_ms", [None, FIRST_MS + 60_000])
def test_a_step_reads_the_columns_it_asks_for_of_its_own_lake(read, since_ms):
    found = read(PARTITION, ["close"], since_ms)

    assert found.to_pydict() == {"close": [1.0] * (1 if since_ms else 2)}


@pytest.mark.parametrize("since_ms", [None, FIRST_MS + 60_000, FIRST_MS + 120_000])
def test_strings_that_are_coded_come_as_one_dictionary_of_the_tail_too(tmp_path, since_ms):
    table = pa.table({"timestamp": MOMENTS.cast(pa.timestamp("us", "UTC")), "name": ["a", "b"]})
    publish_table(table, Lake(tmp_path).clean(PARTITION))
    held = {PARTITION: Record(rows=2, first_ms=FIRST_MS)}

    found = Reader(Lake(tmp_path), held)(PARTITION, ["name"], since_ms, coded=["name"])

    assert pa.types.is_dictionary(found["name"].type)
    assert found["name"].combine_chunks().dictionary.type == pa.string()
    assert found["name"].to_pylist() == ["a", "b"][2 - found.num_rows :]


@pytest.mark.parametrize("since_ms", [None, FIRST_MS + 60_000])
def test_a_column_an_input_has_not_is_missed_by_name(read, since_ms):
    with pytest.raises(MissingColumnError, match=r"2024\.parquet has no column cost: run"):
        read(PARTITION, ["close", "cost"], since_ms)


@pytest.mark.parametrize("since_ms", [None, FIRST_MS + 60_000])
def test_coded_texts_come_as_one_dictionary_and_codes_wherever_reading_begins(read, since_ms):
    found = read(PARTITION, ["instrument"], since_ms, coded=("instrument",))["instrument"]

    assert pa.types.is_dictionary(found.type)
    assert found.combine_chunks().dictionary.to_pylist() == ["BTC-PERPETUAL"]
