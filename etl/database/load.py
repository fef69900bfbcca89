"""Load the lake into TimescaleDB: what changed, in bounded transactions, by COPY.

The database keeps a ledger of its own, a content checksum per subject and month. A file whose
checksum in the lake is the one it was loaded from is not even read; a month that is new is
appended as it is; of a month that changed exactly the rows that differ are sent again. Every step
is one transaction with its lines of the ledger, and with the hourly and daily candles of its rows.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.database.connection import connect, database_errors, transaction
from etl.database.file import File, read_ahead
from etl.database.ledger import Held, held_by_file
from etl.database.locks import empty_tables
from etl.database.parts import Entry, batches, check_has_table, loadable, strays
from etl.database.report import LoadReport
from etl.database.revise import allow_compressed
from etl.database.schema import check_schema
from etl.database.send import load_file, start
from etl.dataset import Dataset
from etl.errors import LoaderBusyError
from etl.progress import Progress
from lake.partition import Partition
from lake.paths import LEDGER, TOPS, Lake
from lake.span import Span

logger = logging.getLogger(__name__)

LOCK = 0x64657269  # "deri": one loader at a time per database


def load(  # noqa: PLR0913  (the options of one command)
    settings: Settings,
    lake: Lake,
    progress: Progress,
    *,
    datasets: Sequence[Dataset] | None = None,
    parts: Sequence[str] | None = None,
    span: Span | None = None,
    full: bool = False,
    anew: bool = False,
) -> LoadReport:
    """Bring the database up to the lake and return what that took.

    Parameters
    ----------
    datasets
        Without any, all that have a table.
    parts
        Instruments, indices or underlyings; None for all.
    span
        Only months it reaches into. What has no months is left out.
    full
        Compare every row again, whatever the ledger of the database says.
    anew
        Empty the tables of the datasets first.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, is not what the schema says, or refuses a step.
    LoadError
        If another load is running, or a file of the lake is not what its ledger says.
    """
    started, report = time.monotonic(), LoadReport()
    datasets = loadable() if datasets is None else datasets
    lake = lake.listed(*TOPS, LEDGER)  # rows come before their line
    there = [batch for one in datasets for batch in batches(lake, one)]
    chosen = [batch for batch in there if parts is None or batch.partition.part in parts]
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        allow_compressed(connection)
        with _only_loader(connection):
            sent: set[Entry] = set()
            for one in datasets:
                batches_of = [batch for batch in chosen if batch.dataset is one]
                files = [File(connection, batch, {}, span, full) for batch in batches_of]
                sent |= start(connection, one, files, report, progress, anew=anew)
            held = held_by_file(connection)
            files = [
                File(connection, one, held.get(one.partition, {}), span, full, sent)
                for one in chosen
            ]
            changed = [file for file in files if file.is_due]
            report.months_unchanged += _own_lines(files) - _own_lines(changed)
            for file in changed:
                progress.expect(file.batch.partition.part, 1)
            for file, contents in read_ahead(changed):
                load_file(file, contents, report)
                progress.advance(file.batch.partition.part)
            names = [one.name for one in datasets]
            report.notes += _strangers(held, {batch.partition for batch in there}, names)
    for one in datasets:
        report.notes += strays(lake, one, [batch for batch in there if batch.dataset is one])
    report.seconds = time.monotonic() - started
    return report


def check_loadable(settings: Settings, dataset: Dataset) -> None:
    """Refuse, before a long backfill, what could not be loaded after it.

    Raises
    ------
    UsageError
        If the dataset has no table: other resolutions than one minute are never loaded.
    DatabaseError
        If the database cannot be reached or is not what the schema says.
    """
    check_has_table(dataset)
    with database_errors(), connect(settings) as connection:
        check_schema(connection)


def empty(settings: Settings, datasets: Sequence[Dataset]) -> None:
    """Empty the tables and forget what was loaded, in one transaction: `load` then loads all.

    Raises
    ------
    DatabaseError, LoadError
        As `load`.
    """
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        with _only_loader(connection), transaction(connection):
            for one in datasets:
                empty_tables(connection, one)


def _own_lines(files: Iterable[File]) -> int:
    return sum(len(file.own(file.held.keys() - file.sent)) for file in files)


def _strangers(
    held: Mapping[Partition, Mapping[Entry, Held]],
    known: Collection[Partition],
    datasets: Collection[str],
) -> list[str]:
    """Name what the database holds and this lake has never heard of: it is left alone."""
    return [
        f"the database holds {one}, which this lake does not know"
        for one in sorted(held)
        if one.dataset in datasets and one not in known
        if not all(line.is_live for line in held[one].values())
    ]


@contextmanager
def _only_loader(connection: Connection) -> Iterator[None]:
    """Hold the lock one loader at a time has; it ends with the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock($1)", (LOCK,))
        if cursor.fetchone() != (True,):
            cursor.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1", (LOCK,)
            )
            (pid,) = cursor.fetchone() or ("unknown",)
            message = f"another load is running: server process {pid} holds the loader's lock"
            raise LoaderBusyError(message)
    connection.commit()
    yield
