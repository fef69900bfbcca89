"""What a sync would cost, dataset by dataset; nothing of the lake is changed."""

import asyncio
from dataclasses import replace

import msgspec

from etl.backfill.fetch import cost, opened, seconds_of
from etl.backfill.run import Again
from etl.config import Settings
from etl.instruments.chain import Filter
from etl.progress import Progress
from etl.rates.fetch import days_asked, pages_due
from etl.sources.instruments import INSTRUMENTS
from etl.sources.treasury_bills import TREASURY_BILLS
from etl.sync.fetching import parts_of, wish_of
from etl.sync.keep import Keeping, Kept
from etl.sync.summary import table
from etl.sync.trailing import Trailing
from etl.when import clock_ms
from lake.paths import Lake
from lake.store.files import free_bytes


class Cost(msgspec.Struct, frozen=True):
    """What a dataset would cost: seconds at the rate limit, bytes on disk, and rows at most."""

    dataset: str
    requests: int
    seconds: float
    rows: int
    bytes: int
    rows_held: int
    notes: list[str]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync would cost in all, besides the lists of instruments, and by dataset."""

    requests: int
    seconds: float
    bytes: int
    free_bytes: int
    datasets: list[Cost]


def plan_of(settings: Settings, lake: Lake, keeping: Keeping, progress: Progress) -> Plan:
    """Return what a sync would cost now; it asks for lists of instruments and writes nothing.

    Raises
    ------
    UsageError
        If something is kept that the exchange does not list.
    UnavailableError
        If the exchange does not answer.
    """
    costs, now_ms = list[Cost](), clock_ms()
    if keeping.fetched:
        costs, now_ms = asyncio.run(_costs(settings, lake, keeping, progress))
    if keeping.rates_ms is not None:
        due = pages_due(lake, days_asked(keeping.rates_ms, None, now_ms))
        pages = sum(map(len, due.values()))
        costs.append(Cost(TREASURY_BILLS.name, pages, 0.0, 0, 0, 0, []))
    asked = sum(one.requests for one in costs if one.dataset != TREASURY_BILLS.name)
    return Plan(
        requests=sum(one.requests for one in costs),
        seconds=seconds_of(settings, asked),  # all share one bucket
        bytes=sum(one.bytes for one in costs),
        free_bytes=free_bytes(lake.root),
        datasets=costs,
    )


async def _costs(
    settings: Settings, lake: Lake, keeping: Keeping, progress: Progress
) -> tuple[list[Cost], int]:
    """Return what each dataset would cost, and the exchange's clock [ms]."""
    trailing = Trailing(lake, settings.keep.trailing_hours)
    async with opened(settings, lake, progress, dry=True, choice=keeping.choice) as run:
        now_ms, costs = run.listing.now_ms, list[Cost]()
        for one in keeping.fetched:
            parts_of(run, one)
            name = one.dataset.name
            own = run.anew(Again(since_ms=trailing.since_ms(name, now_ms)))
            kept, notes = _with_chain(lake, one)
            found = cost(settings, own, wish_of(lake, kept, now_ms))
            costs.append(
                Cost(
                    name,
                    found.requests,
                    found.seconds,
                    found.rows,
                    found.bytes,
                    found.rows_held,
                    [*notes, *found.notes],
                )
            )
    return costs, now_ms


def _with_chain(lake: Lake, one: Kept) -> tuple[Kept, list[str]]:
    """Return what is kept, without what chooses options while no list of them was fetched."""
    if one.options.is_empty or lake.files(INSTRUMENTS.name):
        return one, []
    note = f"{one.dataset.name}: no list of options is held yet; the whole chain is counted"
    return replace(one, options=Filter()), [note]


def told(plan: Plan) -> str:
    """Return a plan for people."""
    rows = [
        ("dataset", "requests", "seconds", "rows", "MB", "rows held"),
        *(
            (
                one.dataset,
                f"{one.requests:,}",
                f"{one.seconds:,.0f}",
                f"{one.rows:,}",
                f"{one.bytes / 1e6:,.0f}",
                f"{one.rows_held:,}",
            )
            for one in plan.datasets
        ),
    ]
    notes = [f"note: {note}" for one in plan.datasets for note in one.notes]
    total = (
        f"{plan.requests:,} requests, {plan.seconds:,.0f} s at the rate limit, "
        f"about {plan.bytes / 1e6:,.0f} MB ({plan.free_bytes / 1e6:,.0f} MB free)"
    )
    return "\n".join([*notes, *table(rows), total])
