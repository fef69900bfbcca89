"""A server that compresses (TimescaleDB's community edition): reload, revision, sizes.

Needs one that may be thrown away, by ``DERIBIT_LAKE_TEST_DSN`` (docs/database.md says how to get
one). ``python -m benchmarks.community [COMMIT]`` holds this build against another, in the same run:
both put the same candles into an empty database and end with them compressed and their key in
force; and both follow a revision of one day, once it is compressed. Below, this build follows one
in what is compressed and in what is not, in turn.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adbc_driver_manager import dbapi

from benchmarks.builds import OTHER, ROOT, checkout, environment, lake_of
from benchmarks.history import TABLE
from benchmarks.machine import show
from etl.config import Settings
from etl.database.connection import connect, execute_script, fetch
from etl.database.dsn import with_database

GIVEN = "DERIBIT_LAKE_TEST_DSN"
ROUNDS = 3
COMPRESS = "SELECT count(compress_chunk(chunk, true)) FROM show_chunks('{table}', {old}) AS chunk"
OLD = "older_than => INTERVAL '60 days'"
CHUNKS = (
    "SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks"
    " WHERE hypertable_name = '{table}'"
)
REVISE = """
import sys
from pathlib import Path
from benchmarks.load import with_a_day_revised
from etl.config import load_settings
with_a_day_revised(load_settings(root=Path(sys.argv[1])), back=len(sys.argv) > 2)
"""
AGAIN = "INSERT INTO {table} SELECT * FROM {table} WHERE timestamp = '2021-05-19 10:00Z'"


@dataclass(frozen=True)
class Side:
    """One build with a lake and a database of its own."""

    code: Path
    database: Settings

    def command(self, *words: str) -> float:
        """Return how long a command takes, as a process [s]."""
        places = ("--lake", str(self.database.root), "--dsn", str(self.database.dsn))
        return self.python("-m", "cli", *places, *words)

    def python(self, *words: str) -> float:
        """Return how long a process of its code takes [s]."""
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *words],
            cwd=self.code,
            env=environment(self.code, self.database.root.parent),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - started

    def compress(self, table: str = TABLE, old: str = OLD) -> float:
        """Return how long it takes to compress what is old and is not [s]."""
        started = time.perf_counter()
        self.fetch(COMPRESS.format(table=table, old=old))
        return time.perf_counter() - started

    def fetch(self, sql: str) -> list[tuple[object, ...]]:
        """Return the answer to a statement."""
        with connect(self.database, autocommit=True) as connection:
            execute_script(connection, "SET client_min_messages = 'error'")
            return fetch(connection, sql)


def main() -> None:
    """Print the table."""
    if GIVEN not in os.environ:
        sys.exit(f"name a community server that may be thrown away by {GIVEN}")
    other = sys.argv[1] if len(sys.argv) > 1 else OTHER
    with checkout(other) as code, _sides(code, lake_of(code, other)) as sides:
        rows = {
            "reload, to compressed with its key": _reloads(sides),
            "load of a revised day, compressed": _revisions(sides),
        }
        compressed, plain = _in_and_out(sides[1])
    show(
        f"every minute of two perpetuals: {other} and this build in turn, the least of each",
        ("whole process", f"{other} s", "this build s", "ratio"),
        [
            (name, f"{old:.2f}", f"{new:.2f}", f"{old / new:.1f}")
            for name, (old, new) in rows.items()
        ],
    )
    show(
        "load of a revised day, this build, the least of each",
        ("compressed s", "not compressed s", "ratio"),
        [(f"{compressed:.2f}", f"{plain:.2f}", f"{compressed / plain:.2f}")],
    )


@contextmanager
def _sides(code: Path, lake: Path) -> Iterator[list[Side]]:
    """Yield both builds, each with a copy of the lake and a database that is dropped in the end."""
    server = Settings(dsn=os.environ[GIVEN])
    with (
        tempfile.TemporaryDirectory(prefix="deribit-lake-") as scratch,
        connect(server, autocommit=True) as connection,
    ):
        names = [f"deribit_bench_{os.getpid()}_{number}" for number in range(2)]
        try:
            yield [
                _side(connection, path, lake, Path(scratch), server, name)
                for path, name in zip((code, ROOT), names, strict=True)
            ]
        finally:
            for name in names:
                execute_script(connection, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _side(
    connection: dbapi.Connection,
    code: Path,
    lake: Path,
    scratch: Path,
    server: Settings,
    name: str,
) -> Side:
    execute_script(connection, f"CREATE DATABASE {name}")
    root = scratch / name / "lake"
    shutil.copytree(lake, root)
    dsn = with_database(str(server.dsn), name)
    side = Side(code, server.model_copy(update={"dsn": dsn, "root": root}))
    side.command("replay", "--dataset", "funding_rates")  # brings the lake to the build's format
    side.command("db", "init")
    return side


def _reloads(sides: list[Side]) -> tuple[float, float]:
    """Return the least time each takes to put all rows there anew, compressed, the key in force."""
    words = ("reload", "--dataset", TABLE)
    took = [[side.command(*words) + side.compress() for side in sides] for _ in range(ROUNDS)]
    old, new = (side.fetch(CHUNKS.format(table=TABLE)) for side in sides)
    if old != new:
        sys.exit(f"chunks compressed, and all: {old} and {new}")
    for side in sides:
        _check_key(side)
    return min(old for old, _ in took), min(new for _, new in took)


def _check_key(side: Side) -> None:
    """End where a table takes a row twice."""
    try:
        side.fetch(AGAIN.format(table=TABLE))
    except dbapi.Error as error:
        if "duplicate key" not in str(error):
            raise
        return
    sys.exit(f"{side.code} took a row twice")


def _revisions(sides: list[Side]) -> tuple[float, float]:
    """Return how long each takes to follow a day that was revised in what is compressed."""
    for side in sides:
        side.python("-c", REVISE, str(side.database.root))
    old, new = (side.command("load", "--dataset", TABLE) for side in sides)
    return old, new


def _in_and_out(side: Side) -> tuple[float, float]:
    """Return the least time a revised day takes in compressed chunks, and in others."""
    took = []
    for _ in range(ROUNDS):
        side.compress()
        side.python("-c", REVISE, str(side.database.root), "back")
        compressed = side.command("load", "--dataset", TABLE)
        side.fetch(
            COMPRESS.replace("compress_chunk(", "decompress_chunk(").format(table=TABLE, old=OLD)
        )
        side.python("-c", REVISE, str(side.database.root))
        took.append((compressed, side.command("load", "--dataset", TABLE)))
    return min(one for one, _ in took), min(other for _, other in took)


if __name__ == "__main__":
    main()
