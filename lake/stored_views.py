"""Views of a lake that a file can store: patterns of the lake's files, and columns of known types.

A pattern that meets no file is an error to DuckDB. So the lake has a file without rows of every
dataset, in ``empty/``, that all patterns of the dataset meet: one of which nothing is held yet has
no rows, and shows those that come.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import DatabaseFileError
from lake.live import key_of_live, live_datasets, live_files
from lake.paths import EMPTY, SET_ASIDE, TOPS, Lake
from lake.views import SQL
from lake.write import publish_bytes

_FOLDERS = {  # each meets the folder of that name and `empty`, and no other of the lake's
    "clean": "[ce][lm][ep][at][ny]",
    "derived": "[de][em][rp][it][vy]*",
    "live": "[le][im][vp][et]*",
    "quarantine": "[qe][um][ap][rt]*",
}
_PATTERN = re.compile(r"[*?\[]")
_MEANING = re.compile(r"^-- (\w+)(?: \[(.*?)\])?: (.*)$")
_ASIDE = {
    "failed_check": "Every check that failed, as column:check",
    "attempt_id": "The attempt the row came in, in raw",
}
Columns = Mapping[str, str]
"""Types by name, as DuckDB calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A dataset as its contract has it.

    Attributes
    ----------
    top
        The folder it is published in, ``clean`` or ``derived``.
    key
        The columns a row is told from others by.
    rows
        A table of its columns; whether it has rows does not matter.
    about
        What it is.
    meanings
        What its columns are, with their units.
    """

    name: str
    top: str
    key: tuple[str, ...]
    rows: pa.Table
    about: str
    meanings: Mapping[str, str]


def create_views(
    connection: duckdb.DuckDBPyConnection, lake: Lake, datasets: Iterable[Described]
) -> None:
    """Create a view of every dataset that is described or held, and those of ``sql/views``.

    Raises
    ------
    DatabaseFileError
        If no pattern can name the folder of the lake.
    CorruptFileError
        If a live file does not say its key.
    NotWritableError
        If the lake has to be given an empty file, and cannot.
    duckdb.Error
        If a file of the lake cannot be read.
    """
    root = _as_pattern(str(lake.on_disk))
    known = {one.name: one for one in datasets}
    aside = {path.name for path in (lake.root / "quarantine").glob("*/")} - {SET_ASIDE}
    for name in sorted({*known, *lake.datasets(), *live_datasets(lake), *aside}):
        _create_of_dataset(connection, lake, root, known.get(name) or _unknown(lake, name))
    for file in sorted((SQL / "views").glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        needed = text.partition("\n")[0].removeprefix("-- needs:").strip()
        if needed in known:
            _create_of_text(connection, file.stem, text, known[needed].meanings)


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros of ``sql/macros``."""
    for file in sorted((SQL / "macros").glob("*.sql")):
        _create_of_text(connection, file.stem, file.read_text(encoding="utf-8"), {})


def _unknown(lake: Lake, name: str) -> Described:
    """Return what can be said of a dataset without a contract."""
    live = live_files(lake, name)
    key = key_of_live(live[0]) if live else ()
    return Described(name=name, top="", key=key, rows=pa.table({}), about="", meanings={})


def _create_of_dataset(
    connection: duckdb.DuckDBPyConnection, lake: Lake, root: str, one: Described
) -> None:
    """Create the view of a dataset, and that of its rows that were set aside, if there are any."""
    held = _columns_held(connection, lake, root, one.name, (*TOPS, "live"))
    aside = _columns_held(connection, lake, root, one.name, ("quarantine",))
    columns = {**held, **_columns_of(connection, one.rows)}
    columns = {name: columns[name] for name in dict.fromkeys((*one.rows.column_names, *held))}
    _write_empty(connection, lake, one.name, {**aside, **columns})
    if columns:
        _create(connection, one.name, _of_dataset(lake, root, one, columns))
        _comment(connection, one.name, one.about, columns, one.meanings)
    if aside:
        name, scan = f"quarantine_{one.name}", _scan(root, "quarantine", one.name)
        _create(connection, name, _select(aside, scan))
        about = f"Rows that broke the contract of {one.name}"
        _comment(connection, name, about, aside, {**_ASIDE, **one.meanings})


def _of_dataset(lake: Lake, root: str, one: Described, columns: Columns) -> str:
    """Return the query of what is published and, where there may be some, of the live rows."""
    tops = [top for top in TOPS if top == one.top or (lake.root / top / one.name).is_dir()]
    published = [_scan(root, top, one.name) for top in tops]
    queries = [_select(columns, scan) for scan in published]
    if one.top == "clean" or live_files(lake, one.name):
        queries.append(_of_live(_scan(root, "live", one.name), published, one.key, columns))
    return " UNION ALL ".join(queries)


