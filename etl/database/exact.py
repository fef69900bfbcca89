"""Make a table exactly what the database expects, or refuse it.

The driver sends values as raw binary and checks their width alone: an int64 arrives in a double
column as another number, and microseconds as integers arrive as dates thirty years off. So a table
is cast to the exact schema first, by casts that keep every value, and refused where there is none.
"""

import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import ExactError


def exact(table: pa.Table, schema: pa.Schema, *, may_hold_nan: bool = False) -> pa.Table:
    """Return `table` with exactly the columns, order and types of `schema`, every value kept.

    Raises
    ------
    ExactError
        If a column is missing or unknown, has a type that cannot be cast exactly, or holds a null
        where the schema has none, or a NaN that it may not hold.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in schema.names]
    if missing or unknown or len(set(table.column_names)) != table.num_columns:
        message = f"expected columns {schema.names}, found {table.column_names}"
        raise ExactError(message)
    columns = [_exact(table[field.name], field) for field in schema]
    for field, column in zip(schema, columns, strict=True):
        if not may_hold_nan and _holds_nan(column):
            message = f"column {field.name} holds NaN, expected numbers"
            raise ExactError(message)
    return pa.table(columns, schema=schema)


def _exact(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if column.null_count and not field.nullable:
        message = f"column {field.name} holds {column.null_count} nulls, expected none"
        raise ExactError(message)
    if not _is_castable(column.type, field.type):
        message = f"column {field.name} is {column.type}, which is not exactly {field.type}"
        raise ExactError(message)
    try:
        return column.cast(field.type)  # a safe cast: it refuses to lose anything
    except pa.ArrowInvalid as error:
        message = f"column {field.name} holds a value that is not exactly {field.type}: {error}"
        raise ExactError(message) from error


def _holds_nan(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py())


def _is_castable(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether values of one type can be values of the other at all."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_timestamp(expected):  # a time without a zone could be any time
        return bool(pa.types.is_timestamp(found) and found.tz is not None)
    if pa.types.is_floating(expected):
        return bool(pa.types.is_integer(found) or pa.types.is_floating(found))
    if pa.types.is_string(expected):
        return bool(found in {pa.string(), pa.large_string(), pa.string_view()})
    return bool(found == expected)
