"""Query the lake with DuckDB: one view per dataset, read-only.

A view is what is published and, of the live days, the rows that are not.
"""

import re
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from lake.answers import write
from lake.errors import QueryError
from lake.live import key_of_live, live_datasets, live_files
from lake.paths import SET_ASIDE, Lake
from lake.read import by_schema, footer
from lake.span import is_period, period_span

SQL = Path(__file__).parent.parent / "sql"
_EXPLAIN = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/)*explain\b\s*(\([^)]*\)|analyze\b)?", re.IGNORECASE | re.DOTALL
)
_MAY_WRITE = re.compile(r"\b(COPY|INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.IGNORECASE)
_PATTERN = re.compile(r"[*?\[]")


def open_views(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with a view of every dataset, and the views of ``sql/views``.

    Raises
    ------
    CorruptFileError
        If a published file is not readable Parquet.
    """
    connection = engine()
    root = _plain_root(connection, lake)
    held = sorted({*lake.datasets(), *live_datasets(lake)})
    for name in held:
        clean = lake.files(name)
        reads = _reads(clean, lake.root, root)
        reads += _live_reads(live_files(lake, name), clean, lake.root, root)
        _create(connection, name, reads)
    for folder in sorted((lake.root / "quarantine").glob("*")):
        if folder.name != SET_ASIDE:
            files = sorted(folder.glob("*/*.parquet"))
            _create(connection, f"quarantine_{folder.name}", _reads(files, lake.root, root))
    for path in sorted((SQL / "views").glob("*.sql")):
        _create_derived(connection, path.read_text(encoding="utf-8"), set(held))
    return connection


def engine() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that tells time in UTC and knows the macros of ``sql/macros``."""
    connection = duckdb.connect()
    connection.execute("LOAD icu")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would stand among the answers
    connection.execute("SET parquet_metadata_cache = true")  # half of a second question's time
    for path in sorted((SQL / "macros").glob("*.sql")):
        connection.execute(path.read_text(encoding="utf-8"))
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
        _check_reads(connection, statements[0].type, sql)
        return connection.sql(sql)
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise QueryError(message) from error


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


def _check_reads(
    connection: duckdb.DuckDBPyConnection, kind: duckdb.StatementType, sql: str
) -> None:
    """Refuse what could write.

    A PIVOT without IN is more than one statement to DuckDB, also inside a COPY; and a WITH may
    hold an INSERT or a COPY. What can stand in FROM only reads.
    """
    text = sql
    if explained := _EXPLAIN.match(sql):
        text = sql[explained.end() :]
        inner = duckdb.extract_statements(text)
        kind = inner[0].type if inner else kind
    if kind not in {duckdb.StatementType.SELECT, duckdb.StatementType.MULTI}:
        message = f"the lake is read-only: {kind.name} is refused, SELECT is welcome"
        raise QueryError(message)
    if kind == duckdb.StatementType.MULTI:
        duckdb.extract_statements(_in_from(text))
    if _MAY_WRITE.search(text):
        connection.sql(f"EXPLAIN {_in_from(text)}")


def _in_from(sql: str) -> str:
    """Return a query that asks one other, which ends at its semicolon if it has one."""
    data = sql.encode()
    ends = [at for at, _ in duckdb.tokenize(sql) if data[at : at + 1] == b";"]
    return f"FROM (\n{data[: ends[0]].decode() if ends else sql}\n)"


def _create(connection: duckdb.DuckDBPyConnection, name: str, reads: Sequence[str]) -> None:
    """Create a view of what some queries read, their columns taken by name."""
    if reads:
        quoted = name.replace('"', '""')
        connection.execute(f'CREATE VIEW "{quoted}" AS {" UNION ALL BY NAME ".join(reads)}')


def _reads(files: Sequence[Path], root: Path, plain: str) -> list[str]:
    """Return queries that read some files, each those of the same columns."""
    return [f"SELECT * FROM {_scan(alike, root, plain)}" for alike in by_schema(files)]  # noqa: S608  quoted


def _live_reads(
    live: Sequence[Path], clean: Sequence[Path], root: Path, plain: str
) -> Iterator[str]:
    """Yield queries of the live rows whose key is not among the clean ones.

    Only clean files whose period ends after the first live row can hold one, and of those only
    the rows since are looked at; most often there are none.
    """
    for alike in by_schema(live):
        rows = f"SELECT * FROM {_scan(alike, root, plain)}"  # noqa: S608  quoted
        key, since_ms = key_of_live(alike[0]), min(map(_first_ms, alike))
        rivals = by_schema(path for path in clean if _may_hold(path, since_ms))
        for rival in rivals:
            names = ", ".join(f'"{name}"' for name in key)
            known = f"SELECT {names} FROM {_scan(rival, root, plain)}"  # noqa: S608  quoted
            if "timestamp" in key:
                known += f" WHERE timestamp >= make_timestamptz({since_ms * 1000})"
            rows = f"SELECT * FROM ({rows}) ANTI JOIN ({known}) USING ({names})"  # noqa: S608
        yield rows


def _may_hold(path: Path, since_ms: int) -> bool:
    """Whether a published file may have rows since a moment, by its name."""
    return not is_period(path.stem) or period_span(path.stem).end_ms > since_ms


def _first_ms(path: Path) -> int:
    """Return the first moment of a file by its footer; where it tells none, that of all time."""
    found = footer(path)
    names = [found.schema.column(place).name for place in range(found.num_columns)]
    if "timestamp" not in names:
        return 0
    groups = range(found.num_row_groups)
    told = (found.row_group(one).column(names.index("timestamp")).statistics for one in groups)
    return min(int(one.min.timestamp() * 1000) if one else 0 for one in told)


def _scan(files: Sequence[Path], root: Path, plain: str) -> str:
    paths = ", ".join(_quoted(_literal(path, root, plain)) for path in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _plain_root(connection: duckdb.DuckDBPyConnection, lake: Lake) -> str:
    """Return a path of the lake that is no pattern to DuckDB: a link to it, where its own is one.

    DuckDB takes every path for a pattern, and has no way to write one of another name in it
    that holds whatever lies beside.
    """
    root = str(lake.root)
    if not _PATTERN.search(root):
        return root
    folder = tempfile.TemporaryDirectory(prefix="deribit-lake-")
    weakref.finalize(connection, folder.cleanup)
    link = Path(folder.name, "lake")
    if _PATTERN.search(str(link)):
        message = f"the folder for temporary files, {folder.name}, has *, ? or [ in it: set TMPDIR"
        raise QueryError(message)
    link.symlink_to(root)
    return str(link)


def _literal(path: Path, root: Path, plain: str) -> str:
    inside = str(path.relative_to(root))
    return f"{plain}/{_PATTERN.sub(lambda found: f'[{found[0]}]', inside)}"


def _create_derived(connection: duckdb.DuckDBPyConnection, sql: str, have: set[str]) -> None:
    """Create a view whose first line, ``-- needs: dataset``, names a dataset that is there."""
    needed = sql.partition("\n")[0].removeprefix("-- needs:").strip()
    if needed in have:
        connection.execute(sql)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