def _of_live(live: str, published: Sequence[str], key: Sequence[str], columns: Columns) -> str:
    """Return the query of the live rows whose key is not published.

    Of what is published only the rows since the first live one are looked at: all are before
    infinity, where there is none.
    """
    rows = _select(columns, live)
    if not published:
        return rows
    names = ", ".join(map(_name, key))
    since = _since(live) if "timestamp" in key else ""
    known = " UNION ALL ".join(f"SELECT {names} FROM {scan}{since}" for scan in published)  # noqa: S608  quoted
    return f"{rows} ANTI JOIN ({known}) USING ({names})"


def _since(live: str) -> str:
    first = "coalesce(min(timestamp), TIMESTAMPTZ 'infinity')"
    return f" WHERE timestamp >= (SELECT {first} FROM {live})"  # noqa: S608  quoted


def _create_of_text(
    connection: duckdb.DuckDBPyConnection, name: str, text: str, meanings: Mapping[str, str]
) -> None:
    """Create a view or a macro of ``sql``; what its first lines say of it becomes its comment."""
    connection.execute(text)
    lines = [line for line in text.partition("CREATE ")[0].splitlines() if "-- needs:" not in line]
    told = [found.groups() for line in lines if (found := _MEANING.match(line))]
    about = " ".join(line.removeprefix("-- ") for line in lines if not _MEANING.match(line))
    if "CREATE VIEW" in text:
        columns = _columns(connection, f"FROM {_name(name)}")
        own = {column: meaning(what, unit) for column, unit, what in told}
        _comment(connection, name, about, columns, {**meanings, **own})
    else:
        kind = "MACRO TABLE" if "AS TABLE" in text else "MACRO"
        connection.execute(f"COMMENT ON {kind} {_name(name)} IS {_text(about)}")


def meaning(what: str, unit: str | None) -> str:
    """Return what a column is, with its unit."""
    return f"{what} [{unit}]" if unit else what


def _comment(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    about: str,
    columns: Columns,
    meanings: Mapping[str, str],
) -> None:
    """Say what a view and its columns are, where it is known."""
    if about:
        connection.execute(f"COMMENT ON VIEW {_name(view)} IS {_text(about)}")
    for name in columns:
        if name in meanings:
            place = f"{_name(view)}.{_name(name)}"
            connection.execute(f"COMMENT ON COLUMN {place} IS {_text(meanings[name])}")


def _write_empty(
    connection: duckdb.DuckDBPyConnection, lake: Lake, name: str, columns: Columns
) -> None:
    """Give the lake the files without rows of a dataset, unless it has them."""
    if not columns:
        return
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in columns.items())
    file = io.BytesIO()
    pq.write_table(connection.sql(f"SELECT {nulls} LIMIT 0").to_arrow_table(), file)
    folder = lake.root / EMPTY / name
    for path in (folder / f"{EMPTY}.parquet", folder / EMPTY / f"{EMPTY}.parquet"):
        if not path.exists() or path.read_bytes() != file.getvalue():
            publish_bytes(file.getvalue(), path)


def _columns_held(
    connection: duckdb.DuckDBPyConnection, lake: Lake, root: str, name: str, tops: Iterable[str]
) -> dict[str, str]:
    """Return the columns that files of a dataset have, in some folders of the lake."""
    below = {top: "*.parquet" if top == "live" else "*/*.parquet" for top in tops}
    paths = [
        f"{root}/{top}/{_as_pattern(name)}/{files}"
        for top, files in below.items()
        if any((lake.root / top / name).glob(files))
    ]
    return _columns(connection, f"FROM {_read(paths)}") if paths else {}


def _columns_of(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> dict[str, str]:
    if not rows.column_names:
        return {}
    return {
        name: str(kind)
        for name, kind in zip(rows.column_names, connection.from_arrow(rows).types, strict=True)
    }


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    answer = connection.sql(query)
    return {name: str(kind) for name, kind in zip(answer.columns, answer.types, strict=True)}


def _create(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    connection.execute(f"CREATE VIEW {_name(name)} AS {query}")


def _select(columns: Columns, scan: str) -> str:
    """Return a query of columns of known types: a view whose types change is an error to DuckDB."""
    casts = ", ".join(
        f"CAST({_name(name)} AS {kind}) AS {_name(name)}" for name, kind in columns.items()
    )
    return f"SELECT {casts} FROM {scan}"  # noqa: S608  quoted


def _scan(root: str, top: str, name: str) -> str:
    files = "*.parquet" if top == "live" else "*/*.parquet"
    return _read([f"{root}/{_FOLDERS[top]}/{_as_pattern(name)}/{files}"])


def _read(patterns: Iterable[str]) -> str:
    paths = ", ".join(map(_text, patterns))
    return f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"


def _as_pattern(path: str) -> str:
    """Return the pattern that a path alone meets.

    Raises
    ------
    DatabaseFileError
        If there is none: DuckDB takes a backslash before a pattern's sign for its cover.
    """
    if "\\" in path or not path.isprintable():
        message = f"no pattern of DuckDB names {path!r}: reach the lake by a link of a plainer name"
        raise DatabaseFileError(message)
    return _PATTERN.sub(lambda found: f"[{found[0]}]", path)


def _name(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _text(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
