"""The SQL that makes the tables, compresses them and gives rights on them, from the models.

``just schema`` writes ``sql/schema.sql``, ``policies.sql`` and ``roles.sql``; a test holds them
fresh.
"""

from collections.abc import Iterator
from typing import Any

from pandera.polars import DataFrameModel

from etl.database.books import SchemaVersion
from etl.database.tables import SQL, Column, Models, columns_of, stated, table_of, with_books

_HEAD = """\
-- The database of deribit-lake: six hypertables in `public`, everything else in `reference`.
-- Written from the models of the datasets by `just schema`: change those, not this file.
--
-- Run by hand: psql -1 -v ON_ERROR_STOP=1 -f sql/schema.sql; `deribit-lake db init` runs the
-- migrations. A second run changes nothing. This file is the sum of sql/migrations: a test holds
-- them equal.
--
-- The key begins with the instrument: half as many bytes as (timestamp, instrument) beside an
-- index on instrument, and twice as fast to load. Instruments compare by their bytes, as in the
-- lake, whatever the server's language. Prices are above zero and candles are consistent because
-- the lake's contract says so; checks here would say it twice.

CREATE EXTENSION IF NOT EXISTS timescaledb;

CREATE SCHEMA IF NOT EXISTS reference;
COMMENT ON SCHEMA reference IS 'What the hypertables refer to, and the books of the loader';
"""
_VERSION_CHECK = """\
DO $$
DECLARE
    found integer := (SELECT max(version) FROM reference.schema_version);
BEGIN
    IF found <> {version} THEN
        RAISE EXCEPTION 'the schema is at version %, this file is version {version}', found
            USING HINT = 'run: deribit-lake db migrate';
    END IF;
END
$$;
"""
_VERSIONS = """\
INSERT INTO reference.schema_version (version, name) VALUES
    {rows}
ON CONFLICT DO NOTHING;
"""
_HYPERTABLE = """\
SELECT create_hypertable(
    '{path}', by_range('timestamp', INTERVAL '{chunk}'),
    create_default_indexes => false, if_not_exists => true
);"""
_POLICIES = """\
-- Compression of chunks older than 60 days, where TimescaleDB's licence allows it; elsewhere this
-- does nothing. What rows are kept apart and sorted by was measured: docs/database.md. Settings a
-- table already has are left as they are, and `deribit-lake db status` names those of others.
-- Each job has its own five minutes: all at once are more than a server starts by default.
-- Retention is off; five years: SELECT add_retention_policy('options_ohlcv', INTERVAL '5 years').
-- Written from the models of the datasets by `just schema`.
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/policies.sql
-- A second run changes nothing.

DO $$
DECLARE
    chosen record;
BEGIN
    IF current_setting('timescaledb.license') <> 'timescale' THEN
        RETURN;
    END IF;
    FOR chosen IN
        SELECT path::regclass AS hypertable, segmentby, orderby, row_number() OVER () AS place
        FROM (VALUES
            {settings}
        ) AS settings (path, segmentby, orderby)
    LOOP
        IF NOT EXISTS (
            SELECT FROM timescaledb_information.hypertables
            WHERE compression_enabled
                AND format('%I.%I', hypertable_schema, hypertable_name)::regclass
                    = chosen.hypertable
        ) THEN
            EXECUTE format(
                'ALTER TABLE %s SET (timescaledb.compress, '
                'timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
                chosen.hypertable, chosen.segmentby, chosen.orderby
            );
        END IF;
        PERFORM add_compression_policy(
            chosen.hypertable, compress_after => INTERVAL '60 days', if_not_exists => true,
            initial_start => now() + chosen.place * INTERVAL '5 minutes'
        );
    END LOOP;
END
$$;
"""
_ROLES = """\
-- Two groups without a login: deribit_loader writes what the loader writes, deribit_reader reads.
-- Give them to users of your own: GRANT deribit_reader TO alice.
-- Written from the models of the datasets by `just schema`.
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/roles.sql
-- A second run changes nothing. Needs CREATEROLE where the groups do not exist yet.

DO $$
DECLARE
    role text;
    extension regnamespace := (
        SELECT extnamespace FROM pg_extension WHERE extname = 'timescaledb'
    );
BEGIN
    FOREACH role IN ARRAY ARRAY['deribit_loader', 'deribit_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA public, reference, %s TO %I', extension, role);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA public, reference TO %I', role);
    END LOOP;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO deribit_loader', current_database());
END
$$;

GRANT INSERT, UPDATE, DELETE, TRUNCATE ON
    {tables}
TO deribit_loader;
"""
_SHORT_NAMES = {"timestamp with time zone": "timestamptz"}


