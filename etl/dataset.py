"""What a dataset is: fetched from the exchange and proved, or computed from other datasets.

All say what they promise (`model`), the short words commands know them by (`aliases`), how they
are cut into partitions (`period`) and, where a part holds rows of several subjects, which part a
subject is in (`subject_part`); the subject is what the key of a table begins with. A fetched one
says what to ask, how a page reads and how nothing is proved to be missing; a computed one what it
is made from, and by which step. Lists are folded as they came. `etl.catalog` has them all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec
import polars as pl

from etl.instruments.names import Kind
from etl.instruments.record import Instrument, Listing, always
from etl.instruments.selection import Choice, Select
from etl.proof.protocol import Proof
from lake.ledger import Gap, Input, Record
from lake.partition import Partition
from lake.paths import Lake, Top
from lake.span import PeriodKind, Span, period_of
from lake.store.files import matching
from lake.store.place import Place

if TYPE_CHECKING:
    from pandera.polars import DataFrameModel
    from pyarrow import Table

Held = Mapping[Partition, Record]
"""What the ledger says of some partitions."""


def _is_all(_params: dict[str, Any], _page: object, _window: Span) -> None:
    """Ask for no further page: a window is one."""


def _one_page(_window: Span, _now_ms: int) -> int:
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One dataset, from the method that serves it to the contract it keeps.

    Attributes
    ----------
    kind
        What its parts are: instruments of some kind, or indices.
    params
        From part, window and the exchange's clock to the parameters of a request.
    onward
        From the parameters, what `check` read of the answer, and the window to the parameters of
        the window's next page; None after its last.
    most_pages
        From window and the exchange's clock to how many pages a window may take.
    method_of
        From the parameters of a request to its method, where a dataset asks several.
    on_history
        Whether the history host is asked, and no other.
    check
        Raises msgspec.ValidationError where a result is not of the expected shape; what it returns
        is for `onward`.
    select
        The instruments a user's words choose.
    since_ms
        Before this the exchange has none.
    begins_ms
        From here on there may be rows, even where what lists the part came later.
    raw_key, raw_period
        How raw is cut: by what the part is called, and, inside a partition, by period.
    has_chain
        Whether its rows are of options, whose lists have to be known.
    row_bytes
        What a row takes on disk, raw and clean together.
    """

    top: ClassVar[Top] = "clean"

    name: str
    model: "type[DataFrameModel]"
    method: str
    proof: Proof
    kind: Kind
    select: Select
    params: Callable[[str, Span, int], dict[str, Any]]
    check: Callable[[msgspec.Raw], object]
    decode: Callable[[bytes], pl.DataFrame]
    transform: Callable[[pl.LazyFrame, str], pl.LazyFrame]
    empty_body: bytes
    onward: Callable[[dict[str, Any], Any, Span], dict[str, Any] | None] = _is_all
    most_pages: Callable[[Span, int], int] = _one_page
    method_of: Callable[[dict[str, Any]], str] | None = None
    on_history: bool = False
    aliases: tuple[str, ...] = ()
    period: PeriodKind = "year"
    subject_part: Callable[[str], str] | None = None
    resolution: str = ""
    since_ms: int = 0
    begins_ms: int | None = None
    raw_key: str = "instrument"
    raw_period: PeriodKind | None = None
    has_chain: bool = False
    row_bytes: int = 36  # of a candle: 13.7 + 15.0 measured, and a margin

    @property
    def is_of_instruments(self) -> bool:
        """Whether a part is an instrument or an index, that is listed and may expire."""
        return self.raw_key == "instrument"

    @property
    def has_pages(self) -> bool:
        """Whether a window may have several pages, each asked for after the one before."""
        return self.onward is not _is_all

    def find(self, listing: Listing, part: str) -> Instrument | None:
        """Return what is listed of a part; what holds many instruments was always there."""
        found = listing.find(part) if self.is_of_instruments else always(part)
        return found and self._from_its_beginning(found)

    def choose(self, listing: Listing, choice: Choice) -> list[Instrument]:
        """Return the instruments a user's words choose.

        Raises
        ------
        UsageError
            If they name what is not there.
        """
        return [self._from_its_beginning(one) for one in self.select(listing, choice)]

    def _from_its_beginning(self, one: Instrument) -> Instrument:
        if self.begins_ms is None or one.creation_timestamp <= self.begins_ms:
            return one
        return msgspec.structs.replace(one, creation_timestamp=self.begins_ms)

    def empty_page(self) -> pl.DataFrame:
        """Return the rows of a page without rows, with the number of their attempt."""
        return self.decode(self.empty_body).with_columns(attempt=pl.lit(0, dtype=pl.UInt32))

    def raw_folder(self, lake: Lake, partition: Partition) -> Place:
        """Return the folder the attempts of a partition are staged in."""
        return lake.raw(self._raw_method, **self._raw_keys(partition.part, partition.period))

    def stage_folder(self, lake: Lake, partition: Partition, window: Span) -> Place:
        """Return the folder inside it that the attempts of one window are staged in."""
        folder = self.raw_folder(lake, partition)
        if self.raw_period is None:
            return folder
        return folder / f"{self.raw_period}={period_of(window.start_ms, self.raw_period)}"

    def staged(self, lake: Lake, listing: Listing) -> Iterator[Partition]:
        """Yield the partitions that have raw data, sorted; candles of others are not ours."""
        top = lake.raw(self._raw_method)
        pattern = "/".join(f"{key}={value}" for key, value in self._raw_keys("*", "*").items())
        below = len(lake.inside(top).parts)
        for folder in matching(top, pattern):
            keys = dict(key.split("=", 1) for key in lake.inside(folder).parts[below:])
            part = keys[self.raw_key]
            if not self.is_of_instruments or listing.kind_of(part) == self.kind:
                yield Partition(self.name, part, keys.get(self.period, "all"))

    @property
    def _raw_method(self) -> str:
        return self.method.removeprefix("public/")

    def _raw_keys(self, part: str, period: str) -> dict[str, str]:
        keys = {self.raw_key: part, "resolution": self.resolution, self.period: period}
        return {key: value for key, value in keys.items() if value and key != "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One dataset that is folded from whole lists, each true of its moment.

    None is ever owed, unless what it holds is of days that somebody wanted: then its lines say so.

    Attributes
    ----------
    staged
        The partitions that there is anything to fold of, sorted.
    rebuild
        Folds all that was staged of a partition, publishes it, and returns its line.
    segments
        The raw files a line must name to be believed; None where newer ones say nothing of it.
    maker
        The command that makes it, without the program's name.
    step_ms
        The distance of its rows, for counting those that are missing; 0 where none is owed.
    """

    top: ClassVar[Top] = "clean"

    name: str
    model: "type[DataFrameModel]"
    staged: Callable[[Lake], Iterator[Partition]]
    rebuild: Callable[[Lake, Partition], Record]
    maker: str
    segments: Callable[[Lake, Partition], tuple[str, ...]] | None = None
    aliases: tuple[str, ...] = ()
    period: PeriodKind = "all"
    subject_part: Callable[[str], str] | None = None
    step_ms: int = 0


class Task(msgspec.Struct, frozen=True):
    """One partition to be computed: from what, and told what besides.

    Attributes
    ----------
    inputs
        The partitions it is made from, sorted.
    terms
        Whatever else the result depends on, as JSON can say it.
    group
        Tasks of one group are run together, so that what they share is read once.
    notes
        What the user should know of it.
    """

    partition: Partition
    inputs: tuple[Partition, ...]
    terms: tuple[Any, ...] = ()
    group: str = ""
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A digest of the terms."""
        text = msgspec.json.encode(self.terms, order="deterministic")
        return blake2b(text, digest_size=16).hexdigest()

    def made_from(self, held: Held) -> tuple[Input, ...]:
        """Return the inputs with the content the ledger says they have."""
        return tuple(
            Input(one.dataset, one.part, one.period, held[one].checksum or "")
            for one in self.inputs
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What a step made of a partition; it may say which stretches of what it covers are missing."""

    rows: pl.DataFrame
    wanted: Sequence[Span] = ()
    gaps: Sequence[Gap] = ()


class Read(Protocol):
    """Reads an input."""

    def __call__(
        self,
        partition: Partition,
        columns: Sequence[str],
        since_ms: int | None = None,
        *,
        coded: Sequence[str] = (),
    ) -> "Table":
        """Return some columns of a partition, or of its rows from a moment on.

        Strings that are `coded` come as one dictionary, and codes.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """One dataset that is a function of others.

    Attributes
    ----------
    inputs
        The datasets it is made from.
    version
        Raised when the same inputs would give other rows.
    tasks
        From what is held, the listed instruments and the options to what can be made; pure.
    step
        From the tasks of one group to what each amounts to; it reads its inputs and nothing else.
    options
        What `tasks` may be told, with what holds where nothing is said.
    follows
        Whether it is made whenever its inputs were fetched, unasked.
    step_ms
        The distance of its rows, for counting those that are missing; 0 where it has none.
    """

    top: ClassVar[Top] = "derived"

    name: str
    model: "type[DataFrameModel]"
    inputs: tuple[str, ...]
    version: int
    tasks: Callable[[Held, Listing, Mapping[str, float]], Iterator[Task]]
    step: Callable[[Read, Held, Sequence[Task]], Iterator[tuple[Task, Made]]]
    aliases: tuple[str, ...] = ()
    period: PeriodKind = "year"
    subject_part: Callable[[str], str] | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    follows: bool = False
    step_ms: int = 0


Dataset = Fetched | Snapshot | Computed


def columns_of(dataset: Dataset) -> list[str]:
    """Return the names of the published columns, in order."""
    return list(dataset.model.to_schema().columns)


def part_of(dataset: Dataset, subject: str) -> str:
    """Return the part the rows of a subject are in."""
    return dataset.subject_part(subject) if dataset.subject_part else subject
