"""What is written from the models of datasets: ``just schema`` writes it, a test holds it fresh.

``sql/schema.sql``, ``policies.sql`` and ``roles.sql``, and the columns in ``docs/lake.md``.
"""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from pandera.polars import DataFrameModel

from etl.catalog import DATASETS
from etl.database import ddl
from etl.database.tables import SQL
from validators.contract import key_of
from validators.table import facts_of

LAKE = Path(__file__).parents[1] / "docs" / "lake.md"
COLUMNS = re.compile(r"(?<=<!-- columns -->\n).*?(?=<!-- end of columns -->)", re.DOTALL)
MODELS = {
    name: one.model
    for name, one in DATASETS.items()
    if getattr(one, "resolution", "") in {"", "1"} or facts_of(one.model)
}
"""The contracts of datasets; their other resolutions have the same columns."""


def main() -> None:
    """Write what is generated."""
    for path, text in sql_files().items():
        path.write_text(text, encoding="utf-8")
    write_dictionary()


def sql_files() -> dict[Path, str]:
    """Return the text of each generated SQL file."""
    written = {"schema": ddl.schema_sql, "policies": ddl.policies_sql, "roles": ddl.roles_sql}
    return {SQL / f"{name}.sql": write() for name, write in written.items()}


def write_dictionary() -> None:
    """Write the dictionary of columns into the page of the lake."""
    page = LAKE.read_text(encoding="utf-8")
    LAKE.write_text(COLUMNS.sub(lambda _: dictionary(), page), encoding="utf-8")


def dictionary(models: Mapping[str, type[DataFrameModel]] = MODELS) -> str:
    """Return a section for each dataset: what it is, its key, and its columns."""
    return "\n" + "\n".join(section(*one) for one in models.items()) + "\n"


def section(name: str, model: type[DataFrameModel]) -> str:
    """Return what a model says: its first line, key and columns, then its notes."""
    about, _, notes = inspect.cleandoc(model.__doc__ or "").partition("\n\n")
    key = ", ".join(f"`{name}`" for name in key_of(model))
    parts = [f"### {name}", about, f"Key: {key}.", columns_table(model), notes]
    return "\n\n".join(filter(None, parts)) + "\n"


def columns_table(model: type[DataFrameModel]) -> str:
    """Return the columns of a dataset, their types as Arrow names them, units and meanings."""
    columns = model.to_schema().columns
    empty = pl.DataFrame(schema={name: one.dtype.type for name, one in columns.items()})
    rows = ["| column | type | unit | what |", "|---|---|---|---|"]
    for field in empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema:
        column = columns[field.name]
        unit = (column.metadata or {}).get("unit", "")
        type_ = str(field.type).removeprefix("large_") + (", or null" if column.nullable else "")
        rows.append(f"| `{field.name}` | {type_} | {unit} | {column.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