def schema_sql(models: Models = None) -> str:
    """Return ``sql/schema.sql``: the tables of the datasets, and the books, at this version."""
    books, *rest = with_books(models)
    names = sorted(path.name for path in (SQL / "migrations").glob("[0-9]*.sql"))
    rows = ", ".join(f"({int(name[:4])}, {_literal(name)})" for name in names)
    return "\n".join(
        [
            _HEAD,
            create_table(books),
            _VERSION_CHECK.format(version=int(names[-1][:4])),
            *map(create_table, rest),
            _VERSIONS.format(rows=rows),
        ]
    )


def policies_sql(models: Models = None) -> str:
    """Return ``sql/policies.sql``: which hypertables are compressed, and how."""
    chosen = [stated(model) for model in with_books(models) if table_of(model).is_hypertable]
    settings = [
        (f"{one.schema}.{one.name}", one.segmentby, ", ".join(one.orderby)) for one in chosen
    ]
    rows = (f"({', '.join(map(_literal, row))})" for row in settings)
    return _POLICIES.format(settings=",\n            ".join(rows))


def roles_sql(models: Models = None) -> str:
    """Return ``sql/roles.sql``: who may read, and who may write what."""
    written = (table_of(model).path for model in with_books(models) if model is not SchemaVersion)
    return _ROLES.format(tables=",\n    ".join(written))


def create_table(model: type[DataFrameModel]) -> str:
    """Return the statements that make the table of a dataset, where it is not there yet."""
    return "\n".join([*_statements(model), ""])


def comment(column: Any) -> str:
    """Return what pandera's column holds, its [unit] after the first clause."""
    unit = (column.metadata or {}).get("unit")
    clause, *rest = column.description.partition(";")
    return "".join([clause, f" [{unit}]" if unit else "", *rest])


def _statements(model: type[DataFrameModel]) -> Iterator[str]:
    facts, path = stated(model), table_of(model).path
    lines = [*_definitions(model), f"PRIMARY KEY ({', '.join(facts.key)})"]
    yield f"CREATE TABLE IF NOT EXISTS {path} (\n    " + ",\n    ".join(lines) + "\n);"
    if facts.chunk is not None:
        yield _HYPERTABLE.format(path=path, chunk=facts.chunk)
    for index in facts.indexes:
        columns = ", ".join(index.columns)
        yield f"CREATE INDEX IF NOT EXISTS {index.name} ON {path} ({columns});"
    yield f"COMMENT ON TABLE {path} IS {_literal(facts.about)};"
    for name, column in columns_of(model).items():
        yield f"COMMENT ON COLUMN {path}.{name} IS {_literal(comment(column))};"


def _definitions(model: type[DataFrameModel]) -> Iterator[str]:
    """Yield the columns of a table as CREATE TABLE writes them."""
    facts, columns = stated(model), columns_of(model)
    sorted_by = {*facts.key, *(name for index in facts.indexes for name in index.columns)}
    for column in table_of(model).columns:
        default = (columns[column.name].metadata or {}).get("default")
        yield _definition(column, is_sorted_by=column.name in sorted_by, default=default)


def _definition(column: Column, *, is_sorted_by: bool, default: str | None) -> str:
    words = [column.name, _SHORT_NAMES.get(column.type, column.type)]
    if is_sorted_by and column.type == "text":
        words.append('COLLATE "C"')  # by bytes, as the lake sorts
    if not column.is_nullable:
        words.append("NOT NULL")
    if default is not None:
        words.append(f"DEFAULT {default}")
    return " ".join(words)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
