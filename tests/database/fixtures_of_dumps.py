"""Fixtures of dumps: a loaded database's dump, and a name to restore it to."""

import pytest

from etl.database.dsn import with_database
from etl.database.dump import dump
from tests.database.dumping import AGAIN, throwaway


@pytest.fixture
def again(server):
    with throwaway(server, AGAIN) as name:
        yield server.model_copy(update={"dsn": with_database(server.dsn, name)})


@pytest.fixture
def made(loaded, tmp_path):
    """Return the path of a dump of a loaded database."""
    dump(loaded.dsn, tmp_path / "db.dump")
    return tmp_path / "db.dump"
