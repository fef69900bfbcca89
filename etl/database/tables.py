"""The tables of the database: which there are, and what their columns are.

Each is what the model of its dataset says; ``sql/schema.sql`` is written from the same models.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from pandera.polars import DataFrameModel

from etl.catalog import DATASETS
from etl.database.books import LoadLedger, SchemaVersion
from validators.schemas.candles import PerpetualsDays, PerpetualsHours
from validators.table import TableFacts, facts_of

BARS: tuple[type[DataFrameModel], ...] = (PerpetualsHours, PerpetualsDays)
"""What the loader resamples from the rows of a dataset, and keeps with them."""

Models = Iterable[type[DataFrameModel]] | None
"""Some models, or those of all datasets."""

SQL = Path(__file__).parents[2] / "sql"

_TYPES: dict[pl.DataType, str] = {
    pl.Datetime("us", "UTC"): "timestamp with time zone",
    pl.Date(): "date",
    pl.String(): "text",
    pl.Boolean(): "boolean",
    pl.Int32(): "integer",
    pl.Int64(): "bigint",
    pl.Float64(): "double precision",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as PostgreSQL's catalog describes it."""

    name: str
    type: str
    is_nullable: bool

    def __str__(self) -> str:
        """Return the column as SQL writes it."""
        return f"{self.name} {self.type}{'' if self.is_nullable else ' NOT NULL'}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the schema."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    is_hypertable: bool
    subject: str  # SQL of what the loader's books are kept of
    key_within: tuple[str, ...]  # the key among rows of one subject

    @property
    def path(self) -> str:
        """Return the name SQL finds the table by."""
        return f"{self.schema}.{self.name}"


def tables(models: Models = None) -> dict[str, Table]:
    """Return the tables of datasets, or of some models, between the two books, by name."""
    return {table.name: table for table in map(table_of, with_books(models))}


def hypertables(models: Models = None) -> list[str]:
    """Return the names of the tables that are hypertables."""
    return [table.name for table in tables(models).values() if table.is_hypertable]


def with_books(models: Models = None) -> list[type[DataFrameModel]]:
    """Return the models that have a table, in the order of the schema, books included."""
    chosen = listed() if models is None else models
    return [SchemaVersion, *(model for model in chosen if facts_of(model)), LoadLedger]


def listed() -> list[type[DataFrameModel]]:
    """Return the models of the datasets that have a table, and of bars."""
    datasets = (dataset.model for dataset in DATASETS.values())
    return [*(model for model in datasets if facts_of(model)), *BARS]


def bars_of(model: type[DataFrameModel]) -> list[type[DataFrameModel]]:
    """Return what is resampled from the rows of a dataset; nothing, mostly."""
    name = stated(model).name
    return [one for one in BARS if stated(one).made_from == name]


@cache
def table_of(model: type[DataFrameModel]) -> Table:
    """Return the table of one dataset, as its model states it.

    Raises
    ------
    ValueError
        The model states no table, or a type the database has no name for.
    """
    facts = stated(model)
    columns = tuple(
        Column(name, _type(name, column), column.nullable)
        for name, column in columns_of(model).items()
    )
    return Table(
        facts.schema,
        facts.name,
        columns,
        facts.key,
        is_hypertable=facts.chunk is not None,
        subject=facts.subject or f"held.{facts.key[0]}",
        key_within=facts.key if facts.subject else facts.key[1:],
    )


def stated(model: type[DataFrameModel]) -> TableFacts:
    """Return what a model states of its table.

    Raises
    ------
    ValueError
        It states none.
    """
    facts = facts_of(model)
    if facts is None:
        message = f"{model.__name__} has no table: its Config states none"
        raise ValueError(message)
    return facts


def columns_of(model: type[DataFrameModel]) -> dict[str, Any]:
    """Return pandera's columns of a table by name, in the table's order."""
    columns = model.to_schema().columns
    return {name: columns[name] for name in stated(model).columns or columns}


def _type(name: str, column: Any) -> str:
    """Return the SQL type of a column: what its metadata says, else what its dtype is called."""
    dtype = column.dtype.type
    found: str | None = (column.metadata or {}).get("sql") or _TYPES.get(dtype)
    if found is None:
        message = f'column {name} is {dtype}: state its SQL type, as metadata={{"sql": "real"}}'
        raise ValueError(message)
    return found
