"""Bring the days that are over into clean: fetched by REST, proved and published as any other.

It runs at night, when what the exchange withholds for an hour is there, and at start for the days
a collector was not there. It is work of minutes and gigabytes, so a process of its own does it.
"""

import asyncio
import logging
import multiprocessing
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import polars as pl

from etl import pipeline, workers
from etl.backfill.wish import Wish
from etl.catalog import DATASETS, find_fetched
from etl.collect.universe import Universe
from etl.config import Settings
from etl.dataset import Fetched
from etl.errors import EtlError
from etl.instruments.names import settles_in
from etl.instruments.selection import Choice
from etl.logs import logging_to
from etl.progress import LogProgress, Progress
from etl.snapshots.fold import refresh_all as fold_tickers
from etl.snapshots.index_minutes import refresh_all as fold_indices
from lake.errors import CorruptFileError, LakeError
from lake.ledger import records
from lake.paths import Lake, open_lake
from lake.read import scan
from lake.span import DAY_MS
from lake.store.place import Place
from lake.write import publish_bytes
from validators.contract import key_of
from validators.errors import ValidatorsError

logger = logging.getLogger(__name__)

MINUTE_MS = 60_000
REACH_DAYS = 31  # between the end of a backfill and the first day of a collector
Held = Mapping[str, Collection[str]]


class Folded(msgspec.Struct, frozen=True):
    """Up to which moment a collector's days are in clean [ms]."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be brought into clean: of a dataset, which of it, from when to when [ms]."""

    dataset: str
    choice: Choice
    start_ms: int
    end_ms: int


def boundary_ms(now_ms: int, fold_at: str) -> int:
    """Return the midnight up to which days can be folded by now: those over at `fold_at`."""
    hours, minutes = map(int, fold_at.split(":"))
    after_ms = (hours * 60 + minutes) * MINUTE_MS
    return (now_ms - after_ms) // DAY_MS * DAY_MS


def next_ms(now_ms: int, fold_at: str) -> int:
    """Return when the next day can be folded."""
    hours, minutes = map(int, fold_at.split(":"))
    return boundary_ms(now_ms, fold_at) + DAY_MS + (hours * 60 + minutes) * MINUTE_MS


def read_folded(lake: Lake) -> int | None:
    """Return up to which moment a collector folded the lake [ms], None if none ever did.

    Raises
    ------
    CorruptFileError
        If the file cannot be read.
    """
    path = _path(lake)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Folded).until_ms
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise CorruptFileError(path, error) from error


def begun_ms(lake: Lake, names: Sequence[str], boundary: int) -> int:
    """Return from when on a lake no collector ever folded is to be folded [ms].

    Where a backfill ended within a month before, from the day on in which it did; else from the
    boundary on, the midnight up to which days can be folded.
    """
    ends = [
        span.end_ms for name in names for _, record in records(lake, name) for span in record.wanted
    ]
    last = min(max(ends, default=boundary), boundary)
    return last // DAY_MS * DAY_MS if boundary - last <= REACH_DAYS * DAY_MS else boundary


def write_folded(lake: Lake, until_ms: int) -> None:
    """Take note of up to which moment the lake is folded [ms]."""
    publish_bytes(msgspec.json.encode(Folded(until_ms)) + b"\n", _path(lake))


def _path(lake: Lake) -> Place:
    return lake.root / "live" / "folded.json"


def asks_of(universe: Universe, start_ms: int, end_ms: int) -> list[Ask]:
    """Return what is to be brought into clean of what is collected."""
    told, chosen = universe.told, []
    currencies = Choice(currencies=told.currencies)
    if "candles" in told.kinds:
        chosen.append(("perpetuals_ohlcv", Choice(names=universe.perpetuals)))
        futures = [universe.instruments[name] for name in universe.futures]
        settled = sorted({one.settlement_currency or "" for one in futures})
        names = universe.futures if told.instruments else ()
        if futures:  # with the currency, those that were listed and expired meanwhile come too
            chosen.append(("futures_ohlcv", Choice(names=names, currencies=settled)))
    if "funding" in told.kinds:
        chosen.append(("funding_rates", Choice(names=universe.perpetuals)))
    if "dvol" in told.kinds and universe.dvol_indices:
        chosen.append(("volatility_index", Choice(names=universe.dvol_indices)))
    if "trades" in told.kinds:
        chosen.append(("option_trades", currencies))
    return [
        Ask(name, choice, start_ms, end_ms)
        for name, choice in chosen
        if choice.names or choice.currencies
    ]


