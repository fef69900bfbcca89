"""What a lake of so many options takes: bytes, hours of cores, requests, from what one row takes.

Pure: figures of single rows and a universe go in, sums come out. Figures are measured by
`benchmarks.sizing`; nothing in here is.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

MINUTES, HOURS, SECONDS, DAYS, MONTHS = 525_600, 8_760, 31_536_000, 365, 12
TICKERS = "option_tickers"
MESSAGES, KEPT, TICKER_MINUTES, TRADES, SURFACES, CANDLES = (
    "messages", "kept messages", "ticker minutes", "trades", "surfaces", "candles",
)  # fmt: skip
PIECE_BYTES = 64_000_000  # of messages, in a raw file
JOURNALS = 6 * HOURS  # of ten minutes each
GROUP_ROWS = 8_192  # of a row group of tickers
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Part:
    """Options that settle in one currency: one part of the lake."""

    name: str
    options: int
    trades_a_day: float
    underlyings: int


@dataclass(frozen=True, slots=True)
class Universe:
    """What is held of a year: options, of each a ticker every so many seconds, and candles.

    `futures` are perpetuals and futures, `seconds_a_message` how often the exchange sends a ticker,
    and `surface_minutes` the distance of surfaces of trades.
    """

    parts: tuple[Part, ...]
    every: int = 60
    _: KW_ONLY
    futures: int = 0
    seconds_a_message: float = 1.0
    surface_minutes: int = 60

    @property
    def options(self) -> int:
        """How many options live at a time."""
        return sum(part.options for part in self.parts)

    @property
    def messages_a_second(self) -> float:
        """Tickers that come."""
        return self.options / self.seconds_a_message


@dataclass(frozen=True, slots=True)
class Unit:
    """What is made of one of something: how many bytes, and how long a core takes [us]."""

    dataset: str
    layer: str
    of: str
    bytes: float
    core_us: float
    stage: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question to tickers: what it takes of a core for each row in its scope, and reads of it."""

    name: str
    scope: str
    core_us: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; `raw_ticker_bytes` by how many seconds lie between messages."""

    units: tuple[Unit, ...]
    queries: tuple[Query, ...]
    raw_ticker_bytes: Mapping[int, float]
    message_bytes: float
    open_us: float
    """To open a lake and plan a question, of a core, for each row group there is of tickers."""
    footer_bytes: float
    """What is read for it of each."""

    def raw_of(self, every: int) -> float:
        """Return what a kept message takes [bytes].

        Raises
        ------
        ValueError
            If that was not measured.
        """
        if every not in self.raw_ticker_bytes:
            known = ", ".join(map(str, sorted(self.raw_ticker_bytes)))
            message = f"a ticker every {every} s was not measured: expected one of {known}"
            raise ValueError(message)
        return self.raw_ticker_bytes[every]


def figures_of(told: Mapping[str, Any]) -> Figures:
    """Return figures as `benchmarks.sizing` writes them."""
    return Figures(
        units=tuple(Unit(**one) for one in told["units"]),
        queries=tuple(Query(**one) for one in told["queries"]),
        raw_ticker_bytes={int(key): value for key, value in told["raw_ticker_bytes"].items()},
        message_bytes=told["message_bytes"],
        open_us=told["open_us"],
        footer_bytes=told["footer_bytes"],
    )


def counts_of(part: Part, universe: Universe, years: float = 1.0) -> Counter[str]:
    """Return how many there are of what units are of, of one part in some years."""
    return Counter(
        {
            MESSAGES: part.options * SECONDS / universe.seconds_a_message * years,
            KEPT: part.options * SECONDS / universe.every * years,
            TICKER_MINUTES: part.options * MINUTES * years,
            TRADES: part.trades_a_day * DAYS * years,
            SURFACES: part.underlyings * MINUTES / universe.surface_minutes * years,
        }  # type: ignore[arg-type]  # counts of a year are none that need to be whole
    )


def total(universe: Universe, years: float = 1.0) -> Counter[str]:
    """Return how many there are of what units are of, in some years."""
    found: Counter[str] = Counter({CANDLES: universe.futures * MINUTES * years})  # type: ignore[dict-item]
    for part in universe.parts:
        found.update(counts_of(part, universe, years))
    return found


def bytes_of(figures: Figures, universe: Universe, years: float = 1.0) -> dict[str, float]:
    """Return what some years take [bytes], by layer and dataset: ``raw tickers``."""
    counts = total(universe, years)
    found = {f"raw {TICKERS}": counts[KEPT] * figures.raw_of(universe.every)}
    for unit in figures.units:
        if unit.bytes:
            name = f"{unit.layer} {unit.dataset}"
            found[name] = found.get(name, 0.0) + counts[unit.of] * unit.bytes
    return found


def core_seconds(figures: Figures, counts: Mapping[str, float]) -> dict[str, float]:
    """Return what a core takes for so many of everything [s], by stage."""
    found: dict[str, float] = {}
    for unit in figures.units:
        seconds = counts.get(unit.of, 0.0) * unit.core_us / 1e6
        found[unit.stage] = found.get(unit.stage, 0.0) + seconds
    return found


def tasks_of(figures: Figures, universe: Universe, stage: str, years: float = 1.0) -> list[float]:
    """Return how long each partition of a stage takes on a core [s]: what one worker must do alone.

    Tickers are folded by day, all else is made by month.
    """
    periods = DAYS if stage == f"fold {TICKERS}" else MONTHS
    count = max(1, round(periods * years))
    return [
        core_seconds(figures, counts_of(part, universe, years)).get(stage, 0.0) / count
        for part in universe.parts
        for _ in range(count)
    ]


def makespan(tasks: Sequence[float], workers: int) -> float:
    """Return when the last of some tasks is done [s], each taken in turn by whoever is free."""
    free = [0.0] * workers
    for seconds in tasks:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def hours_on(
    figures: Figures, universe: Universe, stages: Iterable[str], workers: int, years: float = 1.0
) -> float:
    """Return how long stages take on some cores, one stage after the other [h]."""
    seconds = [makespan(tasks_of(figures, universe, one, years), workers) for one in stages]
    return sum(seconds) / 3600


def workers_for(hours: float, within: float, efficiency: float) -> int:
    """Return how many workers do so many hours of a core's work in a time, at least one."""
    if not 0 < efficiency <= 1:
        message = f"efficiency {efficiency}: expected more than 0 and at most 1"
        raise ValueError(message)
    alone = hours <= within
    return 1 if alone else math.ceil(hours / within / efficiency)


