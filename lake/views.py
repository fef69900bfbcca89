"""Query the lake with DuckDB: one view per dataset, read-only.

A view is what is published and, of the live days, the rows that are not.
"""

import os
import re
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import duckdb

from lake.answers import refusal, write
from lake.errors import LakeError, QueryError
from lake.live import key_of_live, live_of
from lake.paths import SET_ASIDE, Lake
from lake.read import by_schema, footer
from lake.span import is_period, period_span
from lake.store.files import matching
from lake.store.objects import ObjectStore
from lake.store.place import ObjectPlace, Place

SQL = Path(__file__).parent.parent / "sql"
_EXPLAIN = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/)*explain\b\s*(\([^)]*\)|analyze\b)?", re.IGNORECASE | re.DOTALL
)
_MAY_WRITE = re.compile(r"\b(COPY|INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.IGNORECASE)
_PATTERN = re.compile(r"[*?\[]")
THREADS_OF_BUCKET = 16  # they wait for the store, most of the time
Address = Callable[[Place], str]
"""How DuckDB calls a file of a lake."""


def open_views(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with a view of every dataset, and the views of ``sql/views``.

    Raises
    ------
    CorruptFileError
        If a published file is not readable Parquet.
    LakeError
        If DuckDB cannot read one, or a bucket's store fails.
    """
    connection = engine()
    address = _addresses(connection, lake)
    clean, live = lake.held(), live_of(lake)
    try:
        for name in sorted({*clean, *live}):
            reads = _reads(clean.get(name, []), address)
            reads += _live_reads(live.get(name, []), clean.get(name, []), address)
            _create(connection, name, reads)
        for name, files in _set_aside(lake):
            _create(connection, f"quarantine_{name}", _reads(files, address))
        for path in sorted((SQL / "views").glob("*.sql")):
            _create_derived(connection, path.read_text(encoding="utf-8"), {*clean, *live})
    except duckdb.Error as error:
        raise refusal(error) from error
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
        raise refusal(error) from error


def converse(lake: Lake) -> int:
    """Read queries until there is no more to read, show their answers, and return how many failed.

    A query ends with a semicolon, the last one with the text.
    """
    connection = open_views(lake)
    names = [
        name
        for (name,) in connection.sql(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    ]
    sys.stdout.write(f"views: {', '.join(names) or 'none'}; end a query with ;\n")
    pending, failed = "", 0
    while (line := _read_line("sql> " if not pending else "...> ")) is not None:
        pending += line + "\n"
        if not pending.strip():
            pending = ""
        elif pending.rstrip().endswith(";"):
            failed += not _answered(lake, connection, pending)
            pending = ""
    return failed + bool(pending and not _answered(lake, connection, pending))


def _answered(lake: Lake, connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Show the answer to a query, or why there is none; return whether there was one."""
    try:
        _look_again(lake)
        write(select(connection, query), "table", None)
    except LakeError as error:
        sys.stdout.write(f"error: {error}\n")
        return False
    return True


def _look_again(lake: Lake) -> None:
    """Learn what of a bucket was replaced since; a folder is looked at by whoever opens a file."""
    if isinstance(lake.root, ObjectPlace):
        lake.held()
        live_of(lake)


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


def _set_aside(lake: Lake) -> Iterator[tuple[str, list[Place]]]:
    """Yield each dataset that has rows set aside, with their files."""
    found = matching(lake.root / "quarantine", "*/*/*.parquet")
    for name, files in groupby(found, key=lambda path: path.parent.parent.name):
        if name != SET_ASIDE:
            yield name, list(files)


def _reads(files: Sequence[Place], address: Address) -> list[str]:
    """Return queries that read some files, each those of the same columns."""
    return [f"SELECT * FROM {_scan(alike, address)}" for alike in by_schema(files)]  # noqa: S608  quoted


def _live_reads(live: Sequence[Place], clean: Sequence[Place], address: Address) -> Iterator[str]:
    """Yield queries of the live rows whose key is not among the clean ones.

    Only clean files whose period ends after the first live row can hold one, and of those only
    the rows since are looked at; most often there are none.
    """
    for alike in by_schema(live):
        rows = f"SELECT * FROM {_scan(alike, address)}"  # noqa: S608  quoted
        key, since_ms = key_of_live(alike[0]), min(map(_first_ms, alike))
        rivals = by_schema(path for path in clean if _may_hold(path, since_ms))
        for rival in rivals:
            names = ", ".join(f'"{name}"' for name in key)
            known = f"SELECT {names} FROM {_scan(rival, address)}"  # noqa: S608  quoted
            if "timestamp" in key:
                known += f" WHERE timestamp >= make_timestamptz({since_ms * 1000})"
            rows = f"SELECT * FROM ({rows}) ANTI JOIN ({known}) USING ({names})"  # noqa: S608
        yield rows


def _may_hold(path: Place, since_ms: int) -> bool:
    """Whether a published file may have rows since a moment, by its name."""
    return not is_period(path.stem) or period_span(path.stem).end_ms > since_ms


def _first_ms(path: Place) -> int:
    """Return the first moment of a file by its footer; where it tells none, that of all time."""
    found = footer(path, is_listed=True)
    names = [found.schema.column(place).name for place in range(found.num_columns)]
    if "timestamp" not in names:
        return 0
    groups = range(found.num_row_groups)
    told = (found.row_group(one).column(names.index("timestamp")).statistics for one in groups)
    return min(int(one.min.timestamp() * 1000) if one else 0 for one in told)


def _scan(files: Sequence[Place], address: Address) -> str:
    paths = ", ".join(_quoted(address(path)) for path in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _addresses(connection: duckdb.DuckDBPyConnection, lake: Lake) -> Address:
    """Let a connection read a lake, and return how it calls the lake's files."""
    if isinstance(lake.root, ObjectPlace):
        return _let_read(connection, lake.root.store)
    plain = _plain_root(connection, lake.root)
    return lambda place: f"{plain}/{_literal(str(lake.inside(place)))}"


def _let_read(connection: duckdb.DuckDBPyConnection, store: ObjectStore) -> Address:
    from lake.store.filesystem import (  # noqa: PLC0415  (a fifth of a second, which no folder needs)
        LakeFiles,
        address_of,
    )

    connection.register_filesystem(LakeFiles(store))
    connection.execute(f"SET threads = {max(os.cpu_count() or 1, THREADS_OF_BUCKET)}")
    return address_of


def _plain_root(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """Return a path of the lake that is no pattern to DuckDB: a link to it, where its own is one.

    DuckDB takes every path for a pattern, and has no way to write one of another name in it
    that holds whatever lies beside.
    """
    root = str(folder)
    if not _PATTERN.search(root):
        return root
    temporary = tempfile.TemporaryDirectory(prefix="deribit-lake-")
    weakref.finalize(connection, temporary.cleanup)
    link = Path(temporary.name, "lake")
    if _PATTERN.search(str(link)):
        message = (
            f"the folder for temporary files, {temporary.name}, has *, ? or [ in it: set TMPDIR"
        )
        raise QueryError(message)
    link.symlink_to(root)
    return str(link)


def _literal(name: str) -> str:
    return _PATTERN.sub(lambda found: f"[{found[0]}]", name)


def _create_derived(connection: duckdb.DuckDBPyConnection, sql: str, have: set[str]) -> None:
    """Create a view whose first line, ``-- needs: dataset``, names a dataset that is there."""
    needed = sql.partition("\n")[0].removeprefix("-- needs:").strip()
    if needed in have:
        connection.execute(sql)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
