"""The order of the steps: fetch, derive, load. The one module that knows it."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from etl import upgrade
from etl.backfill import fetch
from etl.backfill.fetch import Report
from etl.backfill.replay import Rebuilt
from etl.backfill.replay import replay as replay_staged
from etl.backfill.run import IN_TIME, Again, rules_of
from etl.backfill.wish import Wish
from etl.catalog import computed, find, maker_of
from etl.cluster import LOST_S, on_cluster
from etl.compute.run import Ask, ComputeReport, as_told, compute, held_of
from etl.config import Settings
from etl.database.load import check_loadable, load
from etl.database.parts import has_table
from etl.database.report import LoadReport
from etl.dataset import Computed, Dataset, Fetched
from etl.errors import UsageError
from etl.instruments.lists import staged_listing
from etl.instruments.record import Listing
from etl.progress import Progress
from lake.lock import Wait
from lake.paths import Lake, open_lake, read_marker


def open_to_write(
    settings: Settings, progress: Progress, *, create: bool = False, makes_rows: bool = True
) -> Lake:
    """Return the lake, brought to the format of this version.

    Parameters
    ----------
    makes_rows : bool
        Whether rows are to be made in it: not in a copy that has not all they are made from.

    Raises
    ------
    LakeFormatError
        If a newer version wrote it.
    UsageError
        If it is such a copy.
    """
    lake = open_lake(settings.place, create=create)
    marker = read_marker(lake) if makes_rows else None
    if marker is not None and marker.doubt:
        message = f"{lake.root} is {marker.doubt}; nothing can be made in it"
        raise UsageError(message)
    upgrade.bring_up(lake, progress)
    return lake


def fill(
    settings: Settings,
    wish: Wish,
    progress: Progress,
    *,
    wait: Wait = False,
    and_load: Dataset | None = None,
) -> tuple[Lake, Report, LoadReport | None]:
    """Fetch what a wish lacks, compute what follows of it, and load a dataset where asked."""
    if and_load is not None:
        check_loadable(settings, and_load)
    lake = open_to_write(settings, progress, create=True)
    report = asyncio.run(fetch.backfill(settings, lake, wish, progress, wait=wait))
    derive(lake, [wish.dataset.name], progress, wait=wait)
    if and_load is None:
        return lake, report, None
    brought: list[Dataset] = [wish.dataset, *following([wish.dataset.name])]
    tables = [one for one in brought if has_table(one)]
    return lake, report, load(settings, lake, progress, datasets=tables)


def with_chain(
    settings: Settings, currencies: Sequence[str], end_ms: int | None, progress: Progress
) -> tuple[Lake, int]:
    """Bring the lists of options up to a moment, or to now; return the exchange's clock [ms]."""
    lake = open_to_write(settings, progress, create=True)
    return lake, asyncio.run(fetch.chain_at(settings, lake, progress, currencies, end_ms))


def heal(
    settings: Settings,
    datasets: Sequence[Fetched],
    progress: Progress,
    *,
    wait: Wait = False,
    again: Again = IN_TIME,
) -> tuple[Lake, Report]:
    """Ask again for what is missing, sooner where `again` says so; compute what follows of it."""
    lake = open_to_write(settings, progress)
    report = asyncio.run(fetch.heal(settings, lake, datasets, progress, wait=wait, again=again))
    derive(lake, [one.name for one in datasets], progress, wait=wait)
    return lake, report


def derive(lake: Lake, names: Collection[str], progress: Progress, *, wait: Wait = False) -> None:
    """Compute what is made, unasked, whenever one of some datasets was."""
    if made := following(names):
        listing = staged_listing(lake)
        for dataset in made:
            derive_one(lake, dataset, listing, progress, wait=wait)


def derive_one(
    lake: Lake, dataset: Computed, listing: Listing, progress: Progress, *, wait: Wait = False
) -> ComputeReport:
    """Compute what of a dataset is new or changed, each part as it was last told."""
    total = ComputeReport()
    for options, parts in as_told(lake, dataset, listing):
        ask = Ask(parts, options=options, wait=wait)
        total.add(compute(lake, dataset, listing, progress, ask))
    return total


