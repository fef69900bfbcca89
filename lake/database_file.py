"""Write a DuckDB file with the lake's views, so that any program that knows DuckDB opens the lake.

What is stored looks at the lake when it is asked, and so shows rows that came after it was written;
it does not learn of columns or datasets its writer did not know, or that the lake was moved.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lake.errors import DatabaseFileError
from lake.lock import locked_file
from lake.paths import EMPTY, MARKER, Lake
from lake.store.place import ObjectPlace
from lake.stored_views import Described, create_macros, create_views
from lake.views import engine
from lake.write import disk_errors, publish_bytes

STORAGE = "v1.0.0"  # the oldest that can be written: DuckDB opens it since 1.0
_OURS = "SELECT {0}_name FROM duckdb_{1}() WHERE database_name = ? AND NOT internal ORDER BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a DuckDB file has: its views, its macros, and its tables, by name and sorted."""

    views: tuple[str, ...]
    macros: tuple[str, ...]
    tables: tuple[str, ...] = ()


def write_database(lake: Lake, path: Path, datasets: Iterable[Described]) -> Written:
    """Write a DuckDB file with a view of every dataset, and the views and macros of ``sql``.

    One that was written before is replaced as a whole; a program that reads it keeps what it has
    opened.

    Raises
    ------
    DatabaseFileError
        If there is no lake or a file of it cannot be read, it lies in a bucket, no pattern can name
        its folder, or what is at `path` must not be lost: no DuckDB file, one that holds what is
        not ours, or one that another program may be writing to.
    DiskFullError
        If there is no room; what was there stays.
    NotWritableError
        If the lake or the folder of `path` cannot be written.
    """
    if isinstance(lake.root, ObjectPlace):
        message = (
            f"{lake.root} lies in a bucket, which the DuckDB of other programs cannot look into: "
            "ask it by `deribit-lake sql` or `query`, or `deribit-lake pull` a copy of it"
        )
        raise DatabaseFileError(message)
    if not (lake.root / MARKER).is_file():
        message = f"no lake at {lake.root}: expected a folder with {MARKER}"
        raise DatabaseFileError(message)
    path = path.resolve()
    with (
        locked_file(lake.root / EMPTY / "lock", str(path), wait=True),
        tempfile.TemporaryDirectory(prefix="deribit-lake-") as folder,
    ):
        built = Path(folder, "lake.duckdb")
        with _said_in_one_line(), _attached(built) as connection:
            connection.begin()  # each comment would else wait for the disk
            create_macros(connection)
            create_views(connection, lake, datasets)
            connection.commit()
            written = _content(connection, "file")
        _check_replaceable(path, written)
        _forget_log(path)
        publish_bytes(built.read_bytes(), path)
    return written


def _forget_log(path: Path) -> None:
    """Remove what a killed program left beside the file that is replaced: it is not of the next."""
    with disk_errors(path):
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


@contextmanager
def _attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection whose new views go to a new file, which is whole at the end."""
    connection = engine()
    quoted = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS file (STORAGE_VERSION '{STORAGE}')")
    connection.execute("USE file")
    try:
        yield connection
        connection.execute("USE memory")
        connection.execute("DETACH file")
    finally:
        connection.close()


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise DatabaseFileError(message) from error


def _check_replaceable(path: Path, written: Written) -> None:
    """Refuse to replace a file that has anything but what is written anew.

    Raises
    ------
    DatabaseFileError
        If it has, or cannot be looked into.
    """
    if not path.exists():
        return
    if not path.is_file():
        message = f"{path} is no file: expected the name of a DuckDB file to write"
        raise DatabaseFileError(message)
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            there = _content(
                connection, connection.execute("SELECT current_database()").fetchall()[0][0]
            )
    except duckdb.Error as error:
        raise DatabaseFileError(_refusal(path, error)) from error
    own = [
        *there.tables,
        *(one for one in there.views if one not in written.views and not _is_quarantine(one)),
        *(one for one in there.macros if one not in written.macros),
    ]
    if own:
        message = (
            f"{path} holds what is not of the lake: {', '.join(own)}; it stays as it is: "
            "name another file, and ATTACH it there"
        )
        raise DatabaseFileError(message)


def _refusal(path: Path, error: duckdb.Error) -> str:
    reason = " ".join(str(error).split())
    if "lock" in reason:
        return f"{path} is open for writing: close it there, or open it read-only ({reason})"
    return f"{path} is there, and no DuckDB file that could be replaced: {reason}"


def _is_quarantine(view: str) -> bool:
    """Whether a view may be of rows that were set aside, and no longer are."""
    return view.startswith("quarantine_")


def _content(connection: duckdb.DuckDBPyConnection, database: str) -> Written:
    """Return what a database has."""
    kinds = (("view", "views"), ("function", "functions"), ("table", "tables"))
    views, macros, tables = (
        tuple(name for (name,) in connection.execute(_OURS.format(*kind), [database]).fetchall())
        for kind in kinds
    )
    return Written(views=views, macros=macros, tables=tables)
