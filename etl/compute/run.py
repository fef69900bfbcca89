"""Run the steps of computed datasets: what is new or changed, over any executor.

A partition is as it should be while its ledger line names the content its inputs have now, the
version of its step and what it was told; all others are computed again. What is to be computed is
written into the ledger first, so that a run killed a moment later does not read COMPLETE.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, field
from functools import partial

import polars as pl
import pyarrow as pa

from etl import workers
from etl.dataset import Computed, Held, Made, Task
from etl.errors import EtlError, UsageError
from etl.instruments.record import Listing
from etl.progress import Progress
from lake.arrow import arrow
from lake.errors import CorruptFileError, MissingColumnError
from lake.ledger import Input, Record, records, write_record
from lake.lock import Wait, locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content, publish, tidy
from lake.read import checksum, read_table, scan_files
from lake.span import Span
from lake.store.place import Place
from validators import contract

logger = logging.getLogger(__name__)

ROWS_A_SECOND = 1_000_000  # of inputs, on one core


@dataclass(slots=True)
class ComputeReport:
    """What a computation did."""

    rows: int = 0
    computed: int = 0
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: "ComputeReport") -> None:
        """Count what another computation did, too."""
        self.rows += other.rows
        self.computed += other.computed
        self.unchanged += other.unchanged
        self.notes += other.notes


@dataclass(frozen=True, slots=True)
class Ask:
    """What of a dataset is asked for; `anew` though the ledger says it is as it should be."""

    parts: Sequence[str] = ()
    _: KW_ONLY
    span: Span | None = None
    partitions: Collection[Partition] | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    anew: bool = False
    by_name: bool = False  # it is then an error if there is nothing to make it from
    source: str = ""  # the command that brings what it is made from first of all
    workers: int | None = None
    wait: Wait = False


def held_of(lake: Lake, names: Iterable[str]) -> dict[Partition, Record]:
    """Return what the ledger says of some datasets."""
    return {one: record for name in dict.fromkeys(names) for one, record in records(lake, name)}


def tasks_of(
    dataset: Computed, held: Held, listing: Listing, options: Mapping[str, float] | None = None
) -> list[Task]:
    """Return all that can be made of a dataset from what is held."""
    inputs = {one: record for one, record in held.items() if one.dataset in dataset.inputs}
    return list(dataset.tasks(inputs, listing, options_of(dataset, options)))


def options_of(dataset: Computed, options: Mapping[str, float] | None) -> dict[str, float]:
    """Return all options of a dataset: those that are given, and what holds for the others."""
    return {name: (options or {}).get(name, value) for name, value in dataset.options.items()}


def as_told(
    lake: Lake, dataset: Computed, listing: Listing
) -> list[tuple[dict[str, float], list[str]]]:
    """Return the options of a dataset and the parts they hold for: of each, what it was last told.

    Whoever chose options for a part has them kept where it is made unasked.
    """
    held = held_of(lake, [*dataset.inputs, dataset.name])
    told = {
        task.partition.part: options_of(dataset, None) for task in tasks_of(dataset, held, listing)
    }
    for one in sorted(held):
        if one.dataset == dataset.name and held[one].version and one.part in told:
            told[one.part] = options_of(dataset, held[one].options)
    parts: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for part, options in told.items():
        parts.setdefault(tuple(options.items()), []).append(part)
    return [(dict(options), some) for options, some in parts.items()]


def is_fresh(dataset: Computed, task: Task, held: Held) -> bool:
    """Whether the ledger says a partition was made from what its inputs hold now."""
    record = held.get(task.partition)
    return (
        record is not None
        and record.version == dataset.version
        and record.terms == task.digest
        and record.inputs == task.made_from(held)
    )


def compute(
    lake: Lake,
    dataset: Computed,
    listing: Listing,
    progress: Progress,
    ask: Ask | None = None,
    *,
    pool: Executor | None = None,
) -> ComputeReport:
    """Publish what of a dataset is new or changed, and return what that took.

    Work goes to `pool` where there is one, else to processes of this machine.

    Raises
    ------
    UsageError
        If there is nothing to make a part of it from.
    PartitionBusyError
        If another process publishes one of the partitions, and the ask does not wait.
    EtlError
        If an input is gone.
    """
    ask = ask or Ask()
    held = held_of(lake, [*dataset.inputs, dataset.name])
    chosen = _chosen(dataset, tasks_of(dataset, held, listing, ask.options), ask)
    files = {*lake.files(dataset.name)}
    todo = [task for task in chosen if ask.anew or not _is_done(lake, dataset, task, held, files)]
    notes = list(dict.fromkeys(note for task in chosen for note in task.notes))
    report = ComputeReport(unchanged=len(chosen) - len(todo), notes=notes)
    _announce(lake, [task.partition for task in todo], held, wait=ask.wait)
    calls = [
        partial(run_group, lake, dataset, group, _inputs(group, held), ask=ask)
        for group in _groups(todo)
    ]
    for group in _groups(todo):
        progress.expect(group[0].group, 1)
    seconds = sum(one.rows for one in _inputs(todo, held).values()) / ROWS_A_SECOND
    here = workers.executor(ask.workers, len(calls), seconds)
    with here if pool is None else nullcontext(pool) as used:
        for name, rows in workers.done(used, calls):
            report.computed += len(rows)
            report.rows += sum(rows)
            words = "%s, %s: %d rows in %d partitions"
            logger.info(words, dataset.name, name, sum(rows), len(rows))
            progress.advance(name)
    return report


def run_group(
    lake: Lake,
    dataset: Computed,
    tasks: Sequence[Task],
    held: Held,
    *,
    ask: Ask,
) -> tuple[str, list[int]]:
    """Compute and publish the tasks of one group; return its name and the rows of each."""
    rows, options = [], options_of(dataset, ask.options)
    for task, made in dataset.step(Reader(lake, held), held, tasks):
        content = _content(dataset, task, made, task.made_from(held), options)
        with locked(lake, [task.partition], wait=ask.wait):
            tidy(lake, task.partition)
            publish(lake, task.partition, content, anew=ask.anew)
        rows.append(content.record.rows)
    return tasks[0].group, rows


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the published files of inputs."""

    lake: Lake
    held: Held

    def __call__(
        self,
        partition: Partition,
        columns: Sequence[str],
        since_ms: int | None = None,
        *,
        coded: Sequence[str] = (),
    ) -> pa.Table:
        """Return some columns of a partition, or of its rows from a moment on.

        Strings that are `coded` come as one dictionary, and codes.

        Raises
        ------
        EtlError
            If its file is gone.
        """
        record = self.held[partition]
        path = self.lake.published(record.top, partition)
        try:
            if since_ms is not None and since_ms > (record.first_ms or 0):
                return _tail(path, columns, since_ms, coded=coded)
            return read_table(path, columns, coded=coded)
        except CorruptFileError as error:
            if path.is_file():
                raise
            message = f"{path} is gone: run `deribit-lake replay --dataset {partition.dataset}`"
            raise EtlError(message) from error