def compute_on(
    address: str, lake: Lake, chosen: Sequence[Computed], progress: Progress, ask: Ask
) -> ComputeReport:
    """Compute as `compute_all` does, on the workers of a Dask cluster.

    Raises
    ------
    ClusterError
        If that cannot be, or is lost.
    """
    if not ask.wait:  # what a lost worker was writing is not free at once everywhere
        ask = replace(ask, wait=LOST_S)
    with on_cluster(address, lake) as pool:
        return compute_all(lake, chosen, progress, ask, pool=pool)


def compute_all(
    lake: Lake,
    chosen: Sequence[Computed],
    progress: Progress,
    ask: Ask,
    *,
    pool: Executor | None = None,
) -> ComputeReport:
    """Compute datasets, before them what they are made from, and after them what follows.

    Raises
    ------
    UsageError
        If there is nothing to make one of them from, none is of a part that is asked for, or none
        takes an option.
    """
    for name in ask.options:
        if all(name not in dataset.options for dataset in chosen):
            message = f"{', '.join(one.name for one in chosen)} takes no --{name.replace('_', '-')}"
            raise UsageError(message)
    listing, total = staged_listing(lake), ComputeReport()
    names = {one.name for one in chosen}
    before, after = made_from(names), {one.name for one in following(names)}
    for dataset in computed():
        if dataset.name in names | after:
            asked = replace(ask, by_name=ask.by_name and dataset.name in names)
        elif dataset.name in before:
            asked = Ask(workers=ask.workers, wait=ask.wait)
        else:
            continue
        for one in _asks(lake, dataset, listing, asked):
            total.add(compute(lake, dataset, listing, progress, one, pool=pool))
    if ask.parts and not total.computed + total.unchanged:
        message = f"nothing that is computed is of {', '.join(ask.parts)}"
        raise UsageError(message)
    return total


def _asks(lake: Lake, dataset: Computed, listing: Listing, ask: Ask) -> Iterator[Ask]:
    """Yield what is asked of a dataset: by its name as it is said, else as each part was told."""
    said = {name: ask.options[name] for name in dataset.options if name in ask.options}
    if ask.by_name or said:
        yield replace(ask, options=said, source=_source_of(dataset))
        return
    for options, parts in as_told(lake, dataset, listing):
        mine = [part for part in parts if part in ask.parts or not ask.parts]
        if mine:
            yield replace(ask, options=options, parts=mine)


def _source_of(dataset: Computed) -> str:
    """Return the command that brings what a dataset is made from, however far back."""
    first: Dataset = dataset
    while isinstance(first, Computed):
        first = find(first.inputs[0])
    return maker_of(first)


def replay(
    settings: Settings,
    datasets: Sequence[Dataset],
    progress: Progress,
    *,
    workers: int | None = None,
    wait: bool = False,
) -> Iterator[Rebuilt]:
    """Rebuild datasets, offline: from raw what was fetched, from that what is computed."""
    lake = open_to_write(settings, progress)
    staged = [one for one in datasets if not isinstance(one, Computed)]
    yield from replay_staged(lake, staged, rules_of(settings), count=workers, wait=wait)
    listing = staged_listing(lake)
    named = {one.name for one in datasets if isinstance(one, Computed)}
    sources = ([one.name for one in staged], named)
    due = {one.name for names in sources for one in following(names)}
    for dataset in computed():
        held = held_of(lake, [dataset.name])
        is_named = dataset.name in named
        if dataset.name in due or (is_named and held):
            wanted = None if dataset.follows else frozenset(held)
            ask = Ask(anew=is_named, partitions=wanted, workers=workers, wait=wait)
            for options, parts in as_told(lake, dataset, listing):
                one = replace(ask, options=options, parts=parts)
                compute(lake, dataset, listing, progress, one)
            yield from held_of(lake, [dataset.name]).items()


def following(names: Collection[str]) -> list[Computed]:
    """Return what is made, unasked, whenever one of some datasets was, in order."""
    made, found = set(names), list[Computed]()
    for dataset in computed():
        if dataset.follows and dataset.name not in names and made & set(dataset.inputs):
            made.add(dataset.name)
            found.append(dataset)
    return found


def made_from(names: Collection[str]) -> set[str]:
    """Return the computed datasets that some datasets are made from, however far back."""
    found: set[str] = set()
    for dataset in reversed(list(computed())):
        if dataset.name in found or dataset.name in names:
            found |= set(dataset.inputs)
    return found
