"""Commands that ask the exchange: ping, backfill, plan, heal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from etl.commands.load import print_load
from etl.commands.options import (
    AndLoad,
    AsJson,
    DryRun,
    End,
    Instruments,
    Resolution,
    Start,
    Wait,
    lake_of,
    print_json,
    print_status,
    reporting,
    set_for_run,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl.backfill.fetch import Report
    from etl.backfill.wish import Wish
    from etl.dataset import Dataset
    from lake.paths import Lake

PERPETUALS, INDICES = "BTC-PERPETUAL,ETH-PERPETUAL", "btc_usd,eth_usd"
OPTIONS = {
    "names": "--instruments",
    "currencies": "--currency",
    "periods": "--settlement",
    "indices": "--index",
}
"""What chooses instruments, and the option that names it."""
Index = Annotated[str, typer.Option("--index", help="Names of indices, by commas.")]
Settlement = Annotated[
    str | None, typer.Option(help="Settlement periods, by commas: day,week,month.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=32, help="Requests under way at once; default: 16 (connections)."),
]


class AnyDataset(TyperGroup):
    """A group of commands that knows every dataset by its name, besides its own words."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of a word; a dataset without one of its own goes to `dataset`."""
        if args and self.get_command(ctx, args[0]) is None:
            from etl.catalog import find

            dataset = find(args[0])
            own = [word for word in dataset.aliases if self.get_command(ctx, word)]
            args = [own[0], *args[1:]] if own else ["dataset", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer()
backfill_app = typer.Typer(
    cls=AnyDataset,
    add_completion=False,
    no_args_is_help=True,
    help="Fetch what the lake lacks of a dataset.",
)


@app.command()
def ping(context: typer.Context) -> None:
    """Ask the exchange whether it is there, and what time it is.

    Example: deribit-lake ping
    """
    import asyncio
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
    wish = wish_of("perpetuals_ohlcv", start, end, resolution=resolution, names=instruments)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


@backfill_app.command("futures")
def backfill_futures(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="What the futures settle in, by commas: BTC,ETH.")
    ] = "BTC,ETH",
    settlement: Settlement = None,
    instruments: Annotated[str | None, typer.Option(help="Only these of them, by commas.")] = None,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    workers: Workers = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch candles of dated futures, expired ones too, each over its own life.

    All instruments share one credit bucket; workers are requests that wait for answers.

    Example: deribit-lake backfill futures --currency BTC,ETH --start 2019-01-01 --settlement month
    """
    set_for_run(context, connections=workers)
    words = {"names": instruments, "currencies": currency, "periods": settlement}
    wish = wish_of("futures_ohlcv", start, end, resolution=resolution, **words)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


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
    wish = wish_of("funding_rates", start, end, names=instruments)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


@backfill_app.command("index")
def backfill_index(
    context: typer.Context,
    index: Index = INDICES,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch hourly index prices, which come with the funding rates of their perpetuals.

    Example: deribit-lake backfill index --index btc_usd --start 2024-01-01
    """
    wish = wish_of("funding_rates", start, end, indices=index)
    flags: dict[str, Any] = {"wait": wait, "dry_run": dry_run, "load": load, "as_json": as_json}
    complete(context, wish, shown="index_prices", **flags)


