"""Query the lake with DuckDB: one view per dataset, read-only."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from lake.errors import QueryError
from lake.paths import SET_ASIDE, Lake
from lake.read import check_footer
from lake.write import publish_bytes

VIEWS = Path(__file__).parent.parent / "sql" / "views"
_EXPLAIN = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/)*explain\b\s*(\([^)]*\)|analyze\b)?", re.IGNORECASE | re.DOTALL
)


def open_views(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with a view of every dataset, and the views of ``sql/views``.

    Raises
    ------
    CorruptFileError
        If a published file is not readable Parquet.
    """
    connection = duckdb.connect()
    connection.execute("LOAD icu")
    connection.execute("SET TimeZone = 'UTC'")
    held = lake.datasets()
    for name in held:
        _create(connection, name, lake.files(name))
    for folder in sorted((lake.root / "quarantine").glob("*")):
        if folder.name != SET_ASIDE:
            _create(connection, f"quarantine_{folder.name}", sorted(folder.glob("*/*.parquet")))
    for path in sorted(VIEWS.glob("*.sql")):
        _create_derived(connection, path.read_text(encoding="utf-8"), set(held))
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


def write(answer: duckdb.DuckDBPyRelation, form: str, out: Path | None) -> None:
    """Write an answer as ``table``, ``csv``, ``json`` or ``parquet``, to a file or stdout.

    Raises
    ------
    QueryError
        If Parquet is to go to a terminal, or the file cannot be written, or the query fails.
    """
    try:
        data = _encode(answer, form)
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise QueryError(message) from error
    if out is not None:
        publish_bytes(data, out)
    elif form == "parquet" and sys.stdout.isatty():
        message = "Parquet is not for a terminal: give --out FILE, or redirect"
        raise QueryError(message)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def converse(lake: Lake) -> None:
    """Read queries from the terminal until it ends, and show their answers."""
    connection = open_views(lake)
    names = [
        name
        for (name,) in connection.sql(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    ]
    sys.stdout.write(f"views: {', '.join(names) or 'none'}; end a query with ;\n")
    pending = ""
    while (line := _read_line("sql> " if not pending else "...> ")) is not None:
        pending += line + "\n"
        if not pending.strip():
            pending = ""
        elif pending.rstrip().endswith(";"):
            try:
                write(select(connection, pending), "table", None)
            except QueryError as error:
                sys.stdout.write(f"error: {error}\n")
            pending = ""


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _encode(answer: duckdb.DuckDBPyRelation, form: str) -> bytes:
    if form == "table":
        return _boxed(answer).encode()
    frame = answer.pl()
    if form == "csv":
        return str(frame.write_csv()).encode()
    if form == "json":
        return str(frame.write_json()).encode() + b"\n"
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _boxed(answer: duckdb.DuckDBPyRelation) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        answer.show(max_rows=100)
    return shown.getvalue()


def _check_reads(kind: duckdb.StatementType, sql: str) -> None:
    if kind == duckdb.StatementType.EXPLAIN:
        explained = _EXPLAIN.match(sql)
        inner = duckdb.extract_statements(sql[explained.end() :]) if explained else []
        kind = inner[0].type if inner else kind
    if kind != duckdb.StatementType.SELECT:
        message = f"the lake is read-only: {kind.name} is refused, SELECT is welcome"
        raise QueryError(message)


def _create(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> None:
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
