"""Whatever types a frame comes in, the database stores its values exactly or gets nothing."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from etl.catalog import find
from etl.database.connection import connect
from etl.database.exact import exact
from etl.database.parts import schema_of
from etl.errors import ExactError

SCHEMA = schema_of(find("perpetuals_ohlcv").model)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
NUMBERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
    pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(),
    pa.decimal128(10, 2), pa.date32(),
]  # fmt: skip
ZONES = (None, "UTC", "Asia/Tokyo")
TIMES = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in ZONES]
TIMES += [pa.int64(), pa.float64(), pa.string()]
NAMES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
VALUES = st.one_of(
    st.integers(0, 120).map(float),
    st.sampled_from([0.1, 1e300, 5e-324, 2.0**53, float("nan"), float("inf"), None]),
)


KINDS = dict.fromkeys(SCHEMA.names, NUMBERS) | {"timestamp": TIMES, "instrument": NAMES}


@st.composite
def tables(draw):
    """Draw a table of one to three rows with up to two columns in types of their own."""
    length = draw(st.integers(1, 3))
    times = [FIRST + timedelta(minutes=minute) for minute in range(length)]
    values = {name: [float(row) for row in range(length)] for name in SCHEMA.names}
    values |= {"timestamp": times, "instrument": ["BTC-PERPETUAL"] * length}
    columns = {name: pa.array(values[name]) for name in SCHEMA.names}
    columns["timestamp"] = columns["timestamp"].cast(pa.timestamp("us", "UTC"))
    for name in draw(st.lists(st.sampled_from(SCHEMA.names), max_size=2, unique=True)):
        if KINDS[name] is NUMBERS:
            values[name] = draw(st.lists(VALUES, min_size=length, max_size=length))
        columns[name] = column(values[name], draw(st.sampled_from(KINDS[name])))
    return pa.table(columns)


def column(values, kind):
    """Return the values in a type, in the nearest one that takes them where it cannot."""
    try:
        return pa.array(values).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array(values)


@pytest.fixture(scope="module")
def connection(server, execute, template):
    name = f"deribit_exact_{id(template)}"
    execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    from tests.database.conftest import named  # noqa: PLC0415

    with connect(named(server, name)) as connection:
        yield connection
    execute(f"DROP DATABASE {name} WITH (FORCE)")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables())
def test_frames_of_any_types_are_stored_exactly_or_refused(connection, table):
    try:
        sent = exact(table, SCHEMA)
    except ExactError:
        event("refused")
        return
    event("stored")
    with connection.cursor() as cursor:
        cursor.adbc_ingest("perpetuals_ohlcv", sent, mode="append", db_schema_name="public")
        cursor.execute("SELECT * FROM perpetuals_ohlcv ORDER BY timestamp")
        stored = cursor.fetch_arrow_table()
    connection.rollback()

    for name in SCHEMA.names:
        assert stored[name].to_pylist() == meant(table[name]), name


def meant(values):
    """Return what a column says, read without the code under test."""
    found = values.to_pylist()
    if pa.types.is_timestamp(values.type):
        return [moment.astimezone(UTC) for moment in found]
    return [value if isinstance(value, str) else float(value) for value in found]
