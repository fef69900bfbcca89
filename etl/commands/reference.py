"""Commands that fetch the series other things lean on: index, volatility index, deliveries."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.fetch import complete, finish, print_estimate
from etl.commands.options import AsJson, DryRun, End, Start, Wait, reporting, settings_of

if TYPE_CHECKING:
    from etl.backfill.run import Wish

Index = Annotated[str, typer.Option("--index", help="Names of indices, by commas.")]
INDICES = "btc_usd,eth_usd"


def register(backfill: typer.Typer) -> None:
    """Add these commands to `backfill`."""
    backfill.command("index")(backfill_index)
    backfill.command("dvol")(backfill_dvol)
    backfill.command("deliveries")(backfill_deliveries)


def backfill_index(
    context: typer.Context,
    index: Index = INDICES,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch hourly index prices, which come with the funding rates of their perpetuals.

    Example: deribit-lake backfill index --index btc_usd --start 2024-01-01
    """
    from dataclasses import replace

    from etl.backfill import fetch as pipeline
    from etl.backfill.run import wish_for
    from etl.datasets import FUNDING
    from etl.index_prices import NAME, publish_index_prices
    from lake.paths import open_lake

    settings, named = settings_of(context), wish_for(FUNDING, index, start, end)
    wish = replace(named, instruments=(), indices=named.instruments)
    if dry_run:
        print_estimate(context, wish, as_json)
        return
    with reporting(settings) as progress:
        report = asyncio.run(pipeline.backfill(settings, wish, progress, wait=wait))
        publish_index_prices(open_lake(settings.root), wish.indices, wait=wait)
    finish(settings, [NAME], report, as_json=as_json, only=wish.indices)


def backfill_dvol(
    context: typer.Context,
    currency: Annotated[str, typer.Option(help="BTC, ETH or both, by commas.")] = "BTC,ETH",
    start: Start = None,
    end: End = None,
    resolution: Annotated[str, typer.Option(help="60, 3600, 43200 (seconds) or 1D.")] = "60",
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the volatility index, since 2021-03-24.

    Example: deribit-lake backfill dvol --currency BTC --start 2024-01-01 --resolution 3600
    """
    from etl.backfill.run import wish_for
    from etl.datasets import volatility_dataset

    names = ",".join(f"{word.strip().lower()}_usd" for word in currency.split(",") if word.strip())
    wish = wish_for(volatility_dataset(resolution), names, start, end)
    _run(context, wish, wait=wait, dry_run=dry_run, as_json=as_json)


def backfill_deliveries(
    context: typer.Context,
    index: Index = INDICES,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the prices contracts were delivered at, one a day and index.

    Example: deribit-lake backfill deliveries --index btc_usd
    """
    from etl.backfill.run import wish_for
    from etl.datasets import DELIVERIES

    wish = wish_for(DELIVERIES, index, start, end)
    _run(context, wish, wait=wait, dry_run=dry_run, as_json=as_json)


def _run(context: typer.Context, wish: "Wish", *, wait: bool, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        print_estimate(context, wish, as_json)
    else:
        complete(context, wish, wait=wait, load=False, as_json=as_json)
