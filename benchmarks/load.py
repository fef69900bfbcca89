"""How fast the lake gets into TimescaleDB, beside psql's COPY of the same rows, in the same run."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from benchmarks.history import INSTRUMENT, TABLE, full_lake
from benchmarks.machine import show
from etl.config import Settings
from etl.database import migrate
from etl.database.connection import connect, execute_script, psql_call
from etl.database.dsn import with_database
from etl.database.load import load
from etl.database.server import down, up
from etl.database.verify import verify_database
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import read_record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.write import publish_table

COLUMNS = "timestamp, instrument, open, high, low, close, volume, cost"
ROUNDS = 2
UPSERT = (
    f"CREATE TEMP TABLE staged (LIKE {TABLE});\n\\copy staged FROM '{{file}}' (FORMAT binary)\n"
    f"INSERT INTO {TABLE} SELECT * FROM staged ON CONFLICT (instrument, timestamp) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in COLUMNS.split(", ")[2:])
)


@dataclass(frozen=True)
class Bench:
    """A server, a template of an empty database, and the rows as files."""

    server: Settings
    folder: Path

    def fresh(self, name: str) -> Settings:
        """Return settings of a new database with the schema and nothing in it."""
        with connect(self.server, autocommit=True) as connection:
            execute_script(connection, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            execute_script(connection, f"CREATE DATABASE {name}")
        made = self.named(name)
        with connect(made) as connection:
            migrate.init(connection)
        return made

    def named(self, name: str) -> Settings:
        """Return settings of a database of the server."""
        return self.server.model_copy(update={"dsn": with_database(self.server.dsn or "", name)})

    def drop(self, name: str) -> None:
        """Delete a database: the disk is wanted again."""
        with connect(self.server, autocommit=True) as connection:
            execute_script(connection, f"DROP DATABASE {name} WITH (FORCE)")


def main() -> None:
    """Print the tables."""
    lake = full_lake()
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            dsn = up(folder / "db").dsn
            bench = Bench(lake.model_copy(update={"dsn": dsn}), folder)
            measure(bench)
        finally:
            down(folder / "db")


def measure(bench: Bench) -> None:
    """Load the same rows in every way, the reference and ours in turn, and print what came."""
    loaded = bench.fresh("loaded")
    rows = load(loaded, Lake(loaded.root), LogProgress()).inserted
    files = {form: bench.folder / f"rows.{form}" for form in ("binary", "csv")}
    ordered = f"SELECT {COLUMNS} FROM {TABLE} ORDER BY instrument, timestamp"
    for form, file in files.items():
        psql(loaded, f"\\copy ({ordered}) TO '{file}' (FORMAT {form})")
    ways: dict[str, Callable[[Settings], object]] = {
        "psql COPY BINARY (reference)": lambda to: psql(
            to, f"\\copy {TABLE} ({COLUMNS}) FROM '{files['binary']}' (FORMAT binary)"
        ),
        "deribit-lake load": lambda to: load(to, Lake(to.root), LogProgress()),
        "psql COPY CSV": lambda to: psql(
            to, f"\\copy {TABLE} ({COLUMNS}) FROM '{files['csv']}' (FORMAT csv)"
        ),
        "COPY to a staging table, upsert": lambda to: psql(to, UPSERT.format(file=files["binary"])),
    }
    seconds: dict[str, float] = {}
    for turn in range(ROUNDS):
        for way, task in ways.items():
            if turn == 0 or way in list(ways)[:2]:
                took = timed(bench, task)
                seconds[way] = min(seconds.get(way, took), took)
    reference = seconds["psql COPY BINARY (reference)"]
    show(
        f"{rows:,} candles of {INSTRUMENT} into an empty database, fsync on",
        ("way", "s", "krows/s", "of the reference"),
        [
            (way, f"{took:.1f}", f"{rows / took / 1e3:,.0f}", f"{reference / took:.0%}")
            for way, took in seconds.items()
        ],
    )
    later(loaded)


def later(loaded: Settings) -> None:
    """Print what it takes to find nothing to do, to follow a revision, and to verify it all."""
    unchanged = load(loaded, Lake(loaded.root), LogProgress())
    revised = with_a_day_revised(loaded)
    try:
        revision = load(revised, Lake(revised.root), LogProgress())
        started = time.perf_counter()
        compared, differences = verify_database(revised, Lake(revised.root))
        verifying = time.perf_counter() - started
    finally:
        with_a_day_revised(loaded, back=True)
    show(
        "once it is loaded",
        ("what", "rows touched", "s"),
        [
            ("load, nothing changed", f"{touched(unchanged):,}", f"{unchanged.seconds:.2f}"),
            ("load, one day revised", f"{touched(revision):,}", f"{revision.seconds:.2f}"),
            (f"verify-db, {len(differences)} differences", f"{compared:,}", f"{verifying:.1f}"),
        ],
    )


def touched(done: object) -> int:
    """Return the rows a load inserted, updated or deleted."""
    return sum(getattr(done, name) for name in ("inserted", "updated", "deleted"))


def with_a_day_revised(settings: Settings, *, back: bool = False) -> Settings:
    """Move the closes of a day in the lake by a tenth of a tick, or back."""
    lake, partition = Lake(settings.root), Partition(TABLE, INSTRUMENT, "2021")
    frame = pl.read_parquet(lake.clean(partition))
    is_day = pl.col("timestamp").dt.date() == pl.date(2021, 5, 19)
    moved = pl.col("close") + pl.when(is_day).then(-0.0625 if back else 0.0625).otherwise(0.0)
    table = arrow(frame.with_columns(moved.alias("close")))
    record = read_record(lake, partition)
    if record is None:
        message = f"no ledger of {partition}"
        raise RuntimeError(message)
    publish_table(table, lake.clean(partition))
    write_record(lake, partition, msgspec.structs.replace(record, checksum=checksum(table)))
    return settings


def timed(bench: Bench, task: Callable[[Settings], object]) -> float:
    """Return how long a task takes on a database of its own [s]."""
    database = bench.fresh("timed")
    started = time.perf_counter()
    task(database)
    took = time.perf_counter() - started
    bench.drop("timed")
    return took


def psql(settings: Settings, script: str) -> None:
    """Run a script of psql's, to its end or to its first error."""
    _, words, environment = psql_call(settings)
    words += ["-q", "-1", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(words, input=script, text=True, env=environment, check=True)


if __name__ == "__main__":
    main()
