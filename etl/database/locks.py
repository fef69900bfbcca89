"""Locks taken before anything is read: who reads first and writes then waits in a circle.

A compression keeps writers of its chunk out, and in the end readers, too. A transaction that has
read the chunk before, and now wants to write, would wait for the compression as that does for it.
"""

from adbc_driver_postgresql.dbapi import Connection

from etl.database.ledger import forget
from etl.database.parts import models_of
from etl.database.tables import Table, table_of
from etl.dataset import Dataset

TURN = 0x7475726E  # "turn": loader and micro-batches write by turns, a transaction each


def take_turn(connection: Connection) -> None:
    """Wait, in the open transaction, until no other writer of ours is in one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock($1)", (TURN,))


def lock_rows(connection: Connection, dataset: Dataset) -> None:
    """Wait, in the open transaction, until nobody keeps writers out of a dataset's tables."""
    _lock(connection, dataset, "ROW EXCLUSIVE")


def empty_tables(connection: Connection, dataset: Dataset) -> None:
    """Empty the tables a dataset fills and forget what was loaded, in the open transaction."""
    take_turn(connection)
    with connection.cursor() as cursor:
        for name, table in _tables(dataset).items():
            cursor.execute(f"TRUNCATE {table.path}")
            forget(connection, name)


def take_empty(connection: Connection, dataset: Dataset) -> bool:
    """Keep everybody out of a dataset's tables if its own is empty, and say whether it is.

    What others were about to commit when it looked empty stays.
    """
    _lock(connection, dataset, "ACCESS EXCLUSIVE")
    if not is_empty(connection, table_of(dataset.model)):
        return False
    empty_tables(connection, dataset)
    return True


def is_empty(connection: Connection, table: Table) -> bool:
    """Whether a table has no row."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table.path})")  # noqa: S608  (our table)
        return bool(cursor.fetchone() == (False,))


def _lock(connection: Connection, dataset: Dataset, mode: str) -> None:
    take_turn(connection)
    paths = ", ".join(table.path for table in _tables(dataset).values())
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {paths} IN {mode} MODE")


def _tables(dataset: Dataset) -> dict[str, Table]:
    return {name: table_of(model) for name, model in models_of(dataset).items()}
