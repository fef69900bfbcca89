"""Ask for chains of options as they are now, stage what comes, and publish it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import msgspec
import polars as pl

from etl.config import Settings
from etl.deribit.client import DeribitClient, Retry, open_client
from etl.deribit.request import Request
from etl.errors import DeribitError, EtlError, RateLimitedError, TransientError, UnavailableError
from etl.instruments.lists import check_currency, ever_settled, unknown
from etl.instruments.names import settles_in
from etl.progress import Progress
from etl.snapshots.answers import check_chain, check_ticker, decode_chain
from etl.snapshots.fold import DATASET, day_of, is_folded, refresh, segments, staged
from etl.snapshots.quotes import instant_of
from etl.snapshots.sent import CHAIN, TICKER, folder_of
from lake import raw
from lake.ledger import Record, read_record
from lake.partition import Partition
from lake.paths import Lake
from lake.raw import Attempt
from lake.read import scan_files
from lake.span import Span, period_of
from lake.store.place import Place

USUAL = ("BTC", "ETH", "USDC")  # what options settle in, where no list says it
TICKERS_AT_ONCE = 500  # in a segment: one by one they take 5 kB each, for 1 kB sent
SOON = Retry(attempts=5, seconds=20)  # a snapshot is of now: what is odd for longer is an answer


class Taken(msgspec.Struct, frozen=True):
    """A snapshot of one currency: of which instant [ms], and how much of it is kept.

    `quarantined` counts the rows set aside of its whole day.
    """

    currency: str
    timestamp_ms: int
    options: int
    expiries: int
    tickers: int
    quarantined: int
    notes: tuple[str, ...] = ()


async def take(
    settings: Settings,
    lake: Lake,
    currencies: Sequence[str],
    progress: Progress,
    *,
    with_tickers: bool = False,
    wait: bool = False,
) -> tuple[list[Taken], list[str], int]:
    """Take a snapshot of the chain of each currency.

    What an earlier run staged of these currencies and did not live to fold is folded, too.

    Returns
    -------
    tuple of list of Taken, list of str and int
        The snapshots, why there is none of other currencies, and the requests it took.

    Raises
    ------
    UsageError
        If a word can be no currency.
    PartitionBusyError
        If another process writes one of the partitions and `wait` is false.
    """
    for currency in currencies:
        check_currency(currency, {*ever_settled(lake), *USUAL})
    shots, errors, stage = [], [], _Stage()
    async with open_client(settings, stage) as client:
        for currency in currencies:
            try:
                instant_ms, names = await _ask_chain(client, lake, currency)
                tickers = names if with_tickers else []
                notes = await _ask_tickers(client, lake, currency, instant_ms, tickers, progress)
            except EtlError as error:
                errors.append(f"no snapshot of {currency}: {error}")
            else:
                shots.append((currency, instant_ms, notes))
            finally:
                stage.flush()
            await asyncio.to_thread(_fold_all, lake, currency, wait=wait)
        return [_told(lake, *one) for one in shots], errors, client.sent


@dataclass
class _Stage:
    """Stages a chain as it comes, and tickers some hundred at a time: each is a kilobyte."""

    held: list[tuple[Attempt, Place]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, attempt: Attempt, folder: Place) -> None:
        with self.lock:
            self.held.append((attempt, folder / f"day={day_of(attempt)}"))
            is_full = not attempt.window_start or len(self.held) >= TICKERS_AT_ONCE
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Stage what is held, in one segment a folder."""
        with self.lock:
            held, self.held = self.held, []
        for folder in dict.fromkeys(folder for _, folder in held):
            raw.stage([attempt for attempt, into in held if into == folder], folder)


async def _ask_chain(client: DeribitClient, lake: Lake, currency: str) -> tuple[int, list[str]]:
    """Stage the chain of a currency; return its instant [ms], and its options.

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    UnavailableError
        If it sends no chain, an empty one, or that of another currency.
    """
    params = {"currency": currency, "kind": "option"}
    folder, check = folder_of(lake, CHAIN, currency), check_chain(currency)
    request = Request(f"public/{CHAIN}", params, Span(0, 0), folder, check)
    try:
        attempt = await client.call(request, retry=SOON)
    except (RateLimitedError, TransientError):
        raise
    except DeribitError as error:
        raise unknown(currency, {*ever_settled(lake), *USUAL}, error) from error
    chain = decode_chain(attempt.body or b"")
    heard_ms = None if attempt.us_out is None else attempt.us_out // 1000
    names = chain["instrument"].unique(maintain_order=True).to_list()
    mine = [name for name in names if settles_in(name) == currency]
    return instant_of(chain["quoted_ms"], heard_ms), mine


async def _ask_tickers(
    client: DeribitClient,
    lake: Lake,
    currency: str,
    instant_ms: int,
    names: Sequence[str],
    progress: Progress,
) -> list[str]:
    """Stage the tickers of some options; return why some did not come.

    One that has expired since is refused by the exchange: the chain's row stands for it.
    """
    folder, window = folder_of(lake, TICKER, currency), Span(instant_ms, instant_ms + 1)
    odd: Counter[str] = Counter()

    async def ask(name: str) -> None:
        params = {"instrument_name": name}
        request = Request(f"public/{TICKER}", params, window, folder, check_ticker(name))
        try:
            await client.call(request, retry=SOON)
        except (DeribitError, UnavailableError) as error:
            odd[str(error).replace(name, "it")] += 1
        progress.advance(currency)

    if names:
        progress.expect(currency, len(names))
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(ask(name))
    return [f"{count} of {len(names)} tickers did not come: {why}" for why, count in odd.items()]


def _fold_all(lake: Lake, currency: str, *, wait: bool) -> None:
    """Fold what was staged of a currency and is not folded yet, now or by a run before."""
    for one in staged(lake):
        if one.part == currency and not is_folded(read_record(lake, one), segments(lake, one)):
            refresh(lake, one, wait=wait)


def _told(lake: Lake, currency: str, instant_ms: int, notes: Sequence[str]) -> Taken:
    """Return what is kept of a snapshot."""
    partition = Partition(DATASET, currency, period_of(instant_ms, "day"))
    record = read_record(lake, partition) or Record()
    options, expiries, tickers = 0, 0, 0
    if record.rows:
        at = pl.from_epoch(pl.lit(instant_ms), "ms").cast(pl.Datetime("us", "UTC"))
        kept = scan_files([lake.clean(partition)]).filter(pl.col("timestamp") == at)
        counts = (pl.len(), pl.col("expiry").n_unique(), pl.col("delta").count().alias("tickers"))
        options, expiries, tickers = kept.select(*counts).collect().row(0)
    told = (currency, instant_ms, options, expiries, tickers, record.quarantined)
    return Taken(*told, tuple(notes))
