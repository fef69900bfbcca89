"""Read back what a table holds of a subject, as the lake has it."""

from datetime import datetime

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection
from pandera.polars import DataFrameModel

from etl.database.parts import has_time, in_table
from etl.database.tables import table_of

SCOPE = "{subject} = $1 AND held.timestamp >= $2 AND held.timestamp < $3"
"""The rows of a subject in `[start, end)`, in SQL of a table called `held`."""


def read_rows(
    connection: Connection,
    model: type[DataFrameModel],
    subject: str,
    bounds: tuple[datetime, datetime],
) -> pa.Table:
    """Return the rows of a subject in `[start, end)`, in the order of the key.

    A table without time is read as a whole.
    """
    table = table_of(model)
    columns = ", ".join(
        f"{one.name}::text" if one.type == "jsonb" else one.name for one in table.columns
    )
    where, order = "", table.key
    values: tuple[object, ...] = ()
    if has_time(table):
        where = f"WHERE {SCOPE.format(subject=table.subject)}"
        order, values = table.key_within, (subject, *bounds)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {table.path} AS held {where} ORDER BY {', '.join(order)}",  # noqa: S608  (ours)
            values,
        )
        rows = cursor.fetch_arrow_table()
    return in_table(rows, model, may_hold_nan=True)  # a difference, like any other
