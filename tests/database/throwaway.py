"""A TimescaleDB of one test or benchmark, that may be stopped: its own server, with the schema."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.config import Settings
from etl.database import migrate
from etl.database.connection import connect
from etl.database.server import down, up

DSN = "DERIBIT_LAKE_DSN"


@contextmanager
def timescale() -> Iterator[Path]:
    """Start a server, tell processes begun here where it is, and yield its folder."""
    before = os.environ.get(DSN)
    with tempfile.TemporaryDirectory(prefix="deribit-lake-database-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server's user passes through
        try:
            os.environ[DSN] = up(folder / "db").dsn
            with connect(Settings(dsn=os.environ[DSN])) as connection:
                migrate.init(connection)
            yield folder / "db"
        finally:
            down(folder / "db")
            os.environ.pop(DSN)
            os.environ |= {} if before is None else {DSN: before}
