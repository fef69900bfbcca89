"""Send the rows of a file: into an empty table, behind what is there, or in its place."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.database.behind import joined, rows_behind, start_behind
from etl.database.connection import transaction
from etl.database.file import Contents, File, read_ahead
from etl.database.fill import Keyed, Order, fillable, without_key
from etl.database.ledger import Held, is_live, note_live
from etl.database.locks import empty_tables, is_empty, lock_rows, take_empty, take_turn
from etl.database.months import is_touched, month_bounds
from etl.database.parts import NO_MONTH, Entry, models_of, schema_of
from etl.database.read import SCOPE
from etl.database.report import LoadReport
from etl.database.revise import Differences, revise
from etl.database.tables import table_of
from etl.dataset import Dataset
from etl.progress import Progress
from lake.read import checksum


def start(
    connection: Connection,
    dataset: Dataset,
    files: Sequence[File],
    report: LoadReport,
    progress: Progress,
    *,
    anew: bool,
) -> set[Entry]:
    """Empty a table that is loaded anew; fill an empty one where the server compresses rows.

    Returns
    -------
    set of Entry
        What was sent.
    """
    with transaction(connection):
        keyed = fillable(connection, dataset) if files else None
        old = [file for file in files if keyed and keyed.begins_in(file.batch.partition.span)]
        may_fill = keyed is not None and bool(old) and (anew or is_empty(connection, keyed.table))
    with transaction(connection):
        if anew:
            empty_tables(connection, dataset)
        if keyed and may_fill and (anew or take_empty(connection, dataset)):
            return _fill(keyed, old, report, progress)
    return set()


def _fill(
    keyed: Keyed, files: Sequence[File], report: LoadReport, progress: Progress
) -> set[Entry]:
    order, sent = Order(keyed.table), set[Entry]()
    for file in files:
        progress.expect(file.batch.partition.part, 1)
    with without_key(files[0].connection, keyed):
        for file, contents in read_ahead(files):
            chosen = [
                entry
                for entry in sorted(contents.parts)
                if keyed.takes(entry) and is_touched(entry.month, file.span)
            ]
            if chosen:
                order.prove({entry: contents.parts[entry] for entry in file.own(chosen)})
                _ingest(file, chosen, contents, report)
                sent.update(chosen)
            progress.advance(file.batch.partition.part)
    return sent


def load_file(file: File, contents: Contents, report: LoadReport) -> None:
    """Send what a file has that the database has not, or has otherwise, month by month."""
    parts, sums = contents.parts, contents.sums
    models = models_of(file.batch.dataset)
    for entry in file.held:
        if entry._replace(table=file.name) not in parts:
            parts[entry], sums[entry] = schema_of(models[entry.table]).empty_table(), ""
    chosen = sorted(
        entry for entry in parts.keys() - file.sent if is_touched(entry.month, file.span)
    )
    changed = [
        entry for entry in chosen if file.full or _differs(file.held.get(entry), sums[entry])
    ]
    fresh = [entry for entry in changed if _is_appendable(entry, file, sums)]
    report.months_unchanged += len(file.own(chosen)) - len(file.own(changed))
    if fresh and not _append(file, fresh, contents, report):
        fresh = []
    _revise(file, sorted(set(changed) - set(fresh)), contents, report)
    touched = {one for one in file.held if is_touched(one.month, file.span)}
    same = {one: file.held[one] for one in touched - set(changed)}
    with transaction(file.connection) as connection:
        take_turn(connection)
        file.confirm({one: held for one, held in same.items() if not held.is_live})


def _is_appendable(entry: Entry, file: File, sums: Mapping[Entry, str]) -> bool:
    """Whether rows are new and can be sent as they are: JSON is read by the server, from a copy."""
    return entry.month != NO_MONTH and entry not in file.held and sums[entry] != ""


def _append(file: File, fresh: list[Entry], contents: Contents, report: LoadReport) -> bool:
    """Append months the tables hold nothing of, and say whether that was so."""
    with transaction(file.connection) as connection:
        lock_rows(connection, file.batch.dataset)
        if any(_overlaps(connection, file, months) for months in _by_series(fresh)):
            return False
        _ingest(file, fresh, contents, report)
    return True


def _by_series(entries: list[Entry]) -> list[list[Entry]]:
    """Return months, which are sorted, by the table and subject they are of."""
    return [list(some) for _, some in groupby(entries, key=itemgetter(0, 1))]


def _overlaps(connection: Connection, file: File, months: list[Entry]) -> bool:
    """Whether a table holds anything of a subject between its first month and its last."""
    table = table_of(models_of(file.batch.dataset)[months[0].table])
    bounds = (month_bounds(months[0].month)[0], month_bounds(months[-1].month)[1])
    scope = SCOPE.format(subject=table.subject)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {table.path} AS held WHERE {scope})",  # noqa: S608  (ours)
            (months[0].subject, *bounds),
        )
        return bool(cursor.fetchone() == (True,))


def _ingest(file: File, entries: list[Entry], contents: Contents, report: LoadReport) -> None:
    """Copy months into their tables, with their lines of the ledger."""
    with file.connection.cursor() as cursor:
        for name, model in models_of(file.batch.dataset).items():
            parts = [contents.parts[entry] for entry in entries if entry.table == name]
            if parts:
                table, rows = table_of(model), pa.concat_tables(parts)
                cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=table.schema)
                report.count(Differences(rows.num_rows, 0, 0), is_own=name == file.name)
    file.note({entry: contents.parts[entry].num_rows for entry in entries}, contents.sums)
    report.months_loaded += len(file.own(entries))


def _revise(file: File, changed: list[Entry], contents: Contents, report: LoadReport) -> None:
    """Make the tables hold what the lake has of some months, and live rows, each with its bars."""
    months = [list(some) for _, some in groupby(sorted(changed, key=_month), key=_month)]
    for entries in months:
        with transaction(file.connection) as connection:
            lock_rows(connection, file.batch.dataset)
            own = entries[0]._replace(table=file.name)
            if is_live(connection, own):
                _put_beside(file, own, contents.parts, report)
            else:
                _put(file, {one: contents.parts[one] for one in entries}, contents.sums, report)
        report.months_loaded += len(file.own(entries))


def _put(
    file: File, parts: Mapping[Entry, pa.Table], sums: Mapping[Entry, str], report: LoadReport
) -> None:
    """Make the tables hold exactly some parts of a month, in the open transaction."""
    models = models_of(file.batch.dataset)
    for entry, part in parts.items():
        found = revise(file.connection, table_of(models[entry.table]), entry, part)
        report.count(found, is_own=entry.table == file.name)
    file.note({entry: part.num_rows for entry, part in parts.items()}, sums)


def _put_beside(
    file: File, own: Entry, months: Mapping[Entry, pa.Table], report: LoadReport
) -> None:
    """Make the tables hold a month of the lake, and the live rows behind it."""
    start = start_behind(file.batch, months)
    live = rows_behind(file.connection, file.batch.dataset, own, start)
    parts = joined(file.batch.dataset, own, months.get(own), live)
    sums = {entry: checksum(part) if part.num_rows else "" for entry, part in parts.items()}
    _put(file, parts, sums, report)
    if live.num_rows:
        note_live(file.connection, parts)
        report.live += live.num_rows


def _month(entry: Entry) -> tuple[object, ...]:
    return entry.subject, entry.month


def _differs(held: Held | None, total: str) -> bool:
    return held is None or held.is_live or held.checksum != total
