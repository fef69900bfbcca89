"""The tables of ``sql/schema.sql``: which there are, and what their columns are."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SQL = Path(__file__).parents[2] / "sql"

_TABLE = re.compile(
    r"^CREATE TABLE IF NOT EXISTS (\w+)\.(\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL
)
_COLUMN = re.compile(
    r"^    ([a-z]\w*) ([a-z ]+?)( COLLATE \"C\")?( NOT NULL)?( DEFAULT [^,]+)?,$", re.MULTILINE
)
_KEY = re.compile(r"^    PRIMARY KEY \((.*)\)$", re.MULTILINE)
_FULL_NAMES = {"timestamptz": "timestamp with time zone"}


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
    """A table of the schema; those in `public` are hypertables."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def path(self) -> str:
        """Return the name SQL finds the table by."""
        return f"{self.schema}.{self.name}"


@cache
def tables() -> dict[str, Table]:
    """Return the tables of ``sql/schema.sql`` by name, in the order they are written there."""
    text = (SQL / "schema.sql").read_text(encoding="utf-8")
    found = (_table(*match.groups()) for match in _TABLE.finditer(text))
    return {table.name: table for table in found}


def hypertables() -> list[str]:
    """Return the names of the tables that are hypertables."""
    return [table.name for table in tables().values() if table.schema == "public"]


def _table(schema: str, name: str, body: str) -> Table:
    columns = tuple(
        Column(column, _FULL_NAMES.get(type_, type_), not required)
        for column, type_, _, required, _ in _COLUMN.findall(body)
    )
    key = _KEY.search(body)
    return Table(schema, name, columns, tuple(key[1].split(", ")) if key else ())
