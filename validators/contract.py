"""Hold a frame against its contract: split good rows from bad, or refuse the frame.

The rules live in `schemas` alone; pandera judges, and this module reads its verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from validators.errors import ContractError
from validators.table import metadata_of

KEY = ("timestamp", "instrument")
"""The key of a dataset that states no other, in sorting order."""

SHOWN_ROWS = 5
PIECE_ROWS = 131_072


@dataclass(frozen=True)
class Split:
    """A frame cut in two: `len(valid) + len(rejected)` is the length of the frame.

    Attributes
    ----------
    valid : DataFrame
        The rows that keep every rule, in the order received.
    rejected : DataFrame
        The rows that break a rule, with `failed_check` (str) added: every failed check in the
        form `column:check` or `check`, separated by commas.
    """

    valid: pl.DataFrame
    rejected: pl.DataFrame


def key_of(model: type[pa.DataFrameModel]) -> tuple[str, ...]:
    """Return the key of a dataset, in sorting order: no two rows agree in all of its columns."""
    key: tuple[str, ...] = metadata_of(model).get("key", KEY)
    return key


def order_of(model: type[pa.DataFrameModel]) -> tuple[str, ...]:
    """Return the columns the rows of a dataset are sorted by: its key, where none are said."""
    order: tuple[str, ...] = metadata_of(model).get("order") or key_of(model)
    return order


def layout_of(model: type[pa.DataFrameModel]) -> dict[str, Any]:
    """Return how files of a dataset are laid out, where that is not the usual way."""
    layout: dict[str, Any] = metadata_of(model).get("layout", {})
    return layout


def split(frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> Split:
    """Tell the rows that keep the contract from those that break it.

    Columns the model does not know (provenance) stay with their rows in both halves.

    Raises
    ------
    ContractError
        A column is missing or of another type; the message names it, expected and found.
    """
    known = [name for name in model.to_schema().columns if name in frame.columns]
    broken = _broken_rows(_failures_of(frame.select(known), model))
    rejected = frame[broken["index"]].with_columns(broken["failed_check"])
    if broken.is_empty():
        return Split(valid=frame, rejected=rejected)
    good = pl.Series([True]).new_from_index(0, len(frame)).scatter(broken["index"], values=False)
    return Split(valid=frame.filter(good), rejected=rejected)


def check(frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> None:
    """Refuse a frame that breaks any promise of its dataset: `check_rows` and `check_key`.

    Raises
    ------
    ContractError
        The message shows the first bad rows.
    """
    check_rows(frame, model)
    check_key(frame, key_of(model))


def check_rows(frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> None:
    """Refuse a frame in which a row breaks a rule, or whose columns are not exactly the model's.

    Raises
    ------
    ContractError
        The message shows the first bad rows.
    """
    broken = _broken_rows(_failures(frame, model))
    if not broken.is_empty():
        rows = frame[broken["index"].head(SHOWN_ROWS)].with_columns(
            broken["failed_check"].head(SHOWN_ROWS)
        )
        raise ContractError(_message(f"{len(broken)} rows break {model.__name__}", rows))


def check_key(frame: pl.DataFrame, key: Sequence[str] = KEY) -> None:
    """Refuse a frame whose key does not strictly increase from row to row.

    This is what is left to ask of rows that `split` let through.

    Raises
    ------
    ContractError
        The message shows the first bad rows.
    """
    unordered = frame.with_row_index("row").filter(~_is_after_previous(key))
    if not unordered.is_empty():
        rows = unordered.head(SHOWN_ROWS)
        text = f"{len(unordered)} rows do not follow their predecessor by {', '.join(key)}"
        raise ContractError(_message(text, rows))


def is_sorted(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether a key strictly increases from row to row."""
    return bool(frame.select(_is_after_previous(key).all()).item())


def _failures_of(frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> pl.DataFrame:
    """Return the failure cases of a frame; one with categories is judged piece by piece, as text.

    Categories take a quarter of the memory of texts; a contract knows texts alone.
    """
    if pl.Categorical not in frame.dtypes:
        return _failures(frame, model)
    found = []
    for start in range(0, max(len(frame), 1), PIECE_ROWS):
        piece = frame[start : start + PIECE_ROWS]
        failures = _failures(piece.with_columns(pl.col(pl.Categorical).cast(pl.String)), model)
        found.append(failures.with_columns(pl.col("index").cast(pl.Int64) + start))
    return pl.concat(found, how="diagonal_relaxed")


def _failures(frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> pl.DataFrame:
    """Return pandera's failure cases, all about rows; a fault of the frame is raised."""
    try:
        model.validate(frame, lazy=True)
    except SchemaErrors as error:
        failures: pl.DataFrame = error.failure_cases
    else:
        return pl.DataFrame(schema={"column": pl.String, "check": pl.String, "index": pl.UInt32})
    faults = [_fault(row, frame, model) for row in failures.to_dicts() if row["index"] is None]
    if faults:
        raise ContractError(f"{model.__name__}: " + "; ".join(dict.fromkeys(filter(None, faults))))
    return failures


def _broken_rows(failures: pl.DataFrame) -> pl.DataFrame:
    """Return one row per broken row: `index` and `failed_check`, by index."""
    of_row = (
        pl.col("schema_context") == "DataFrameSchema" if "schema_context" in failures else False
    )
    name = pl.when(of_row).then("check").otherwise(pl.format("{}:{}", "column", "check"))
    return (
        failures.select(pl.col("index").cast(pl.UInt32), name.alias("failed_check"))
        .group_by("index", maintain_order=True)
        .agg(pl.col("failed_check").unique(maintain_order=True).str.join(","))
        .sort("index")
    )


def _fault(row: dict[str, str], frame: pl.DataFrame, model: type[pa.DataFrameModel]) -> str | None:
    """Put a fault of the whole frame into words; None for one that only follows from others."""
    columns = model.to_schema().columns
    at_fault = row["failure_case"]
    match row["check"].partition("(")[0]:
        case "column_in_dataframe":
            return f"column {at_fault} is missing, expected {columns[at_fault].dtype}"
        case "column_in_schema":
            return f"column {at_fault} is not expected, found {frame.schema[at_fault]}"
        case "column_ordered":
            return f"column {at_fault} is out of order, expected {', '.join(columns)}"
        case "dtype":
            expected = columns[row["column"]].dtype
            return f"column {row['column']}: expected {expected}, found {at_fault}"
    return None


def _is_after_previous(key: Sequence[str]) -> pl.Expr:
    """Whether a row's key is greater than that of the row before it; true for the first."""
    is_after = pl.lit(value=False)
    for column in (pl.col(name) for name in reversed(key)):
        before = column.shift()
        is_after = (column > before) | ((column == before) & is_after)
    return (pl.int_range(pl.len()) == 0) | is_after.fill_null(value=False)


def _message(text: str, rows: pl.DataFrame) -> str:
    return "\n".join([f"{text}; the first:", *map(str, rows.to_dicts())])