def query_seconds(figures: Figures, query: Query, universe: Universe, years: float = 1.0) -> float:
    """Return what a question takes of a core [s]: to open the lake, and to read what it must.

    Scopes: all tickers of these years, or those of the largest part on one day.
    """
    reading = query_rows(query, universe, years) * query.core_us / 1e6
    return opening_seconds(figures, universe, years) + reading


def opening_seconds(figures: Figures, universe: Universe, years: float = 1.0) -> float:
    """Return what it takes of a core to open a lake for questions to tickers [s]."""
    return row_groups(universe, years) * figures.open_us / 1e6


def row_groups(universe: Universe, years: float = 1.0) -> float:
    """Return how many row groups the files of tickers have, a file a part and day."""
    a_day = sum(math.ceil(part.options * MINUTES / DAYS / GROUP_ROWS) for part in universe.parts)
    return a_day * DAYS * years


def query_rows(query: Query, universe: Universe, years: float = 1.0) -> float:
    """Return how many rows of tickers lie in the files a question must look into."""
    most = max(part.options for part in universe.parts)
    scopes = {"all": universe.options * MINUTES * years, "day": most * MINUTES / DAYS}
    return scopes[query.scope]


@dataclass(frozen=True, slots=True)
class Prices:
    """What object storage costs [USD]: a GiB a month, a thousand requests, a GiB that leaves it."""

    gib_month: float
    thousand_puts: float
    thousand_gets: float
    gib_out: float


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests one published partition takes, and a collector's hour besides."""

    puts_a_publish: float
    gets_a_publish: float
    puts_an_hour: float = 0.0


def publishes(figures: Figures, universe: Universe) -> tuple[float, float]:
    """Return raw files of tickers a year, and how often their days are published."""
    kept = total(universe)[KEPT] * figures.message_bytes
    return max(JOURNALS, kept / PIECE_BYTES), len(universe.parts) * HOURS


def storage_a_month(stored: float, prices: Prices) -> float:
    """Return what so many bytes cost to keep for a month [USD]."""
    return stored / GIB * prices.gib_month


def requests_a_month(
    figures: Figures, universe: Universe, requests: Requests, prices: Prices
) -> float:
    """Return what collecting tickers costs in requests [USD a month]."""
    files, folds = publishes(figures, universe)
    puts = files + folds * requests.puts_a_publish + HOURS * requests.puts_an_hour
    gets = folds * requests.gets_a_publish
    return (puts * prices.thousand_puts + gets * prices.thousand_gets) / 1000 / MONTHS


def years_on(disk: float, figures: Figures, universe: Universe) -> float:
    """Return after how many years a disk of so many bytes is full."""
    return disk / sum(bytes_of(figures, universe).values())