def asks_beyond(asks: Sequence[Ask], held: Held, start_ms: int, end_ms: int) -> list[Ask]:
    """Return what is to be brought into clean, too, for there are live rows of it.

    It ended or was delisted since, or other things are collected now. Each is asked for by itself:
    one that cannot be had stands in the way of no other.

    Parameters
    ----------
    held
        The instruments live rows are of, by dataset.
    """
    known: dict[str, set[str]] = {}
    for ask in asks:
        words = ask.choice.names or ask.choice.currencies
        known.setdefault(ask.dataset, set()).update(words)
    chosen: dict[tuple[str, str], Choice] = {}
    fetched = [name for name in held if isinstance(DATASETS[name], Fetched)]
    for dataset in fetched:
        for name in sorted(held[dataset]):
            currency = settles_in(name) or ""
            if not {name, currency} & known.get(dataset, set()):
                if dataset == "option_trades":
                    chosen[dataset, currency] = Choice(currencies=[currency])
                elif dataset == "futures_ohlcv":
                    chosen[dataset, name] = Choice([name], [currency])
                else:
                    chosen[dataset, name] = Choice([name])
    return [Ask(dataset, choice, start_ms, end_ms) for (dataset, _), choice in chosen.items()]


def fold(settings: Settings, asks: Sequence[Ask]) -> list[str]:
    """Bring what is asked for into clean, and return what went wrong."""
    errors: list[str] = []
    progress = LogProgress()
    with logging_to(settings.log_dir, console=False):
        for ask in asks:
            wish = Wish(find_fetched(ask.dataset), ask.choice, ask.start_ms, ask.end_ms)
            try:
                _, report, _ = pipeline.fill(settings, wish, progress, wait=True)
                errors += [f"{ask.dataset}: {error}" for error in report.errors]
            except (EtlError, LakeError, ValidatorsError) as error:
                errors.append(f"{ask.dataset}: {error}")
        try:
            fold_messages(open_lake(settings.place), progress)
        except (EtlError, LakeError, ValidatorsError) as error:
            errors.append(f"messages of sockets: {error}")
        if asks and settings.collect.database and not errors:
            _load(settings, progress)
    return errors


def _load(settings: Settings, progress: Progress) -> None:
    """Bring the database up to what is clean now; where it is away, the next night does."""
    from etl.database.load import load  # noqa: PLC0415  (the driver takes its time)

    try:
        report = load(settings, open_lake(settings.place), progress)
    except (EtlError, LakeError) as error:
        logger.warning("the database is not brought up to clean: %s", error)
    else:
        logger.info("the database is brought up to clean in %.0f s", report.seconds)


def fold_messages(lake: Lake, progress: Progress) -> None:
    """Bring what only sockets send into clean: tickers of options, and indices by the minute."""
    fold_tickers(lake, wait=True)
    fold_indices(lake, wait=True)
    pipeline.derive(lake, ["index_minutes"], progress, wait=True)


async def fold_apart(settings: Settings, asks: Sequence[Ask]) -> list[str]:
    """Do the same in a process of its own, which ends with this task.

    Such a process takes seconds to begin, in which nothing else would be heard.
    """
    plain = Settings.model_construct(**dict(settings))  # of a class another process knows
    executor = await asyncio.to_thread(workers.apart)
    try:
        return await asyncio.wrap_future(executor.submit(fold, plain, asks))
    except BrokenProcessPool:
        return ["the process that folds was killed, perhaps for want of memory"]
    except Exception as error:  # whatever happens to a fold, collection goes on
        logger.exception("the process that folds failed")
        return [f"{type(error).__name__}: {error}"]
    except asyncio.CancelledError:
        for worker in multiprocessing.active_children():
            worker.terminate()  # what it was writing is tidied by the next
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def published_keys(root: Place, names: Sequence[str], since_ms: int) -> dict[str, pl.DataFrame]:
    """Return the keys of the rows clean has from a moment on, by dataset."""
    lake, found = open_lake(root), {}
    since = datetime.fromtimestamp(since_ms / 1000, UTC)
    for name in names:
        rows = scan(lake, name)
        columns = rows.collect_schema().names()
        if not columns:
            continue
        key = list(key_of(DATASETS[name].model))
        found[name] = rows.filter(pl.col("timestamp") >= since).select(key).collect()
    return found
