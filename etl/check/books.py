"""What one look at the lake's ledger and folders finds, and whether a line can be believed.

A line vouches for what it names: raw for what is fetched, the content of its inputs for what is
computed. Where either has moved on, nothing is known until the line is made again; and what is
made from something doubtful is doubtful.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from etl.backfill import seams
from etl.catalog import DATASETS, maker_of
from etl.compute.run import is_fresh, options_of, tasks_of
from etl.dataset import Computed, Fetched, Held, Snapshot, Task
from etl.instruments.lists import staged_listing
from etl.instruments.record import Listing
from lake import raw
from lake.ledger import Record, records
from lake.partition import Partition
from lake.paths import Lake, read_marker
from lake.store.place import Place

Subject = tuple[str, str]
"""A dataset and one of its parts."""


@dataclass
class Books:
    """What is held of one dataset, or of all, and of whatever that is made from."""

    lake: Lake
    dataset: str | None = None
    _doubts: dict[Partition, str] = field(default_factory=dict)
    _whole: dict[Partition, bool] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The datasets that are looked at."""
        return [self.dataset] if self.dataset else sorted({*DATASETS, *self.lake.datasets()})

    @cached_property
    def held(self) -> Held:
        """The ledger of the datasets looked at, and of all that they are made from."""
        if self.dataset is None:
            return dict(records(self.lake))
        return {
            one: record
            for name in _with_inputs(self.dataset)
            for one, record in records(self.lake, name)
        }

    @cached_property
    def copied(self) -> str:
        """Why nothing of a copy can be vouched for, empty where the lake is none of that kind."""
        marker = read_marker(self.lake)
        return marker.doubt if marker is not None else ""

    @cached_property
    def files(self) -> Mapping[Subject, list[Place]]:
        """The published files of every part, sorted, whoever vouches for them."""
        found: dict[Subject, list[Place]] = {}
        for name in self.names:
            for path in self.lake.files(name):
                found.setdefault((name, path.parent.name), []).append(path)
        return found

    @cached_property
    def by_subject(self) -> Mapping[Subject, list[Partition]]:
        """The partitions of every part, in order of time."""
        ordered = sorted(self.held)
        return {key: list(some) for key, some in groupby(ordered, key=_subject)}

    @cached_property
    def listing(self) -> Listing:
        """The instruments as last staged."""
        return staged_listing(self.lake)

    @cached_property
    def tasks(self) -> Mapping[Partition, Task]:
        """What can be made of the computed datasets that have a line, or should have one."""
        names = {one.dataset for one in self.held}
        return {
            task.partition: task
            for dataset in DATASETS.values()
            if isinstance(dataset, Computed)
            and (dataset.name in names or (dataset.follows and names & set(dataset.inputs)))
            for task in self._tasks(dataset)
        }

    def _tasks(self, dataset: Computed) -> Iterator[Task]:
        """Yield the tasks of a dataset, each told what its line was told."""
        told = {
            one: options_of(dataset, record.options)
            for one, record in self.held.items()
            if one.dataset == dataset.name
        }
        usual = options_of(dataset, None)
        for options in {tuple(each.items()): each for each in [usual, *told.values()]}.values():
            for task in tasks_of(dataset, self.held, self.listing, options):
                if told.get(task.partition, usual) == options:
                    yield task

    @cached_property
    def loose(self) -> set[Partition]:
        """The partitions whose numbers were not held against what lies before them now."""
        found: set[Partition] = set()
        for (name, _), parts in self.by_subject.items():
            if seams.is_numbered(DATASETS.get(name)):
                found |= {*seams.stale([(one, self.held[one]) for one in parts])}
        return found

    @cached_property
    def unfolded(self) -> list[Partition]:
        """The partitions of snapshots that were staged, and have no line yet."""
        return [
            one
            for name in self.names
            if isinstance(dataset := DATASETS.get(name), Snapshot) and dataset.segments
            for one in dataset.staged(self.lake)
            if one not in self.held
        ]

    def subjects(self) -> list[Subject]:
        """Return the parts that have a line or a file, or should have one, sorted."""
        known = {one for one in self.by_subject if self.dataset in {None, one[0]}}
        known |= self.files.keys() | {_subject(one) for one in self.unfolded}
        for name in self.names:
            known |= {_subject(one) for one in self.tasks if one.dataset == name and _is_due(one)}
        return sorted(known)

    def doubt(self, one: Partition) -> str:
        """Return why the ledger does not vouch for a partition, or nothing."""
        if one not in self._doubts:
            self._doubts[one] = next(filter(None, self._reasons(one)), "")
        return self._doubts[one]

    def missing(self, subject: Subject) -> str:
        """Return what should have been made of a part, and was not even begun, or nothing."""
        for one in self.unfolded:
            if _subject(one) == subject:
                return f"raw of {one.period} is not folded yet: run {_maker(one)} or replay"
        for one in self.tasks:
            if _subject(one) == subject and _is_due(one) and one not in self.held:
                return f"{one.period} is not computed yet: run {_compute(one)}"
        return ""

    def open(self) -> list[Partition]:
        """Return the partitions that are doubtful or not whole, what they are made from too."""
        return [one for one in self.held if self.doubt(one) or not self.is_whole(one)]

    def is_whole(self, one: Partition) -> bool:
        """Whether what is owed of a partition, or of what it is made from, is held or settled."""
        if one not in self._whole:
            self._whole[one] = self._is_whole(one)
        return self._whole[one]

    def _is_whole(self, one: Partition) -> bool:
        record, dataset = self.held[one], DATASETS.get(one.dataset)
        if not isinstance(dataset, Computed) or dataset.step_ms:
            return record.is_complete
        made_from = [each.partition for each in record.inputs or ()]
        return all(self.is_whole(each) for each in made_from if each in self.held)

    def _reasons(self, one: Partition) -> Iterator[str]:
        record, dataset = self.held[one], DATASETS.get(one.dataset)
        yield self.copied
        if isinstance(dataset, Computed):
            yield from self._reasons_of_computed(dataset, one, record)
        elif isinstance(dataset, Fetched):
            folder = dataset.raw_folder(self.lake, one)
            if record.segments != raw.segments(folder):
                yield f"raw of {one.period} is newer than the ledger: run backfill, heal or replay"
            elif one in self.loose:
                yield f"{one.period} was not held against what lies before: run backfill or replay"
        elif isinstance(dataset, Snapshot) and _is_behind(self.lake, dataset, one, record):
            yield f"raw of {one.period} is newer than the ledger: run {_maker(one)} or replay"
        path = self.lake.published(record.top, one)
        if record.rows and not path.exists():
            yield f"{path} is gone: run replay"

    def _reasons_of_computed(
        self, dataset: Computed, one: Partition, record: Record
    ) -> Iterator[str]:
        command = _compute(one, record.options)
        run = f"run {command}"
        if record.inputs is None:
            yield f"an older version made {one.period} and did not say from what: {run}"
        elif record.version == 0:
            yield f"{one.period} is not computed yet: {run}"
        elif one not in self.tasks:
            yield f"what {one.period} was made from is gone: run backfill, then {command}"
        elif not is_fresh(dataset, self.tasks[one], self.held):
            yield f"{self._newer(dataset, self.tasks[one], record)}: {run}"
        for each in record.inputs or ():
            if each.partition in self.held and (why := self.doubt(each.partition)):
                yield f"{each.partition} is UNKNOWN: {why}"

    def _newer(self, dataset: Computed, task: Task, record: Record) -> str:
        """Return what has changed since a partition was computed."""
        if record.version != dataset.version:
            return f"{task.partition.period} was made by another version of its step"
        before = {each.partition: each for each in record.inputs or ()}
        for each in task.made_from(self.held):
            if before.get(each.partition) != each:
                return f"{each.partition} is newer than {task.partition.period}"
        return f"what the ledger says of the inputs of {task.partition.period} changed"


