"""What a load did."""

from dataclasses import dataclass, field

from etl.database.revise import Differences


@dataclass(slots=True)
class LoadReport:
    """What a load did, in rows and months; `bars` are candles resampled from the rows.

    `live` rows are those of micro-batches that it left behind the last row of the lake, in the
    months it looked at.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bars: int = 0
    live: int = 0
    months_loaded: int = 0
    months_unchanged: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def count(self, found: Differences, *, is_own: bool) -> None:
        """Add what was done to a dataset's own table, or to the bars made from it."""
        if not is_own:
            self.bars += found.rows
            return
        self.inserted += found.inserted
        self.updated += found.updated
        self.deleted += found.deleted
