"""Commands that ask the exchange: ping, plan, backfill, heal."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.load import check_loadable, load_after
from etl.commands.options import (
    AndLoad,
    AsJson,
    DatasetName,
    DryRun,
    End,
    Instruments,
    Resolution,
    Start,
    Wait,
    print_json,
    print_status,
    reporting,
    set_for_run,
    settings_of,
)

if TYPE_CHECKING:
    from etl.backfill.fetch import Report
    from etl.backfill.run import Wish
    from etl.config import Settings

PERPETUALS = "BTC-PERPETUAL,ETH-PERPETUAL"

app = typer.Typer()
backfill_app = typer.Typer(no_args_is_help=True, help="Fetch what the lake lacks.")
plan_app = typer.Typer(no_args_is_help=True, help="Say what a backfill would cost.")


@app.command()
def ping(context: typer.Context) -> None:
    """Ask the exchange whether it is there, and what time it is.

    Example: deribit-lake ping
    """
    import json

    from etl.deribit.ping import ping as ask

    typer.echo(json.dumps(asyncio.run(ask(settings_of(context)))))


@backfill_app.command("perpetuals")
def backfill_perpetuals(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch candles of perpetuals; what is held is not fetched again.

    Example: deribit-lake backfill perpetuals --instruments BTC-PERPETUAL --start 2024-01-01
    """
    wish = _candles(instruments, start, end, resolution)
    if dry_run:
        print_estimate(context, wish, as_json)
    else:
        complete(context, wish, wait=wait, load=load, as_json=as_json)


@backfill_app.command("futures")
def backfill_futures(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="What the futures settle in, by commas: BTC,ETH.")
    ] = "BTC,ETH",
    settlement: Annotated[
        str | None, typer.Option(help="Settlement periods, by commas: day,week,month.")
    ] = None,
    instruments: Annotated[str | None, typer.Option(help="Only these of them, by commas.")] = None,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=32, help="Requests under way at once; default: 16 (connections)."),
    ] = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch candles of dated futures, expired ones too, each over its own life.

    All instruments share one credit bucket; workers are requests that wait for answers.

    Example: deribit-lake backfill futures --currency BTC,ETH --start 2019-01-01 --settlement month
    """
    from etl.backfill.run import futures_wish
    from etl.datasets import candles_dataset

    set_for_run(context, connections=workers)
    dataset = candles_dataset("futures_ohlcv", resolution)
    wish = futures_wish(
        dataset, currency, start=start, end=end, periods=settlement, instruments=instruments
    )
    if dry_run:
        print_estimate(context, wish, as_json)
    else:
        complete(context, wish, wait=wait, load=load, as_json=as_json)


@backfill_app.command("funding")
def backfill_funding(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch hourly funding rates of perpetuals.

    Example: deribit-lake backfill funding --start 2024-01-01
    """
    wish = _funding(instruments, start, end)
    if dry_run:
        print_estimate(context, wish, as_json)
    else:
        complete(context, wish, wait=wait, load=load, as_json=as_json)


@plan_app.command("perpetuals")
def plan_perpetuals(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    as_json: AsJson = False,
) -> None:
    """Say what a backfill of perpetuals would cost: requests, seconds, bytes.

    Example: deribit-lake plan perpetuals --start 2024-01-01 --json
    """
    print_estimate(context, _candles(instruments, start, end, resolution), as_json)


@plan_app.command("funding")
def plan_funding(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    as_json: AsJson = False,
) -> None:
    """Say what a backfill of funding rates would cost.

    Example: deribit-lake plan funding
    """
    print_estimate(context, _funding(instruments, start, end), as_json)


@app.command()
def heal(
    context: typer.Context,
    dataset: DatasetName = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Ask again for what is missing and unsettled, and for rows that may have been revised.

    Example: deribit-lake heal --dataset perpetuals_ohlcv
    """
    from etl.backfill import fetch as pipeline
    from etl.datasets import DATASETS, find_dataset

    settings = settings_of(context)
    names = [find_dataset(dataset).name] if dataset else list(DATASETS)
    with reporting(settings) as progress:
        report = asyncio.run(pipeline.heal(settings, names, progress, wait=wait))
        _follow_up(settings, names)
    finish(settings, names, report, as_json=as_json)


def _candles(instruments: str, start: str | None, end: str | None, resolution: str) -> "Wish":
    from etl.backfill.run import wish_for
    from etl.datasets import candles_dataset

    return wish_for(candles_dataset("perpetuals_ohlcv", resolution), instruments, start, end)


def _funding(instruments: str, start: str | None, end: str | None) -> "Wish":
    from etl.backfill.run import wish_for
    from etl.datasets import FUNDING

    return wish_for(FUNDING, instruments, start, end)


def print_estimate(context: typer.Context, wish: "Wish", as_json: bool) -> None:
    """Say what a wish would cost, and fetch nothing."""
    from etl.backfill import fetch as pipeline

    settings = settings_of(context)
    with reporting(settings) as progress:
        found = asyncio.run(pipeline.estimate(settings, wish, progress))
    if as_json:
        print_json(found)
        return
    for note in found.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{found.requests:,} requests, {found.seconds:,.0f} s at the rate limit, "
        f"{found.rows:,} rows, about {found.bytes / 1e6:,.0f} MB "
        f"({found.free_bytes / 1e6:,.0f} MB free); {found.rows_held:,} rows are held"
    )


def complete(
    context: typer.Context, wish: "Wish", *, wait: bool, load: bool, as_json: bool
) -> None:
    """Fetch what a wish lacks, say what came of it, and leave with the verdict."""
    from etl.backfill import fetch as pipeline

    settings = settings_of(context)
    if load:
        check_loadable(settings, wish.dataset.name)
    with reporting(settings) as progress:
        report = asyncio.run(pipeline.backfill(settings, wish, progress, wait=wait))
        _follow_up(settings, [wish.dataset.name])
    if load:
        load_after(settings, wish, quiet=as_json)
    only = wish.instruments or None
    finish(settings, [wish.dataset.name], report, as_json=as_json, only=only)


def _follow_up(settings: "Settings", datasets: Sequence[str]) -> None:
    """Bring up to date what is made of datasets that were just fetched."""
    from etl.index_prices import publish_index_prices
    from lake.paths import open_lake

    if "funding_rates" in datasets:
        publish_index_prices(open_lake(settings.root))


def finish(
    settings: "Settings",
    datasets: Sequence[str],
    report: "Report",
    *,
    as_json: bool,
    only: Sequence[str] | None = None,
) -> None:
    """Say what a run did and what the lake holds now, and leave with the verdict."""
    from etl.check.status import statuses
    from lake.paths import open_lake

    lake = open_lake(settings.root)
    found = [
        status
        for name in datasets
        for status in statuses(lake, name)
        if only is None or status.instrument in only
    ]
    for note in report.notes:
        typer.echo(f"note: {note}", err=as_json)
    for error in report.errors:
        typer.echo(f"error: {error}", err=True)
    typer.echo(f"{report.requests:,} requests in {report.seconds:.1f} s", err=as_json)
    if not report.partitions:
        typer.echo("nothing to fetch", err=as_json)
        raise typer.Exit
    print_status(found, as_json=as_json, by_currency=datasets[0].startswith("futures_ohlcv"))


app.add_typer(plan_app, name="plan")
app.add_typer(backfill_app, name="backfill")