def _with_inputs(name: str) -> Iterator[str]:
    """Yield a dataset and whatever it is made from."""
    yield name
    dataset = DATASETS.get(name)
    if isinstance(dataset, Computed):
        for each in dataset.inputs:
            yield from _with_inputs(each)


def _subject(one: Partition) -> Subject:
    return one.dataset, one.part


def _is_due(one: Partition) -> bool:
    """Whether a partition is made unasked."""
    dataset = DATASETS.get(one.dataset)
    return isinstance(dataset, Computed) and dataset.follows


def _is_behind(lake: Lake, dataset: Snapshot, one: Partition, record: Record) -> bool:
    """Whether more was staged of a snapshot than its line names."""
    return dataset.segments is not None and record.segments != dataset.segments(lake, one)


def _maker(one: Partition) -> str:
    return maker_of(DATASETS[one.dataset])


def _compute(one: Partition, told: Mapping[str, float] | None = None) -> str:
    """Return the command that makes a partition, told what its line was told."""
    dataset = DATASETS.get(one.dataset)
    usual = options_of(dataset, None) if isinstance(dataset, Computed) else {}
    flags = [_flag(name, value) for name, value in (told or {}).items() if value != usual.get(name)]
    if flags:  # they hold for this part, and need not for others
        flags.append(f"--currency {one.part}")
    return f"`{' '.join(['deribit-lake compute', one.dataset, *flags])}`"


def _flag(name: str, value: float) -> str:
    if name == "blocks":
        return "--blocks" if value else "--no-blocks"
    return f"--{name.replace('_', '-')} {value:g}"
