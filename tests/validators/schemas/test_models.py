"""What holds of every contract that has a table."""

import polars as pl
import pytest

from etl.database.tables import listed
from validators.contract import key_of
from validators.table import facts_of

MODELS = listed()
EVERY = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


@EVERY
def test_every_column_is_described(model):
    columns = model.to_schema().columns.items()

    assert [name for name, column in columns if not column.description] == []


@EVERY
def test_every_figure_and_every_moment_has_a_unit(model):
    unitless = [
        name
        for name, column in model.to_schema().columns.items()
        if (column.dtype.type.is_float() or column.dtype.type.is_temporal())
        and not (column.metadata or {}).get("unit")
    ]

    assert unitless == []


@EVERY
def test_no_unit_stands_in_a_description(model):
    columns = model.to_schema().columns.values()

    assert [column.name for column in columns if "[" in column.description] == []


@EVERY
def test_keys_are_columns_that_are_never_null(model):
    columns, facts = model.to_schema().columns, facts_of(model)

    assert not any(columns[name].nullable for name in (*key_of(model), *facts.key))
    assert set(facts.key) == set(key_of(model))


@EVERY
def test_a_table_has_columns_the_dataset_has(model):
    facts, columns = facts_of(model), model.to_schema().columns

    assert set(facts.columns or ()) <= set(columns)
    assert {name for index in facts.indexes for name in index.columns} <= set(columns)


@EVERY
def test_a_contract_is_introduced_by_a_line_of_its_own(model):
    assert model.__doc__.partition("\n")[0].startswith("One row per ")


def test_what_is_in_public_is_a_hypertable():
    facts = [facts_of(model) for model in MODELS]

    assert all(one.chunk is not None for one in facts if one.schema == "public")


@EVERY
def test_rows_are_compressed_apart_and_in_the_order_of_their_key(model):
    facts = facts_of(model)

    assert {facts.segmentby, *facts.orderby} >= set(facts.key)
    assert facts.segmentby in {"", *model.to_schema().columns}


def test_tables_have_names_of_their_own():
    names = [facts_of(model).name for model in MODELS]

    assert len(set(names)) == len(names)


def test_moments_are_of_one_type():
    dtypes = {
        column.dtype.type
        for model in MODELS
        for column in model.to_schema().columns.values()
        if column.dtype.type.is_temporal()
    }

    assert dtypes == {pl.Datetime("us", "UTC")}
