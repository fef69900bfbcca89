"""Query the lake with DuckDB: one view per dataset, read-only."""

import re
from pathlib import Path

import duckdb

from lake.errors import QueryError
from lake.paths import Lake
from lake.read import check_footer

VIEWS = Path(__file__).parent.parent / "sql" / "views"
READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_EXPLAIN = re.compile(r"\s*explain\b\s*(\([^)]*\)|analyze\b)?", re.IGNORECASE)


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with a view of every dataset, and the views of ``sql/views``.

    Raises
    ------
    CorruptFileError
        If a published file is not readable Parquet.
    """
    connection = duckdb.connect()
    connection.execute("LOAD icu")
    connection.execute("SET TimeZone = 'UTC'")
    for name in lake.datasets():
        _create(connection, name, lake.clean_folder(name))
    for folder in sorted((lake.root / "quarantine").glob("[!f]*")):
        _create(connection, f"quarantine_{folder.name}", folder)
    for path in sorted(VIEWS.glob("*.sql")):
        _create_derived(connection, path.read_text(encoding="utf-8"), set(lake.datasets()))
    return connection


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """Return the answer to one query that only reads.

    Raises
    ------
    QueryError
        If it is not exactly one query, would write, or DuckDB cannot answer it.
    """
    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1:
            message = f"expected one query, got {len(statements)}: {sql.strip()!r}"
            raise QueryError(message)
        _check_reads(statements[0].type, sql)
        return connection.sql(sql)
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise QueryError(message) from error


def _check_reads(kind: duckdb.StatementType, sql: str) -> None:
    if kind == duckdb.StatementType.EXPLAIN:
        inner = duckdb.extract_statements(_EXPLAIN.sub("", sql, count=1))
        kind = inner[0].type if inner else kind
    if kind not in READS:
        message = f"the lake is read-only: {kind.name} is refused, SELECT is welcome"
        raise QueryError(message)


def _create(connection: duckdb.DuckDBPyConnection, name: str, folder: Path) -> None:
    files = sorted(folder.glob("*/*.parquet"))
    for path in files:
        check_footer(path)
    if files:
        paths = ", ".join(_quoted(str(path)) for path in files)
        connection.execute(
            f'CREATE VIEW "{name}" AS '  # noqa: S608  (names of our own folders, quoted)
            f"SELECT * FROM read_parquet([{paths}], hive_partitioning = false)"
        )


def _create_derived(connection: duckdb.DuckDBPyConnection, sql: str, have: set[str]) -> None:
    """Create a view whose first line, ``-- needs: dataset``, names a dataset that is there."""
    needed = sql.partition("\n")[0].removeprefix("-- needs:").strip()
    if needed in have:
        connection.execute(sql)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
