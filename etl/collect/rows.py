"""Live rows of a dataset: what its channels and REST said of the days that are not folded yet.

Of two rows of one key that of REST is believed, and of two from the same the later. A row that
breaks the contract is left out here; the message it came in is kept.
"""

import logging
from dataclasses import dataclass

import polars as pl

from etl.dataset import Dataset
from validators import contract

logger = logging.getLogger(__name__)

SOCKET, ANSWER = 0, 1
"""How much a row is believed: that of a channel less than that of a REST answer."""

_RANK, _TURN = "_rank", "_turn"


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging came to: the rows that are new or other than before, and how REST judged.

    `confirmed` rows of channels were as REST has them, `revised` were not, and `filled` had not
    come at all.
    """

    changed: pl.DataFrame
    confirmed: int = 0
    revised: int = 0
    filled: int = 0


class LiveRows:
    """The rows of one dataset; `frame` has them by key, as of the last merge."""

    def __init__(self, dataset: Dataset) -> None:
        columns = dataset.model.to_schema().columns
        self.dataset = dataset
        self.key = list(contract.key_of(dataset.model))
        self._order = list(contract.order_of(dataset.model))
        self._columns = list(columns)
        schema = {name: column.dtype.type for name, column in columns.items()}
        self._held = pl.DataFrame(schema=schema | {_RANK: pl.Int8()})
        self._pending: list[pl.DataFrame] = []
        self._has_told = False

    @property
    def frame(self) -> pl.DataFrame:
        """All rows, in the order their files have."""
        return self._held.select(self._columns)

    @property
    def is_dirty(self) -> bool:
        """Whether rows came that are not merged yet."""
        return bool(self._pending)

    def add(self, rows: pl.DataFrame, rank: int) -> int:
        """Take rows of the dataset's columns, and return how many of them break its contract."""
        if rows.is_empty():
            return 0
        split = contract.split(rows.select(self._columns), self.dataset.model)
        if len(split.rejected) and not self._has_told:
            self._has_told = True
            why, name = split.rejected["failed_check"][0], self.dataset.name
            logger.warning("%s: a live row breaks the contract (%s) and is left out", name, why)
        valid = split.valid.with_columns(pl.lit(rank, pl.Int8).alias(_RANK))
        self._pending.append(valid.cast(dict(self._held.schema)))  # type: ignore[arg-type]
        return len(split.rejected)

    def merge(self) -> Merged:
        """Bring what came into the rows."""
        if not self._pending:
            return Merged(self.frame.clear())
        came, before = pl.concat(self._pending), self._held
        self._pending = []
        every = pl.concat([before, came]).with_row_index(_TURN)
        best = every.sort(*self.key, _RANK, _TURN).unique(
            self.key, keep="last", maintain_order=True
        )
        self._held = best.drop(_TURN).sort(self._order, maintain_order=True)
        changed = self._touched(came).join(
            before.select(self._columns), on=self._columns, how="anti", nulls_equal=True
        )
        answered = came.filter(pl.col(_RANK) == ANSWER).unique(self.key)
        return self._judged(answered, before, changed)

    def _touched(self, came: pl.DataFrame) -> pl.DataFrame:
        keys = came.select(self.key).unique()
        return self.frame.join(keys, on=self.key, how="semi", maintain_order="left")

    def _judged(
        self, answered: pl.DataFrame, before: pl.DataFrame, changed: pl.DataFrame
    ) -> Merged:
        if answered.is_empty():
            return Merged(changed)
        heard = before.filter(pl.col(_RANK) == SOCKET).select(self.key)
        known = answered.join(before.select(self.key), on=self.key, how="semi")
        of_channels = known.join(heard, on=self.key, how="semi").select(self.key)
        revised = len(changed.join(of_channels, on=self.key, how="semi"))
        return Merged(changed, len(of_channels) - revised, revised, len(answered) - len(known))

    def load(self, rows: pl.DataFrame) -> None:
        """Take rows that an earlier collector published, as if channels had said them."""
        self.add(rows, SOCKET)
        self.merge()

    def keep(self, condition: pl.Expr) -> None:
        """Forget the rows that do not meet a condition."""
        self._held = self._held.filter(condition)

    def forget(self, keys: pl.DataFrame, before_ms: int) -> None:
        """Forget rows of a time before a moment whose keys are given: they are published."""
        old = pl.col("timestamp") < pl.from_epoch(pl.lit(before_ms), "ms").cast(
            pl.Datetime("us", "UTC")
        )
        lasting = self._held.filter(~old)
        left = self._held.filter(old).join(keys, on=self.key, how="anti")
        self._held = pl.concat([left, lasting]).sort(self._order, maintain_order=True)
