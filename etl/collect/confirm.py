"""Hold live rows against REST, and fill with it what was not heard.

Every part is asked for from where the last look ended, so that whatever a socket lost without
anybody noticing is there after the next one; after a gap, from before it. What could not be asked
is asked the next time, from the same place.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from etl.backfill.window import Reading
from etl.collect.clock import ExchangeClock
from etl.dataset import Fetched
from etl.deribit.client import DeribitClient
from etl.deribit.request import Request
from etl.errors import EtlError
from lake.span import Span
from lake.store.place import Place

logger = logging.getLogger(__name__)

BEFORE_MS = 5 * 60_000  # of what was looked at last is looked at again: it may have been revised
LATE_MS = 20_000  # until it has come to rest, nothing is asked for
AT_ONCE = 8  # parts asked for side by side; a backfill beside it needs connections too


class Part(NamedTuple):
    """What is asked for: a dataset, and an instrument, index or currency of it."""

    dataset: str
    name: str


Found = Callable[[Part, pl.DataFrame], None]
Looked = Callable[[Part, int], None]


@dataclass
class Confirmer:
    """Who asks REST for live rows.

    Attributes
    ----------
    parts
        All there is, by name, with its dataset.
    found
        Told of the rows of each part that came.
    looked
        Told up to which moment all of a part came [ms].
    until
        Up to which moment each part was looked at [ms].
    floor_ms
        From when on rows are live: what was before is folded, or nobody asked for it.
    """

    client: DeribitClient
    clock: ExchangeClock
    folder: Place
    found: Found
    looked: Looked
    parts: dict[Part, Fetched] = field(default_factory=dict)
    until: dict[Part, int] = field(default_factory=dict)
    errors: dict[Part, str] = field(default_factory=dict)
    floor_ms: int = 0

    def watch(self, dataset: Fetched, name: str) -> None:
        """Ask for a part too."""
        part = Part(dataset.name, name)
        if part not in self.parts:
            self.parts[part] = dataset
            self.until[part] = self.floor_ms

    def forget(self, part: Part) -> None:
        """Ask for a part no more."""
        del self.parts[part], self.until[part]
        self.errors.pop(part, None)

    def missed(self, part: Part, since_ms: int) -> None:
        """Take note that a part was not heard from a moment on."""
        if part in self.until:
            self.until[part] = min(self.until[part], since_ms)

    async def look(self, parts: Iterable[Part] | None = None, late_ms: int = LATE_MS) -> None:
        """Ask for some parts, or all, from where the last look at each ended until just now."""
        seats = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for part in list(self.parts if parts is None else parts):
                if part in self.parts:
                    tasks.create_task(self._look(part, seats, late_ms))

    async def _look(self, part: Part, seats: asyncio.Semaphore, late_ms: int) -> None:
        async with seats:
            if part not in self.parts:  # it was forgotten while this waited its turn
                return
            dataset, since = self.parts[part], self.until[part]
            end_ms = self.clock.now_ms() - late_ms
            window = Span(max(since - BEFORE_MS, self.floor_ms), end_ms)
            if window.start_ms >= window.end_ms:
                return
            try:
                for page in dataset.proof.parts(window):
                    await self._ask(part, dataset, page)
            except EtlError as error:
                if self.errors.get(part) != str(error):
                    logger.warning("%s %s: %s; asked again later", *part, error)
                self.errors[part] = str(error)
                return
            self.errors.pop(part, None)
            if part in self.until and self.until[part] >= since:  # no gap was told of meanwhile
                self.until[part] = end_ms
                self.looked(part, end_ms)

    async def _ask(self, part: Part, dataset: Fetched, window: Span) -> None:
        params: dict[str, Any] | None = dataset.params(part.name, window, self.clock.now_ms())
        while params is not None:
            method = dataset.method_of(params) if dataset.method_of else dataset.method
            read = Reading(dataset.check)
            history = dataset.on_history
            request = Request(method, params, window, self.folder, read, on_history=history)
            attempt = await self.client.call(request)
            sent_ms = min((attempt.us_out or attempt.fetched_at) // 1000, self.clock.now_ms())
            if attempt.us_out is not None:
                self.clock.heard(attempt.us_out)
            body = attempt.body or dataset.empty_body
            rows = await asyncio.to_thread(rows_of, dataset, part.name, window, body, sent_ms)
            if part in self.parts:
                self.found(part, rows)
            params = dataset.onward(params, read.page, window)


def rows_of(dataset: Fetched, part: str, window: Span, body: bytes, sent_ms: int) -> pl.DataFrame:
    """Return the rows of an answer that lie in its window, as the dataset has them.

    Those are left out that were not closed when it was `sent_ms`.
    """
    page = dataset.decode(body)
    inside = pl.col("timestamp_ms").is_between(window.start_ms, window.end_ms, closed="left")
    return transformed(dataset, dataset.proof.closed(page.filter(inside), sent_ms), part)


def transformed(dataset: Fetched, page: pl.DataFrame, part: str) -> pl.DataFrame:
    """Return the rows of a page as the dataset has them, without those that are refused."""
    numbered = page.with_columns(attempt=pl.lit(0, dtype=pl.UInt32))
    rows = dataset.transform(numbered.lazy(), part).collect()
    if "refused" in rows.columns:
        rows = rows.filter(pl.col("refused").is_null())
    columns = list(dataset.model.to_schema().columns)
    return rows.select(columns)
