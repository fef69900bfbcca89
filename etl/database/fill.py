"""Fill an empty table with rows that are compressed on their way in, where the server can.

TimescaleDB's community edition compresses what COPY brings as it comes (direct compress): two to
three times as fast as compressing it later, to the same end. It does so only while the table has no
unique key, and believes the client that says its rows are sorted: others give silently wrong
answers, and the key that is added afterwards does not find what came twice. So the key is dropped
and added in one transaction, which no other session can look into; and that all rows are sorted,
each key above the one before it, is proved here before it is claimed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql.dbapi import Connection

from etl.database.connection import execute_script
from etl.database.months import month_bounds
from etl.database.parts import Entry, models_of
from etl.database.tables import Table, stated, table_of
from etl.dataset import Dataset
from etl.errors import LoadError
from lake.span import Span

_HAS_SETTING = (
    "SELECT count(*) FROM pg_settings WHERE name = 'timescaledb.enable_direct_compress_copy'"
)
# What the table's owner may do, in a table whose key nothing else depends on, and which is no more
# than its definition says. Unique indexes and triggers for each row keep COPY from compressing.
_HOW = """
SELECT array_to_string(s.segmentby, ','), array_to_string(s.orderby, ','),
    true = ANY (s.orderby_desc), k.conname::text, pg_get_constraintdef(k.oid),
    CASE WHEN after.compress < INTERVAL '1000 years'
        THEN (now() - greatest(after.compress, INTERVAL '0') - $2::text::interval)::date END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN _timescaledb_catalog.compression_settings s ON s.relid = c.oid
JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
JOIN pg_index i ON i.indexrelid = k.conindid
JOIN pg_class x ON x.oid = k.conindid
JOIN timescaledb_information.jobs j
    ON j.proc_name = 'policy_compression' AND j.scheduled
    AND j.hypertable_schema = n.nspname AND j.hypertable_name = c.relname
CROSS JOIN LATERAL (SELECT (j.config ->> 'compress_after')::interval) AS after (compress)
WHERE c.oid = $1::text::regclass AND pg_has_role(c.relowner, 'USAGE')
    AND NOT (i.indisreplident OR i.indisclustered)
    AND x.reltablespace = 0 AND x.reloptions IS NULL
    AND NOT EXISTS (SELECT FROM pg_description d WHERE d.objoid IN (k.oid, k.conindid))
    AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.deptype = 'n' AND d.refobjid IN (k.oid, k.conindid)
    )
    AND NOT EXISTS (
        SELECT FROM pg_index u
        WHERE u.indrelid = c.oid AND u.indisunique AND u.indexrelid <> k.conindid
    )
    AND NOT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = c.oid AND t.tgtype & 1 = 1 AND NOT t.tgisinternal
            AND t.tgname <> 'ts_insert_blocker'
    )
"""
_IS_REFERRED_TO = (
    "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' "
    "AND confrelid = ANY (string_to_array($1::text, ',')::regclass[]))"
)
# What is read meanwhile takes its time, and the transaction waits for it.
_SORTED_AND_COMPRESSED = """
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL timescaledb.enable_direct_compress_copy = on;
SET LOCAL timescaledb.enable_direct_compress_copy_client_sorted = on;
ALTER TABLE {path} DROP CONSTRAINT "{key}"
"""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A table that can be filled: the key it has, and the month from which it stays as it is."""

    table: Table
    key: str
    definition: str
    until: date

    def begins_in(self, span: Span) -> bool:
        """Whether a period begins before that."""
        return datetime.fromtimestamp(span.start_ms / 1000, UTC).date() < self.until

    def takes(self, entry: Entry) -> bool:
        """Whether a month is so old that the server's own policy would compress it."""
        return month_bounds(entry.month)[1].date() <= self.until


def fillable(connection: Connection, dataset: Dataset) -> Keyed | None:
    """Return how a dataset's table can be filled; None where rows have to go in as everywhere.

    It cannot where the server has no such way, the user does not own the table, something depends
    on its key or is said of it, others have unique indexes or triggers on it or refer to what is
    made from it, its compression is off, or is set by others to another order or age.
    """
    facts, table = stated(dataset.model), table_of(dataset.model)
    if facts.chunk is None or facts.segmentby != table.key[0]:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_HAS_SETTING)
        if cursor.fetchone() == (0,):
            return None
        cursor.execute(_HOW, (table.path, facts.chunk))
        found = cursor.fetchone()
        paths = ",".join(table_of(model).path for model in models_of(dataset).values())
        cursor.execute(_IS_REFERRED_TO, (paths,))
        is_referred_to = cursor.fetchone() == (True,)
    if found is None or found[:3] != (facts.segmentby, ",".join(facts.orderby), False):
        return None
    return None if is_referred_to or found[-1] is None else Keyed(table, *found[3:])


@contextmanager
def without_key(connection: Connection, keyed: Keyed) -> Iterator[None]:
    """Drop a table's key in the open transaction, and add it again after what is done inside."""
    path, key = keyed.table.path, keyed.key.replace('"', '""')
    execute_script(connection, _SORTED_AND_COMPRESSED.format(path=path, key=key))
    yield
    execute_script(connection, f'ALTER TABLE {path} ADD CONSTRAINT "{key}" {keyed.definition}')


@dataclass(slots=True)
class Order:
    """The proof that all rows of a table are sent sorted, each key once."""

    table: Table
    last: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def prove(self, parts: Mapping[Entry, pa.Table]) -> None:
        """Accept months whose rows come after one another and after all that came before.

        Raises
        ------
        LoadError
            Names the first month in which they do not.
        """
        subject, *rest = self.table.key
        for entry, rows in parts.items():
            keys = pl.DataFrame(rows.select(rest))
            first, last = keys.row(0), keys.row(-1)
            before = self.last.get(entry.subject)
            is_own = pc.all(pc.equal(rows[subject], entry.subject)).as_py()
            if not (is_own and _is_rising(keys) and (before is None or before < first)):
                message = (
                    f"{entry.table} {entry.subject} {entry.month:%Y-%m} is not sorted by its key "
                    f"({', '.join(self.table.key)}), each once: run `deribit-lake verify`"
                )
                raise LoadError(message)
            self.last[entry.subject] = last


def _is_rising(keys: pl.DataFrame) -> bool:
    """Whether each key is above the one before it."""
    rising = pl.Series([False]).new_from_index(0, max(len(keys) - 1, 0))
    for column in reversed(keys.get_columns()):
        before, now = column.head(-1), column.slice(1)
        rising = (now > before) | ((now == before) & rising)
    return bool(rising.all())
