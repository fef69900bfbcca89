"""Prices of indices at full minutes: the last one sent at or before, if it is fresh."""

import polars as pl

from etl.collect.messages import IndexPrice

FRESH_MS = 5_000  # an index comes once a second
MINUTE_MS = 60_000
SOURCE = "socket"
_SCHEMA = {
    "timestamp": pl.Int64(),
    "instrument": pl.String(),
    "price": pl.Float64(),
    "source": pl.String(),
}


class IndexMinutes:
    """The last price of each index, and what was its price at the full minutes gone by."""

    def __init__(self) -> None:
        self._last: dict[str, IndexPrice] = {}
        self._rows: list[tuple[int, str, float, str]] = []

    def take(self, index: str, price: IndexPrice) -> None:
        """Take one price; one that is older than the last says nothing new."""
        before = self._last.get(index)
        if before is not None and price.timestamp <= before.timestamp:
            return
        self._last[index] = price
        minute = price.timestamp // MINUTE_MS * MINUTE_MS
        if price.timestamp == minute:
            self._rows.append((minute, index, price.price, SOURCE))
        elif before is not None and before.timestamp < minute <= before.timestamp + FRESH_MS:
            self._rows.append((minute, index, before.price, SOURCE))

    def rows(self) -> pl.DataFrame:
        """Return what came since the last call."""
        rows, self._rows = self._rows, []
        moment = pl.from_epoch("timestamp", "ms").cast(pl.Datetime("us", "UTC"))
        return pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(moment)
