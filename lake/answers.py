"""Write the answer to a query: as a table to read, or as CSV, JSON or Parquet.

Numbers stay numbers: a sum of integers, which DuckDB counts in 128 bits, is digits in CSV and
JSON and ``decimal(38, 0)`` in Parquet. What a form has no word for is text, as DuckDB writes it;
lists, structs and maps are JSON in CSV.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import polars as pl
from duckdb.sqltypes import DuckDBPyType

from lake.errors import LakeError, QueryError
from lake.write import write_out

_NESTED = frozenset({"list", "array", "struct", "map", "union", "tuple", "variant"})
_NUMBERS = frozenset(
    {"boolean", "tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}
    | {"utinyint", "usmallint", "uinteger", "ubigint"}
)
_HUGE = frozenset({"hugeint", "uhugeint"})
_MOMENTS = {
    "timestamp_s": "%Y-%m-%dT%H:%M:%S.%g",
    "timestamp_ms": "%Y-%m-%dT%H:%M:%S.%g",
    "timestamp": "%Y-%m-%dT%H:%M:%S.%f",
    "timestamp_ns": "%Y-%m-%dT%H:%M:%S.%n",
    "timestamp with time zone": "%Y-%m-%dT%H:%M:%S.%f+0000",
}
_IN_PARQUET = (
    _NUMBERS | _MOMENTS.keys() | {"varchar", "blob", "date", "time", "time_ns", "null"}
)  # as it is
_STRING_OR_BARE = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)')

_BY_STORE = re.compile(
    r"^[\w.]*(?:Conflict|RefusedByStore|UnreachableStore)Error: (.+)$", re.MULTILINE
)


def write(answer: duckdb.DuckDBPyRelation, form: str, out: Path | None) -> None:
    """Write an answer as ``table``, ``csv``, ``json`` or ``parquet``, to a file or stdout.

    Raises
    ------
    QueryError
        If Parquet is to go to a terminal, or the query fails.
    LakeError
        If the file cannot be written.
    """
    if form == "parquet" and out is None and sys.stdout.isatty():
        message = "Parquet is not for a terminal: give --out FILE, or redirect"
        raise QueryError(message)
    try:
        data = _ENCODERS[form](answer)
    except duckdb.Error as error:
        raise refusal(error) from error
    if out is not None:
        write_out(data, out)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def refusal(error: duckdb.Error) -> LakeError:
    """Return what DuckDB says in one line, or the lake's store where it was that which failed."""
    if told := _BY_STORE.search(str(error)):
        return LakeError(told[1])
    return QueryError(" ".join(str(error).split()))


def _table(answer: duckdb.DuckDBPyRelation) -> bytes:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        answer.show(max_rows=100)
    return shown.getvalue().encode()


def _csv(answer: duckdb.DuckDBPyRelation) -> bytes:
    frame = _frame(answer, _in_csv)
    nested = [
        pl.Series(name, [text and _strict(text) for text in frame[name]], pl.String)
        for name, kind in zip(frame.columns, answer.types, strict=True)
        if kind.id in _NESTED
    ]
    return str(frame.with_columns(nested).write_csv()).encode()


def _json(answer: duckdb.DuckDBPyRelation) -> bytes:
    """Return an array of an object a row, strictly JSON: what is no number is null."""
    members = [
        f"{_quoted(name)}, {_in_json(kind, column)}"
        for name, kind, column in zip(
            _names(answer.columns), answer.types, _columns(answer), strict=True
        )
    ]
    rows = answer.project(f"CAST(json_object({', '.join(members)}) AS VARCHAR) AS line").pl()
    text = ",\n".join(rows["line"])
    return f"[{_strict(text)}]\n".encode()


def _parquet(answer: duckdb.DuckDBPyRelation) -> bytes:
    buffer = io.BytesIO()
    _frame(answer, _as_in_parquet).write_parquet(buffer)
    return buffer.getvalue()


_ENCODERS = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}


def _frame(
    answer: duckdb.DuckDBPyRelation, written: Callable[[DuckDBPyType, str], str]
) -> pl.DataFrame:
    """Return an answer as a frame of columns each of which a form has a word for."""
    columns = zip(answer.types, _columns(answer), strict=True)
    chosen = [f"{written(kind, column)} AS c{i}" for i, (kind, column) in enumerate(columns)]
    frame: pl.DataFrame = answer.project(", ".join(chosen)).pl()
    frame.columns = _names(answer.columns)
    return frame


def _columns(answer: duckdb.DuckDBPyRelation) -> list[str]:
    return [f"#{number}" for number in range(1, len(answer.columns) + 1)]


def _names(columns: Sequence[str]) -> list[str]:
    """Return the names of the columns, those that stand twice with a number."""
    names: list[str] = []
    for name in columns:
        free, number = name, 0
        while free in names or (number and free in columns):
            number += 1
            free = f"{name}_{number}"
        names.append(free)
    return names


def _in_csv(kind: DuckDBPyType, column: str) -> str:
    if kind.id in _NUMBERS:
        return column
    if kind.id in _NESTED:
        return f"CAST(to_json({column}) AS VARCHAR)"
    if kind.id in _MOMENTS:
        return f"strftime({column}, '{_MOMENTS[kind.id]}')"
    return f"CAST({column} AS VARCHAR)"


def _in_json(kind: DuckDBPyType, column: str) -> str:
    if kind.id == "timestamp with time zone":
        text = f"CAST({column} AS VARCHAR)"
        iso = f"replace({text}, ' ', 'T') || ':00'"
        return f"CASE WHEN isfinite({column}) THEN {iso} ELSE {text} END"
    return column


def _as_in_parquet(kind: DuckDBPyType, column: str) -> str:
    if kind.id in _HUGE:
        return f"CAST({column} AS DECIMAL(38, 0))"
    if _is_in_parquet(kind):
        return column
    return f"CAST({f'to_json({column})' if kind.id in _NESTED else column} AS VARCHAR)"


def _is_in_parquet(kind: DuckDBPyType) -> bool:
    """Whether every reader of Parquet knows a type, and what it is made of."""
    if kind.id in {"list", "array", "struct", "map"}:
        parts = [part for _, part in kind.children if isinstance(part, DuckDBPyType)]
        return all(_is_in_parquet(part) for part in parts)
    return kind.id in _IN_PARQUET


def _strict(text: str) -> str:
    """Return JSON without the numbers that are none: null stands in their place."""
    if "NaN" not in text and "Infinity" not in text:
        return text
    return _STRING_OR_BARE.sub(lambda found: found[0] if found[0][0] == '"' else "null", text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