def _tail(path: Place, columns: Sequence[str], since_ms: int, *, coded: Sequence[str]) -> pa.Table:
    """Return the last rows of a file without reading those before their row group."""
    since = pl.lit(since_ms * 1000).cast(pl.Datetime("us", "UTC"))
    try:
        held = scan_files([path])
        for name in {*columns} - {*held.collect_schema()}:
            raise MissingColumnError(path, name)
        table = arrow(held.filter(pl.col("timestamp") >= since).select(columns).collect())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptFileError(path, error) from error
    for name in coded:
        texts = table[name].combine_chunks().dictionary_encode()
        table = table.set_column(table.column_names.index(name), name, texts)
    return table


def _content(
    dataset: Computed,
    task: Task,
    made: Made,
    inputs: tuple[Input, ...],
    options: dict[str, float],
) -> Content:
    named = [name for name, dtype in made.rows.schema.items() if isinstance(dtype, pl.Enum)]
    split = contract.split(made.rows.with_columns(pl.col(named).cast(pl.String)), dataset.model)
    table = arrow(split.valid)
    first, last = _bounds_ms(split.valid)
    record = Record(
        wanted=tuple(made.wanted),
        rows=table.num_rows,
        first_ms=first,
        last_ms=last,
        checksum=checksum(table) if table.num_rows else None,
        quarantined=len(split.rejected),
        gaps=tuple(made.gaps),
        inputs=inputs,
        version=dataset.version,
        terms=task.digest,
        options=options,
    )
    return Content(
        record,
        table,
        arrow(split.rejected),
        layout=contract.layout_of(dataset.model),
    )


def _bounds_ms(rows: pl.DataFrame) -> tuple[int | None, int | None]:
    ms = pl.col("timestamp").dt.epoch("ms")
    first, last = rows.select(ms.min().alias("first"), ms.max().alias("last")).row(0)
    return first, last


def _is_done(
    lake: Lake, dataset: Computed, task: Task, held: Held, files: Collection[Place]
) -> bool:
    if not is_fresh(dataset, task, held):
        return False
    return not held[task.partition].rows or lake.derived(task.partition) in files


def _chosen(dataset: Computed, there: Sequence[Task], ask: Ask) -> list[Task]:
    """Return the tasks that are asked for.

    Raises
    ------
    UsageError
        If the dataset is asked for by name, and there is nothing to make it, or a part, from.
    """
    parts = dict.fromkeys(task.partition.part for task in there)
    if ask.by_name and not there:
        source = ask.source or dataset.inputs[0]
        message = f"nothing is held to make {dataset.name} from: run {source}"
        raise UsageError(message)
    for part in ask.parts:
        if ask.by_name and part not in parts:
            made_from, known = ", ".join(dataset.inputs), ", ".join(parts) or "none"
            message = f"nothing is held to make {dataset.name} of {part} from ({made_from}); "
            raise UsageError(message + f"there are: {known}")
    return [task for task in there if _is_chosen(task.partition, ask)]


def _is_chosen(one: Partition, ask: Ask) -> bool:
    is_part = not ask.parts or one.part in ask.parts
    is_named = ask.partitions is None or one in ask.partitions
    return is_part and is_named and (ask.span is None or one.span.meets(ask.span))


def _groups(todo: Sequence[Task]) -> list[list[Task]]:
    """Return the tasks by group, in order."""
    groups: dict[str, list[Task]] = {}
    for task in todo:
        groups.setdefault(task.group, []).append(task)
    return list(groups.values())


def _inputs(tasks: Sequence[Task], held: Held) -> Held:
    """Return what the ledger says of the inputs of some tasks: a worker is told no more."""
    return {one: held[one] for task in tasks for one in task.inputs}


def _announce(lake: Lake, partitions: Sequence[Partition], held: Held, *, wait: Wait) -> None:
    """Write down what is to be computed, where nothing is said of it yet."""
    for one in partitions:
        if one not in held:
            with locked(lake, [one], wait=wait):
                write_record(lake, one, Record(wanted=(one.span,), inputs=()))