@backfill_app.command("dvol")
def backfill_dvol(
    context: typer.Context,
    currency: Annotated[str, typer.Option(help="BTC, ETH or both, by commas.")] = "BTC,ETH",
    start: Start = None,
    end: End = None,
    resolution: Annotated[str, typer.Option(help="60, 3600, 43200 (seconds) or 1D.")] = "60",
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the volatility index, since 2021-03-24.

    Example: deribit-lake backfill dvol --currency BTC --start 2024-01-01 --resolution 3600
    """
    names = ",".join(f"{word.strip().lower()}_usd" for word in currency.split(",") if word.strip())
    wish = wish_of("volatility_index", start, end, resolution=resolution, names=names)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


@backfill_app.command("deliveries")
def backfill_deliveries(
    context: typer.Context,
    index: Index = INDICES,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the prices contracts were delivered at, all that the exchange lists.

    Example: deribit-lake backfill deliveries --index btc_usd
    """
    wish = wish_of("delivery_prices", start, end, names=index)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


@backfill_app.command("dataset")
def backfill_dataset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The dataset, by its name.")],
    instruments: Annotated[str | None, typer.Option(help="Names, by commas.")] = None,
    currency: Annotated[str | None, typer.Option(help="What they settle in, by commas.")] = None,
    settlement: Settlement = None,
    index: Annotated[str | None, typer.Option(help="The index they follow.")] = None,
    start: Start = None,
    end: End = None,
    workers: Workers = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch any dataset by its name; the word `dataset` itself may be left out.

    Example: deribit-lake backfill dataset perpetuals_ohlcv_60 --instruments BTC-PERPETUAL
    """
    set_for_run(context, connections=workers)
    words = {"names": instruments, "currencies": currency, "periods": settlement, "indices": index}
    wish = wish_of(name, start, end, **words)
    complete(context, wish, wait=wait, dry_run=dry_run, load=load, as_json=as_json)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def plan(context: typer.Context) -> None:
    """Say what a backfill would cost: `plan …` is `backfill … --dry-run`.

    Example: deribit-lake plan perpetuals --start 2024-01-01 --json
    """
    group = typer.main.get_command(backfill_app)
    group.help = f"{plan.__doc__}".partition("\n")[0]
    is_asked = bool(context.args) and not context.args[0].startswith("-")  # else it wants help
    words = [*context.args, "--dry-run"] if is_asked else context.args
    with group.make_context("plan", words, parent=context.parent) as asked:
        group.invoke(asked)


def wish_of(
    dataset: str,
    start: str | None,
    end: str | None,
    *,
    resolution: str | None = None,
    **words: str | None,
) -> "Wish":
    """Return what a user's words ask for."""
    from etl.backfill import wish
    from etl.catalog import find_fetched, in_resolution
    from etl.instruments.selection import Choice

    found = in_resolution(dataset, resolution) if resolution else find_fetched(dataset)
    choice = Choice(**{name: wish.words(text, OPTIONS[name]) for name, text in words.items()})
    return wish.wish_for(found, choice, start, end)


def complete(
    context: typer.Context,
    wish: "Wish",
    *,
    wait: bool,
    dry_run: bool,
    load: bool,
    as_json: bool,
    shown: str | None = None,
    loaded_as: str | None = None,
) -> None:
    """Fetch what a wish lacks, say what came of it, and leave with the verdict."""
    from etl import pipeline
    from etl.catalog import find

    if dry_run:
        print_estimate(context, wish, as_json=as_json)
        return
    settings, dataset = settings_of(context), find(shown or wish.dataset.name)
    with reporting(settings) as progress:
        and_load = (find(loaded_as) if loaded_as else dataset) if load else None
        lake, report, loaded = pipeline.fill(settings, wish, progress, wait=wait, and_load=and_load)
    if loaded is not None and not as_json:
        print_load(loaded)
    only = [*wish.choice.names, *wish.choice.indices] or None
    finish(lake, [dataset], report, as_json=as_json, only=only)


def print_estimate(context: typer.Context, wish: "Wish", *, as_json: bool) -> None:
    """Say what a wish would cost, and fetch nothing."""
    import asyncio

    from etl.backfill.fetch import estimate

    settings, lake = settings_of(context), lake_of(context)
    with reporting(settings) as progress:
        found = asyncio.run(estimate(settings, lake, wish, progress))
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


def finish(
    lake: "Lake",
    datasets: "Sequence[Dataset]",
    report: "Report",
    *,
    as_json: bool,
    only: "Sequence[str] | None" = None,
) -> None:
    """Say what a run did and what the lake holds now, and leave with the verdict."""
    from etl.check.status import Status, statuses

    found: Any = [
        status
        for dataset in datasets
        for status in statuses(lake, dataset.name)
        if only is None or status.instrument in only
    ]
    parts = sorted({(one.dataset, one.part) for one in report.refused})
    found += [Status(*part, "UNKNOWN", why="the exchange refuses it") for part in parts]
    say(report, as_json=as_json)
    if not report.partitions:
        typer.echo("nothing to fetch", err=as_json)
        raise typer.Exit
    is_expiring = len(datasets) == 1 and getattr(datasets[0], "kind", "") == "future"
    print_status(found, as_json=as_json, by_currency=is_expiring)


def say(report: "Report", *, as_json: bool) -> None:
    """Say what a run did."""
    for note in report.notes:
        typer.echo(f"note: {note}", err=as_json)
    for error in report.errors:
        typer.echo(f"error: {error}", err=True)
    typer.echo(f"{report.requests:,} requests in {report.seconds:.1f} s", err=as_json)


app.add_typer(backfill_app, name="backfill")
